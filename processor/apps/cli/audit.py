"""Reading a log again: replay, its verification, export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processor.apps.cli.options import JsonOption, LogOption, PrefixOption, SettingsOption, opened_reader
from processor.apps.cli.outcome import WORKFLOW_FAILED
from processor.apps.cli.terminal import Terminal
from processor.errors import InvalidSettings

if TYPE_CHECKING:
    from processor.apps.audit.checks import Fault
    from processor.apps.audit.replay import Step
    from processor.engine.ports import Reader
    from processor.engine.topics import TopicNames
    from processor.model.ids import Millis
    from processor.model.json import Json


def replay(  # noqa: PLR0913, PLR0917 # each argument is an option of the command line
    execution_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="<state machine>:<name>; with --verify also --all.")
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", metavar="N", help="The state with event number N, of 0, 1, 2 …")
    ] = None,
    diff: Annotated[
        tuple[int, int] | None,
        typer.Option("--diff", metavar="N M", help="What events N + 1 to M have changed in the state."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the history and its states instead; exit 1 where there are faults.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --verify: every execution of the log.")] = False,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="A folder that asl export wrote, in place of a log.")
    ] = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Print an execution's events, who caused each, and the state that they come to."""
    terminal = Terminal(as_json=json)
    _check_usage(execution_id, at=at, diff=diff, verify=verify, everything=everything)
    with _source(source, log, settings, prefix) as (names, reader):
        if verify:
            _verify(terminal, names, reader, execution_id)
            return
        assert execution_id is not None
        steps = _read(terminal, names, reader, execution_id)
        if diff is not None:
            _tell_differences(terminal, names, steps, *diff)
        else:
            _tell_state(terminal, names, steps, at)


def _check_usage(
    execution_id: str | None, *, at: int | None, diff: tuple[int, int] | None, verify: bool, everything: bool
) -> None:
    if (execution_id is None) != everything:
        raise InvalidSettings(setting="ID", rule="must be given, or --all", example="asl replay order:4711")
    if everything and not verify:
        rule = "goes with --verify: a replay is of one execution"
        raise InvalidSettings(setting="--all", rule=rule, example="asl replay --verify --all")
    if sum((verify, at is not None, diff is not None)) > 1:
        raise InvalidSettings(setting="--at", rule="and --diff and --verify exclude each other", example="--at 3")
    if diff is not None and diff[0] > diff[1]:
        rule = f"must be two numbers, the lesser first, got {diff[0]} {diff[1]}"
        raise InvalidSettings(setting="--diff", rule=rule, example="--diff 3 7")


@contextmanager
def _source(
    folder: Path | None, log: str | None, settings: Path | None, prefix: str | None
) -> Iterator[tuple[TopicNames, Reader]]:
    if folder is not None:
        from processor.apps.audit.archive import ArchiveReader

        _compare_in_newest_format()
        archive = ArchiveReader.open(folder)
        yield archive.names, archive
        return
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        _compare_in_newest_format()
        yield opened.names, reader


def _compare_in_newest_format() -> None:
    """Nothing is written to a log here. Records are encoded to be compared, and may hold what the format that
    processors write for now has no place for."""
    from processor.engine.encoding import choose_write_format, shipped_codec

    choose_write_format(shipped_codec().formats[-1])


def _read(terminal: Terminal, names: TopicNames, reader: Reader, execution_id: str) -> list[Step]:
    from processor.apps.audit.replay import replay
    from processor.apps.executions import events_partition

    end = reader.end(names.events, events_partition(reader, names, execution_id))
    with terminal.progress("reading events", total=end) as progress:
        steps = replay(reader, names, execution_id, seen=progress)
    if not steps:
        raise terminal.refusal("UnknownExecution", f"there is no event of {execution_id}; asl list shows what there is")
    return steps


def _tell_state(terminal: Terminal, names: TopicNames, steps: list[Step], at: int | None) -> None:
    from processor.apps.render.audit import scopes_table, state_lines
    from processor.apps.render.state import state_json

    step = steps[-1] if at is None else _at(terminal, steps, at)
    _tell_events(terminal, names, steps if at is None else [step])
    if terminal.as_json:
        terminal.result({"at": step.event.sequence, "state": state_json(step.after)})
    else:
        typer.echo()
        typer.echo("\n".join(state_lines(step.after)))
        if step.after.scopes:
            typer.echo()
            terminal.table(scopes_table(step.after))


def _tell_differences(terminal: Terminal, names: TopicNames, steps: list[Step], first: int, last: int) -> None:
    from processor.apps.audit.differences import differences
    from processor.apps.render.audit import differences_table
    from processor.apps.render.state import state_json

    before, after = _at(terminal, steps, first), _at(terminal, steps, last)
    found = list(differences(state_json(before.after), state_json(after.after)))
    _tell_events(terminal, names, list(islice(steps, first + 1, last + 1)))
    if terminal.as_json:
        terminal.result({"from": first, "to": last, "differences": [one.as_json() for one in found]})
    else:
        typer.echo()
        terminal.table(differences_table(found))


def _at(terminal: Terminal, steps: list[Step], number: int) -> Step:
    if 0 <= number < len(steps):
        return steps[number]
    raise terminal.refusal("UnknownEvent", f"there is no event number {number}: they are 0 to {len(steps) - 1}")


def _tell_events(terminal: Terminal, names: TopicNames, steps: list[Step]) -> None:
    from processor.apps.audit.lines import event_line
    from processor.apps.render.audit import EVENT_COLUMNS, aligned, event_row

    if not terminal.as_json:
        typer.echo(aligned(EVENT_COLUMNS))
    for step in steps:
        if terminal.as_json:
            terminal.result(event_line(step.event, step.record, names))
        else:
            typer.echo(aligned(event_row(step.event, step.record, names)))


def _verify(terminal: Terminal, names: TopicNames, reader: Reader, execution_id: str | None) -> None:
    """Print every fault, and what was looked at; exit 1 where there is one. Partitions of an export whose files are not
    what was written are told, and not read."""
    from processor.apps.audit.archive import ArchiveReader
    from processor.apps.audit.checks import Fault
    from processor.apps.audit.verification import Verification
    from processor.apps.render.audit import counts_line
    from processor.apps.render.values import struct_json
    from processor.model.ids import parse_execution_id

    if execution_id is not None:
        parse_execution_id(execution_id)
    only = None if execution_id is None else frozenset((execution_id,))
    damaged: list[Fault] = []
    complete: dict[int, bool] = {}
    if isinstance(reader, ArchiveReader):
        complete = reader.complete
        damaged = [Fault(rule="FILE", topic=reader.place, partition=p, what=what) for p, what in reader.file_faults()]
    without = frozenset(fault.partition for fault in damaged)
    verification = Verification(reader, names, only=only, complete=complete, without=without)
    for fault in damaged:
        _tell_fault(terminal, fault)
    with terminal.progress("verifying events", total=verification.total()) as progress:
        for fault in verification.faults(seen=progress):
            _tell_fault(terminal, fault)
    counts = verification.counts
    counts.faults += len(damaged)
    if terminal.as_json:
        terminal.result({"verified": counts.faults == 0, **struct_json(counts)})
    else:
        terminal.say(f"asl: {counts_line(counts)}")
    if counts.faults:
        raise typer.Exit(WORKFLOW_FAILED)
    if execution_id is not None and not counts.records:
        raise terminal.refusal("UnknownExecution", f"there is no event of {execution_id}; asl list shows what there is")


def _tell_fault(terminal: Terminal, fault: Fault) -> None:
    from processor.apps.render.audit import fault_lines

    if terminal.as_json:
        terminal.result(fault.as_json())
    else:
        typer.echo("\n".join(fault_lines(fault)))


def export(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A folder, empty or not there, or to go on with.")],
    closed_before: Annotated[
        str | None,
        typer.Option("--closed-before", metavar="TIME", help="Only what ended before: 2026-01-31, or with T12:00:00Z."),
    ] = None,
    execution: Annotated[
        list[str] | None, typer.Option("--execution", metavar="ID", help="Only this one; may be repeated.")
    ] = None,
    log: LogOption = None,
    prefix: PrefixOption = None,
    settings: SettingsOption = None,
    json: JsonOption = False,
) -> None:
    """Write events, ends and definitions to files of JSON lines, verified; exit 1 where the log itself has faults, or
    lacks what was asked for."""
    from processor.adapters.clock import SystemClock
    from processor.apps.audit.archive import Selection
    from processor.apps.audit.export import Export

    terminal = Terminal(as_json=json)
    if closed_before is not None and execution:
        rule = "and --execution exclude each other"
        raise InvalidSettings(setting="--closed-before", rule=rule, example="--closed-before 2026-01-31")
    selection = Selection(
        closed_before=None if closed_before is None else _time(closed_before),
        executions=tuple(sorted(set(execution))) if execution else None,
    )
    with opened_reader(log=log, settings_file=settings, prefix=prefix) as (opened, reader):
        _compare_in_newest_format()
        exporting = Export(reader, opened.names, to, selection=selection, address=opened.address, clock=SystemClock())
        with terminal.progress("exporting events", total=exporting.total()) as progress:
            for fault in exporting.run(seen=progress):
                _tell_fault(terminal, fault)
    parts = exporting.manifest.parts
    told: dict[str, Json] = {
        "folder": str(to),
        "partitions": len(parts),
        "executions": sum(part.executions for part in parts),
        "events": sum(part.events.lines for part in parts),
        "ended": sum(part.closed.lines for part in parts),
        "faults": sum(part.faults for part in parts),
    }
    if json:
        terminal.result(told)
    else:
        typer.echo(", ".join([str(to), *(f"{count:,} {name}" for name, count in told.items() if name != "folder")]))
    wanted = len(selection.executions or ())
    if told["executions"] != wanted > 0:
        terminal.say(f"asl: of {wanted:,} executions asked for the log has {told['executions']:,}")
    if told["faults"] or told["executions"] != wanted > 0:
        raise typer.Exit(WORKFLOW_FAILED)


def _time(text: str) -> Millis:
    """Return a time of the command line; without a zone it is UTC."""
    from processor.model.ids import Millis

    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        rule, example = f"must be a date or a time, got {text!r}", "--closed-before 2026-01-31T12:00:00Z"
        raise InvalidSettings(setting="--closed-before", rule=rule, example=example) from None
    return Millis(round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000))
