"""Deploying definitions; starting, stopping and looking at executions."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import uuid4

import typer

from processor.apps.cli.options import (
    ContextOption,
    DefinitionArgument,
    ExecutionArgument,
    InputOption,
    JsonOption,
    LogOption,
    MachineNameOption,
    PrefixOption,
    SettingsOption,
    TypeOption,
    machine_type,
    opened_log,
    opened_reader,
)
from processor.apps.cli.outcome import report_end, report_rejection
from processor.apps.cli.terminal import Terminal
from processor.errors import InvalidSettings

if TYPE_CHECKING:
    from processor.apps.executions import Description, History, Rejections, Summary
    from processor.engine.ports import Log, Reader
    from processor.model.commands import AnyCommand
    from processor.model.events import AnyEvent
    from processor.model.records import Status

_LOOK_EVERY_SECONDS: Final = 0.1
_STARTS_WITHIN: Final = timedelta(seconds=5)  # what `history --follow` grants an execution that was just started
_STATUSES: Final = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")

WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for the execution's end and tell it.")]


def deploy(
    file: DefinitionArgument,
    name: MachineNameOption = None,
    type: TypeOption = "STANDARD",
    retention: Annotated[
        str | None,
        typer.Option(
            "--retention",
            metavar="90d|default",
            help="How long its ended executions are kept (s, m, h, d), or default: as long as the janitor is told. "
            "Else as before.",
        ),
    ] = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Make a definition its state machine's latest revision."""
    from processor.adapters.clock import SystemClock
    from processor.apps.client import Client
    from processor.apps.loading import load_definition, machine_name
    from processor.apps.settings import load_settings
    from processor.apps.unsupported import check_support

    terminal = Terminal(as_json=json)
    machine, chosen_type, kept = name or machine_name(file), machine_type(type), _retention(retention)
    chosen = load_settings(file=settings, log=log, prefix=prefix)
    with terminal.faults_of(file):
        definition = load_definition(file)
        with opened_log(chosen) as opened, Client(opened, SystemClock()) as client:
            revision = client.deploy(state_machine=machine, definition=definition, type=chosen_type, retention=kept)
    for warning in check_support(definition):
        terminal.say(f"asl: warning: {warning}")
    if json:
        terminal.result({"state_machine": machine, "revision": revision})
    else:
        typer.echo(f"{machine} {revision}")


def _retention(text: str | None) -> timedelta | Literal["default", "kept"]:
    from processor.apps.settings import DURATION_RULE, parse_duration

    if text is None:
        return "kept"
    if text == "default":
        return "default"
    try:
        return parse_duration(text)
    except ValueError:
        rule = f"{DURATION_RULE}, or default, got {text!r}"
        raise InvalidSettings(setting="--retention", rule=rule, example="--retention 90d") from None


def start(  # noqa: PLR0913, PLR0917 # each argument is an option of the command line
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="The state machine's name.")],
    name: Annotated[str | None, typer.Option("--name", help="Of the execution; else a new UUID.")] = None,
    input: InputOption = "{}",
    context: ContextOption = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Of the definition; else the latest.")] = None,
    wait: WaitOption = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Start an execution and print its id; with --wait its output, exit 1 where it fails."""
    from processor.apps.loading import load_json
    from processor.model.commands import StartExecution
    from processor.model.ids import parse_execution_id

    execution_id = f"{machine}:{name or uuid4()}"
    parse_execution_id(execution_id)
    command = StartExecution(
        execution_id=execution_id,
        input=load_json(input, option="--input", stdin=sys.stdin),
        context=None if context is None else load_json(context, option="--context", stdin=sys.stdin),
        revision=revision,
    )
    send(command, wait=wait, log=log, prefix=prefix, settings=settings, json=json)


def stop(
    execution_id: ExecutionArgument,
    error: Annotated[str | None, typer.Option("--error", help="Recorded as the execution's error.")] = None,
    cause: Annotated[str | None, typer.Option("--cause", help="Recorded as the execution's cause.")] = None,
    wait: WaitOption = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Abort an execution; with --wait exit 1 where it was refused, or came to another end before."""
    from processor.model.commands import StopExecution
    from processor.model.ids import parse_execution_id

    parse_execution_id(execution_id)
    command = StopExecution(execution_id=execution_id, error=error, cause=cause)
    send(command, wait=wait, wanted="ABORTED", log=log, prefix=prefix, settings=settings, json=json)


def describe(
    execution_id: ExecutionArgument,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Tell what has become of an execution."""
    from processor.apps.executions import History
    from processor.apps.executions import describe as describe_execution
    from processor.apps.render.executions import description_lines
    from processor.apps.render.values import struct_json

    terminal = Terminal(as_json=json)
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        history = History(reader, opened.names, execution_id)
        with terminal.progress("reading events", total=history.end()) as progress:
            description = describe_execution(history, seen=progress)
    if description is None:
        raise terminal.refusal("UnknownExecution", _unknown(execution_id, opened.address))
    if json:
        terminal.result(struct_json(description))
    else:
        typer.echo("\n".join(description_lines(description)))


def history(
    execution_id: ExecutionArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the execution ends; wait 5 s for its start.")
    ] = False,
    as_aws: Annotated[
        bool, typer.Option("--history", help="Print AWS's GetExecutionHistory; with --follow once it has ended.")
    ] = False,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Print an execution's events; as JSON, one line each."""
    from processor.adapters.clock import SystemClock
    from processor.apps.executions import History, await_start
    from processor.apps.executions import follow as follow_events

    terminal = Terminal(as_json=json)
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        past = History(reader, opened.names, execution_id)
        with terminal.progress("reading events", total=past.end()) as progress:
            batches = list(past.read(seen=progress))
        if not batches and follow:
            terminal.say(f"asl: {execution_id} is not there yet: waiting {_STARTS_WITHIN.seconds} s for its start")
            batches = await_start(past, clock=SystemClock(), pause=_pause, within=_STARTS_WITHIN)
        if not batches:
            raise terminal.refusal("UnknownExecution", _unknown(execution_id, opened.address))
        show = _AwsHistoryView(terminal) if as_aws else _HistoryView(terminal)
        ended = False
        for batch in batches:
            show.batch(batch)
            ended = _is_end(batch)
        if follow and not ended:
            for seen in follow_events(past, pause=_pause):
                if isinstance(seen, tuple):
                    show.batch(seen)
        show.close()


def list_executions(
    state_machine: Annotated[
        str | None, typer.Option("--state-machine", metavar="MACHINE", help="Only this one's.")
    ] = None,
    status: Annotated[str | None, typer.Option("--status", help=f"Only these: {', '.join(_STATUSES)}.")] = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """List executions in the order of their starts; as JSON, one line each."""
    from processor.apps.executions import summaries, total_events_offsets
    from processor.apps.render.values import struct_json

    terminal = Terminal(as_json=json)
    if status is not None and status.upper() not in _STATUSES:
        rule = f"must be one of {', '.join(_STATUSES)}, got {status!r}"
        raise InvalidSettings(setting="--status", rule=rule, example="--status RUNNING")
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        total = total_events_offsets(reader, opened.names)
        with terminal.progress("reading events", total=total) as progress:
            found = summaries(reader, opened.names, seen=progress)
    chosen = [
        summary
        for summary in found
        if state_machine in (None, summary.state_machine) and (status is None or status.upper() == summary.status)
    ]
    if json:
        for summary in chosen:
            terminal.result(struct_json(summary))
    else:
        _print_summaries(terminal, chosen)


def send(
    command: AnyCommand,
    *,
    wait: bool,
    wanted: Status = "SUCCEEDED",
    log: str | None,
    prefix: str | None,
    settings: Path | None,
    json: bool,
) -> None:
    """Send a command under an id of its own, and with `wait` tell what its execution comes to; exit 1 where that is not
    `wanted`."""
    from msgspec.structs import replace

    from processor.apps.client import ISSUER, new_command_id
    from processor.apps.settings import load_settings

    identified = replace(command, command_id=new_command_id(), issuer=ISSUER)
    with opened_log(load_settings(file=settings, log=log, prefix=prefix)) as opened:
        _send(opened, identified, Terminal(as_json=json), wait=wait, wanted=wanted)


def _send(log: Log, command: AnyCommand, terminal: Terminal, *, wait: bool, wanted: Status) -> None:
    from processor.adapters.clock import SystemClock
    from processor.apps.client import Client
    from processor.apps.executions import History, Rejections

    execution_id, command_id = command.execution_id, command.command_id or ""
    reader = log.reader()
    try:
        history = History(reader, log.names, execution_id)
        history.offset = history.end()
        rejections = Rejections(reader, log.names, execution_id=execution_id, command_id=command_id)
        with Client(log, SystemClock()) as client:
            client.send(command)
        if wait:
            description = _wait(log, reader, history, rejections, terminal)
            if description is not None:
                report_end(terminal, description, wanted=wanted)
        elif terminal.as_json:
            terminal.result({"execution_id": execution_id, "command_id": command_id})
        else:
            typer.echo(execution_id)
    finally:
        reader.close()


def _wait(log: Log, reader: Reader, history: History, rejections: Rejections, terminal: Terminal) -> Description | None:
    """Return the execution at its end, or tell the command's refusal: one of them comes behind the offset it was sent
    at."""
    from processor.apps.executions import Chronicle, History, describe, follow
    from processor.model.events import ExecutionStarted
    from processor.model.records import Rejection

    if not terminal.as_json:
        terminal.say(f"{history.execution_id} …")
    chronicle: Chronicle | None = None
    for seen in follow(history, pause=_pause, rejections=rejections):
        if isinstance(seen, Rejection):
            report_rejection(terminal, seen)
            return None
        for event in seen:
            if isinstance(event, ExecutionStarted):
                chronicle = Chronicle(event)
            elif chronicle is not None:
                chronicle.add(event)
    # It had been started before: what came before the command is read after all.
    if chronicle is None:
        return describe(History(reader, log.names, history.execution_id))
    return chronicle.description()


class _HistoryView:
    """Rows as they come; the head once."""

    _COLUMNS = ("sequence", "time", "event", "state", "details", "caused by")

    def __init__(self, terminal: Terminal) -> None:
        self._terminal, self._headed = terminal, False

    def batch(self, batch: tuple[AnyEvent, ...]) -> None:
        from processor.apps.render.events import event_json, render_cause, render_details, render_place
        from processor.apps.render.values import render_time

        for number, event in enumerate(batch):
            if self._terminal.as_json:
                self._terminal.result(event_json(event))
                continue
            cause = render_cause(event.caused_by) if number == 0 else ""
            place, details = render_place(event), render_details(event)
            self._row(str(event.sequence), render_time(event.time), type(event).__name__, place, details, cause)

    def close(self) -> None:
        """Everything has been printed."""

    def _row(self, *cells: str) -> None:
        if not self._headed:
            self._headed = True
            self._row(*self._COLUMNS)
        widths = (8, 24, 22, 22, 60, 0)
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


class _AwsHistoryView:
    """What GetExecutionHistory answers, as one document of all the events."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._events: list[AnyEvent] = []

    def batch(self, batch: tuple[AnyEvent, ...]) -> None:
        self._events += batch

    def close(self) -> None:
        from processor.interpreter.history import render_history
        from processor.model.events import ExecutionStarted
        from processor.model.json import Json

        first = self._events[0]
        if not isinstance(first, ExecutionStarted):
            gone = f"the log has lost the beginning of {first.execution_id}, all events before {first.sequence}"
            raise self._terminal.refusal("HistoryBroken", f"{gone}; without --history the others are printed")
        self._terminal.document({"events": list[Json](render_history(self._events))})


def _print_summaries(terminal: Terminal, found: list[Summary]) -> None:
    from rich.table import Table
    from rich.text import Text

    from processor.apps.render.values import render_time

    if not found:
        terminal.say("asl: no execution")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("execution", "status", "started", "stopped", "revision"):
        table.add_column(column, no_wrap=column != "execution", overflow="fold")
    for summary in found:
        times = render_time(summary.started_at), render_time(summary.stopped_at)
        table.add_row(Text(summary.execution_id), summary.status, *times, summary.revision)
    terminal.table(table)


def _is_end(batch: tuple[AnyEvent, ...]) -> bool:
    from processor.model.events import TERMINAL_EVENTS

    return isinstance(batch[-1], TERMINAL_EVENTS)


def _pause() -> bool:
    time.sleep(_LOOK_EVERY_SECONDS)
    return False


def _unknown(execution_id: str, address: str) -> str:
    return f"{address} holds no execution {execution_id}; asl list shows those there are"
