"""Writing workflows: check a definition, run one execution of it, run everything in one process."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer

from processor.apps.cli.options import (
    ContextOption,
    DefinitionArgument,
    InputOption,
    JsonOption,
    LogOption,
    PrefixOption,
    S3Option,
    SettingsOption,
    TypeOption,
    WorkerOption,
    machine_type,
    opened_log,
)
from processor.apps.cli.outcome import report_end, report_rejection
from processor.apps.cli.terminal import Terminal, diagnostic_json, faults_table
from processor.errors import InvalidDefinition, InvalidSettings
from processor.model.json import Json

if TYPE_CHECKING:
    from processor.apps.executions import History, Rejections
    from processor.apps.roles import Roles
    from processor.apps.settings import Settings
    from processor.apps.worker import Worker
    from processor.engine.ports import Log, Record
    from processor.model.events import AnyEvent, MachineType, TaskScheduled

DEVELOPMENT_LOG: Final = "sqlite:asl-dev.db"
_LOOK_EVERY_SECONDS: Final = 0.02
_GRACE_SECONDS: Final = 2.0


def validate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Definitions in JSON, or in YAML by their suffix; - for standard input."),
    ],
    type: TypeOption = "STANDARD",
    json: JsonOption = False,
) -> None:
    """Check definitions; print every fault with its JSON pointer, exit 2 where there is one."""
    terminal, chosen = Terminal(as_json=json), machine_type(type)
    if not all([_is_valid(file, chosen, terminal) for file in files]):  # a list: all are looked at
        raise typer.Exit(2)


def _is_valid(file: Path, type: MachineType, terminal: Terminal) -> bool:
    from processor.apps.loading import load_definition
    from processor.interpreter.parse import parse

    try:
        workflow = parse(load_definition(file, stdin=sys.stdin), type=type)
    except InvalidDefinition as fault:
        faults: list[Json] = [diagnostic_json(d) for d in fault.diagnostics]
        if terminal.as_json:
            terminal.result({"file": str(file), "valid": False, "diagnostics": faults})
        else:
            terminal.table(faults_table(fault.diagnostics, file=file))
        return False
    if terminal.as_json:
        terminal.result({"file": str(file), "valid": True, "diagnostics": [], "revision": workflow.revision})
    else:
        typer.echo(f"{file}: valid, revision {workflow.revision}")
    return True


def run(
    file: DefinitionArgument,
    input: InputOption = "{}",
    worker: WorkerOption = None,
    s3: S3Option = None,
    context: ContextOption = None,
    json: JsonOption = False,
) -> None:
    """Run one execution here, in memory and in real time, and show commands and events side by side."""
    from processor.apps.loading import load_definition, load_json, load_workers, machine_name

    terminal = Terminal(as_json=json)
    with terminal.faults_of(file):
        definition = load_definition(file)
    given = load_json(input, option="--input", stdin=sys.stdin)
    user_context = None if context is None else load_json(context, option="--context", stdin=sys.stdin)
    workers = load_workers(worker or (), s3=s3)
    name = machine_name(file) or "workflow"
    with terminal.faults_of(file):
        _Run(terminal, workers).run(name, definition, given, user_context)


def dev(
    definition: Annotated[
        list[Path] | None, typer.Option("--definition", metavar="FILE", help="Deploy it first; may be repeated.")
    ] = None,
    worker: WorkerOption = None,
    s3: S3Option = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Run a processor, the timers and workers in one process, by default on a SQLite file, and show what happens."""
    from processor.apps.journal import log_to_stderr
    from processor.apps.loading import load_workers
    from processor.apps.roles import Roles, stopped_by_signals
    from processor.apps.settings import load_settings

    terminal = Terminal(as_json=json)
    chosen = load_settings(file=settings, log=log, prefix=prefix)
    if chosen.log is None:
        chosen = chosen.model_copy(update={"log": DEVELOPMENT_LOG})
    workers = load_workers(worker or (), s3=s3)
    log_to_stderr(as_json=json, level=logging.WARNING)  # what happens is shown; how the roles get there is not
    with opened_log(chosen) as opened, stopped_by_signals() as stop:
        _deploy_all(opened, definition or [], terminal)
        roles = Roles()
        try:
            _develop(opened, workers, roles, chosen, terminal, stop)
        finally:
            roles.close()
        if roles.failure is not None:
            raise roles.failure


class _Run:
    """One execution on a log in memory."""

    def __init__(self, terminal: Terminal, workers: Sequence[Worker]) -> None:
        self._terminal, self._workers = terminal, workers

    def run(self, machine: str, definition: Json, input: Json, context: Json) -> None:
        from processor.adapters.clock import SystemClock
        from processor.adapters.memory import MemoryLog
        from processor.apps.client import ISSUER, Client, new_command_id
        from processor.apps.executions import History, Rejections, describe
        from processor.apps.local import start_roles
        from processor.apps.render.events import event_json
        from processor.apps.roles import Roles
        from processor.engine.topics_setup import create_topics
        from processor.model.commands import StartExecution

        log = MemoryLog(clock=SystemClock())
        create_topics(log, partitions=1)
        execution_id, command_id = f"{machine}:{uuid4()}", new_command_id()
        reader = log.reader()
        start = StartExecution(
            execution_id=execution_id, command_id=command_id, issuer=ISSUER, input=input, context=context
        )
        history = History(reader, log.names, execution_id)
        rejections = Rejections(reader, log.names, execution_id=execution_id, command_id=command_id)
        with Client(log, SystemClock()) as client:
            client.deploy(state_machine=machine, definition=definition)
            client.send(start)
        roles = Roles()
        start_roles(roles, log, self._workers, slot="0", grace_seconds=_GRACE_SECONDS)
        try:
            self._watch(history, rejections, roles)
        finally:
            roles.close()
        batches = History(reader, log.names, execution_id).read()
        events: list[Json] = [event_json(event) for batch in batches for event in batch]
        description = describe(History(reader, log.names, execution_id))
        if description is not None:
            report_end(self._terminal, description, events=events)

    def _watch(self, history: History, rejections: Rejections, roles: Roles) -> None:
        from processor.apps.cli.live import LiveView
        from processor.apps.executions import follow
        from processor.model.records import Rejection

        view = None if self._terminal.as_json else LiveView(stderr=True)
        for seen in follow(history, pause=lambda: _pause(roles), rejections=rejections):
            if isinstance(seen, Rejection):
                report_rejection(self._terminal, seen)
                return
            if view is not None:
                view.show(seen)
            for event in seen:
                self._check_worker(event)
        if roles.failure is not None:
            raise roles.failure

    def _check_worker(self, event: AnyEvent) -> None:
        """A task that nobody runs ends the run at once, unless its timeout will go on with the workflow."""
        from processor.apps.local import has_function_for
        from processor.model.events import TaskScheduled

        if not isinstance(event, TaskScheduled) or has_function_for(event, self._workers):
            return
        if event.timeout_at is None and event.heartbeat_at is None:
            raise InvalidSettings(
                setting=f"the Task {event.state}",
                rule=f"asks for {_resource(event)}, and no worker that was given has a function for it",
                example="asl run FILE --worker examples/order/workers.py",
            )
        self._terminal.say(
            f"asl: the Task {event.state} asks for {_resource(event)}, and no worker that was given has a function "
            "for it: it will time out"
        )


def _resource(event: TaskScheduled) -> str:
    from processor.apps.worker.routes import routes_of

    return event.resource if event.kind in ("LAMBDA", "ACTIVITY") else routes_of(event)[-1]


def _pause(roles: Roles) -> bool:
    time.sleep(_LOOK_EVERY_SECONDS)
    return roles.failure is not None


def _develop(
    log: Log, workers: Sequence[Worker], roles: Roles, settings: Settings, terminal: Terminal, stop: Callable[[], bool]
) -> None:
    from processor.apps.local import Tail, start_roles

    reader = log.reader()
    try:
        events, rejections, dead = (
            Tail(reader, topic) for topic in (log.names.events, log.names.rejections, log.names.dead_letters)
        )
        start_roles(roles, log, workers, slot=settings.slot, grace_seconds=_GRACE_SECONDS)
        terminal.say(f"asl: processor, timers and {len(workers)} workers on {log.address}; Ctrl-C ends them")
        show = _DevView(terminal)
        ending = False
        while not ending:
            ending = stop() or roles.failure is not None  # asked first: what was written before is still shown
            for record in events.read():
                show.events(record)
            for record in rejections.read():
                show.rejection(record)
            for record in dead.read():
                show.dead_letter(record)
            time.sleep(_LOOK_EVERY_SECONDS * 5)
    finally:
        reader.close()


class _DevView:
    """What happens is the result of `asl dev`: rows for people, or a JSON object a line."""

    def __init__(self, terminal: Terminal) -> None:
        from processor.apps.cli.live import LiveView

        self._terminal = terminal
        self._rows = None if terminal.as_json else LiveView(shows_execution=True)

    def events(self, record: Record) -> None:
        from processor.apps.render.events import event_json
        from processor.engine.encoding import decode_events

        events = decode_events(record.value) if record.value is not None else ()
        if self._rows is None:
            for event in events:
                self._terminal.result(event_json(event))
        elif events:
            self._rows.show(events)

    def rejection(self, record: Record) -> None:
        from processor.apps.render.refusals import rejection_json
        from processor.engine.encoding import decode_rejection

        if record.value is None:
            return
        rejection = decode_rejection(record.value)
        if self._rows is None:
            self._terminal.result(rejection_json(rejection))
        else:
            self._rows.show_rejection(rejection)

    def dead_letter(self, record: Record) -> None:
        from processor.apps.render.refusals import dead_letter_json

        if self._rows is None:
            self._terminal.result(dead_letter_json(record))
        else:
            self._rows.show_dead_letter(record)


def _deploy_all(log: Log, files: Sequence[Path], terminal: Terminal) -> None:
    from processor.adapters.clock import SystemClock
    from processor.apps.client import Client
    from processor.apps.loading import load_definition, machine_name

    with Client(log, SystemClock()) as client:
        for file in files:
            machine = machine_name(file)
            with terminal.faults_of(file):
                revision = client.deploy(state_machine=machine, definition=load_definition(file))
            terminal.say(f"asl: deployed {machine}, revision {revision}")
