"""How long ended executions are kept: purge."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from processor.apps.cli.options import (
    ExecutionArgument,
    JsonOption,
    LogOption,
    PrefixOption,
    SettingsOption,
    opened_log,
)
from processor.apps.cli.outcome import report_rejection
from processor.apps.cli.terminal import Terminal

_LOOK_EVERY_SECONDS: Final = 0.1


def purge(
    execution_id: ExecutionArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is gone, or refused.")] = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Remove an ended execution, its history and all; its name is free again. With --wait: exit 1 where refused."""
    from processor.adapters.clock import SystemClock
    from processor.apps.client import ISSUER, Client, new_command_id
    from processor.apps.executions import History, Rejections, describe
    from processor.apps.settings import load_settings
    from processor.model.commands import PurgeExecution

    terminal, command_id = Terminal(as_json=json), new_command_id()
    with opened_log(load_settings(file=settings, log=log, prefix=prefix), missing="REFUSE") as opened:
        reader = opened.reader()
        try:
            known = describe(History(reader, opened.names, execution_id))
            if known is None:
                raise terminal.refusal("UnknownExecution", f"{opened.address} holds no execution {execution_id}")
            rejections = Rejections(reader, opened.names, execution_id=execution_id, command_id=command_id)
            command = PurgeExecution(
                execution_id=execution_id,
                command_id=command_id,
                issuer=ISSUER,
                last_sequence=known.last_sequence,
                ended_at=known.stopped_at,
            )
            with Client(opened, SystemClock()) as client:
                client.send(command)
            while wait and describe(History(reader, opened.names, execution_id)) is not None:
                if (rejection := rejections.find()) is not None:
                    report_rejection(terminal, rejection)
                time.sleep(_LOOK_EVERY_SECONDS)
        finally:
            reader.close()
    if json:
        terminal.result({"execution_id": execution_id, "command_id": command_id})
    else:
        typer.echo(execution_id)
