"""How an execution's end is told: the output on standard output, the rest on standard error, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from processor.apps.cli.terminal import Terminal
from processor.apps.render.events import render_failure
from processor.apps.render.refusals import rejection_json, render_rejection
from processor.apps.render.values import struct_json
from processor.model.json import Json

if TYPE_CHECKING:
    from processor.apps.executions import Description
    from processor.model.records import Rejection, Status

WORKFLOW_FAILED: Final = 1


def report_end(
    terminal: Terminal,
    description: Description,
    *,
    wanted: Status = "SUCCEEDED",
    events: list[Json] | None = None,
    result: bool = True,
) -> None:
    """Print the output of an execution that succeeded; exit 1 where its end is not the one that was wanted. As JSON:
    the whole description. `result` False: something else is the result, and was printed."""
    if terminal.as_json and result:
        told: dict[str, Json] = struct_json(description)
        terminal.result(told if events is None else told | {"events": events})
    elif description.status == "SUCCEEDED":
        terminal.say(f"{description.execution_id} SUCCEEDED")
        if result:
            terminal.result(description.output)
    else:
        told_failure = render_failure(description.error, description.cause, width=2_000)
        terminal.say(f"{description.execution_id} {description.status}" + (told_failure and f": {told_failure}"))
    if description.status not in (wanted, "RUNNING"):
        raise typer.Exit(WORKFLOW_FAILED)


def report_rejection(terminal: Terminal, rejection: Rejection) -> None:
    """Tell why a command was refused; exit 1."""
    if terminal.as_json:
        terminal.result(rejection_json(rejection))
    else:
        terminal.say(f"asl: {render_rejection(rejection)}")
    raise typer.Exit(WORKFLOW_FAILED)
