"""Writing workflows: check a definition, run one execution of it, run everything in one process."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from processor.apps.cli.options import (
    JsonOption,
    LogOption,
    PrefixOption,
    S3Option,
    SettingsOption,
    SeverityOption,
    TypeOption,
    WorkerOption,
    machine_type,
    opened_log,
    severity_of,
)
from processor.apps.cli.terminal import Terminal, diagnostic_json, faults_table
from processor.errors import Diagnostic, InvalidDefinition, Severity
from processor.model.json import Json

if TYPE_CHECKING:
    from processor.apps.roles import Roles
    from processor.apps.settings import Settings
    from processor.apps.worker import Worker
    from processor.engine.ports import Log, Record
    from processor.model.events import MachineType

DEVELOPMENT_LOG: Final = "sqlite:asl-dev.db"
_LOOK_EVERY_SECONDS: Final = 0.02
_GRACE_SECONDS: Final = 2.0


def validate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Definitions in JSON, or in YAML by their suffix; - for standard input."),
    ],
    type: TypeOption = "STANDARD",
    severity: SeverityOption = "WARNING",
    json: JsonOption = False,
) -> None:
    """Check definitions; print every fault and warning with its place, exit 2 where there is a fault."""
    terminal, chosen, least = Terminal(as_json=json), machine_type(type), severity_of(severity)
    if not all([_is_valid(file, chosen, least, terminal) for file in files]):  # a list: all are looked at
        raise typer.Exit(2)


def _is_valid(file: Path, type: MachineType, least: Severity, terminal: Terminal) -> bool:
    from processor.apps.loading import read_source
    from processor.apps.unsupported import check_support
    from processor.interpreter.parse import parse

    revision: str | None = None
    found: Sequence[Diagnostic] = ()
    try:
        source = read_source(file, stdin=sys.stdin)
        try:
            workflow = parse(source.value, type=type)
            warnings = (*workflow.warnings, *check_support(workflow.definition))
            revision, found = workflow.revision, source.located(warnings)
        except InvalidDefinition as fault:
            found = source.located(fault.diagnostics)
    except InvalidDefinition as fault:  # no definition at all
        found = fault.diagnostics
    told = [diagnostic for diagnostic in found if least == "WARNING" or diagnostic.severity == "ERROR"]
    if terminal.as_json:
        result: dict[str, Json] = {
            "file": str(file),
            "valid": revision is not None,
            "result": "FAIL" if revision is None else "OK",
        }
        revised: dict[str, Json] = {} if revision is None else {"revision": revision}
        diagnostics: list[Json] = [diagnostic_json(d) for d in told]
        terminal.result({**result, "diagnostics": diagnostics, **revised})
        return revision is not None
    if told:
        terminal.table(faults_table(told, file=file))
    if revision is not None:
        typer.echo(f"{file}: valid, revision {revision}")
    return revision is not None


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


def _develop(
    log: Log, workers: Sequence[Worker], roles: Roles, settings: Settings, terminal: Terminal, stop: Callable[[], bool]
) -> None:
    from processor.adapters.clock import SystemClock
    from processor.apps.janitor import Janitor
    from processor.apps.local import Tail, start_roles
    from processor.apps.recovery import replay_of

    reader = log.reader()
    try:
        events, rejections, dead = (
            Tail(reader, topic) for topic in (log.names.events, log.names.rejections, log.names.dead_letters)
        )
        start_roles(roles, log, workers, slot=settings.own_slot, grace_seconds=_GRACE_SECONDS)
        roles.start("janitor", lambda: Janitor(log, SystemClock(), retention=settings.retention))
        terminal.say(f"asl: processor, timers, janitor and {len(workers)} workers on {log.address}; Ctrl-C ends them")
        show = _DevView(terminal)
        ending = False
        while not ending:
            ending = stop() or roles.failure is not None  # asked first: what was written before is still shown
            for record in events.read():
                show.events(record)
            for record in rejections.read():
                show.rejection(record)
            for record in dead.read():
                if replay_of(record) is None:
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
