"""Answering a task by hand: what AWS's SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from processor.apps.cli.executions import WaitOption, send
from processor.apps.cli.options import JsonOption, LogOption, PrefixOption, SettingsOption
from processor.model.commands import CompleteTask, FailTask, HeartbeatTask

TokenArgument = Annotated[str, typer.Argument(metavar="TOKEN", help="Of a waiting task, as asl describe shows it.")]


def complete(
    token: TokenArgument,
    output: Annotated[
        str, typer.Option("--output", metavar="JSON", help="The result: JSON text, @FILE, or - for standard input.")
    ],
    wait: WaitOption = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Give a waiting task its result; with --wait exit 1 where that was refused, or the execution fails."""
    from processor.apps.loading import load_json
    from processor.model.ids import parse_task_token

    execution_id, _, _ = parse_task_token(token)
    result = load_json(output, option="--output", stdin=sys.stdin)
    command = CompleteTask(execution_id=execution_id, token=token, output=result)
    send(command, wait=wait, log=log, prefix=prefix, settings=settings, json=json)


def fail(
    token: TokenArgument,
    error: Annotated[str | None, typer.Option("--error", help="Its name, which Retry and Catch compare.")] = None,
    cause: Annotated[str | None, typer.Option("--cause", help="What happened, for people.")] = None,
    wait: WaitOption = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Let a waiting task fail; with --wait exit 1 where that was refused, or the execution fails."""
    from processor.model.commands import check_lengths
    from processor.model.ids import parse_task_token

    execution_id, _, _ = parse_task_token(token)
    command = FailTask(execution_id=execution_id, token=token, error=error, cause=cause)
    check_lengths(command)
    send(command, wait=wait, log=log, prefix=prefix, settings=settings, json=json)


def heartbeat(
    token: TokenArgument,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Say that the work on a waiting task goes on: its HeartbeatSeconds begin anew."""
    from processor.model.ids import parse_task_token

    execution_id, _, _ = parse_task_token(token)
    command = HeartbeatTask(execution_id=execution_id, token=token)
    send(command, wait=False, log=log, prefix=prefix, settings=settings, json=json)
