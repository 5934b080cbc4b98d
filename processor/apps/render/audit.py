"""Replayed events, states, differences and faults for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import UnsetType, structs

from processor.apps.audit.checks import Counts, Fault
from processor.apps.audit.differences import Difference
from processor.apps.audit.lines import command_place
from processor.apps.render.events import render_cause, render_details, render_failure, render_place
from processor.apps.render.state import scope_name
from processor.apps.render.values import render_short, render_time
from processor.engine.ports import Record
from processor.engine.topics import TopicNames
from processor.model import events as e
from processor.model.execution import Branches, Execution, Iterations, Phase
from processor.model.json import Json

if TYPE_CHECKING:
    from rich.table import Table

EVENT_COLUMNS = ("sequence", "time", "event", "state", "details", "at", "caused by")
_WIDTHS = (8, 24, 22, 22, 60, 24, 0)


def event_row(event: e.AnyEvent, record: Record, names: TopicNames) -> tuple[str, ...]:
    """Return the cells under EVENT_COLUMNS: what happened, where it is written, who caused it by which command."""
    cause, at = event.caused_by, command_place(event, record, names)
    by = render_cause(cause)
    if cause.command_id:
        by += f", command {cause.command_id}"
    if cause.offset is not None:
        by += f" at {at.topic or 'another prefix'}[{at.partition}]@{at.offset}"
    return (
        str(event.sequence),
        render_time(event.time),
        type(event).__name__,
        render_place(event),
        render_details(event),
        f"{record.topic}[{record.partition}]@{record.offset}",
        by,
    )


def aligned(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def state_lines(execution: Execution) -> list[str]:
    """Return `name  value` lines of what the execution as a whole has come to."""
    rows = [
        ("execution", execution.execution_id),
        ("status", execution.status),
        ("revision", execution.workflow.revision),
        ("events", f"{execution.sequence}, of AWS's {execution.aws_events}"),
    ]
    if execution.timeout_at is not None:
        rows.append(("times out", render_time(execution.timeout_at)))
    if execution.redrive_count:
        rows.append(("redriven", f"{execution.redrive_count} times, last {render_time(execution.redrive_time)}"))
    if execution.quarantined is not None:
        rows.append(("quarantined", execution.quarantined))
    if execution.status == "SUCCEEDED":
        rows.append(("output", render_short(execution.output, width=2_000)))
    elif failure := render_failure(execution.error, execution.cause, width=2_000):
        rows.append(("failure", failure))
    return [f"{name:<12}{value}" for name, value in rows]


def scopes_table(execution: Execution) -> Table:
    """Return a row for each line of control: where it is, what it waits for, what it holds."""
    columns = ("scope", "state", "phase", "value", "variables", "children")
    rows = []
    for key in sorted(execution.scopes):
        scope = execution.scopes[key]
        variables: Json = {name: scope.variables[name] for name in sorted(scope.variables)}
        children = _children(scope.children)
        phase, value = _phase(scope.phase), render_short(scope.value)
        rows.append(
            (scope_name(key), scope.state, phase, value, render_short(variables) if variables else "", children)
        )
    return _table(columns, rows)


def differences_table(found: Sequence[Difference]) -> Table:
    return _table(("path", "old", "new"), ((one.path, _side(one.old), _side(one.new)) for one in found))


def fault_lines(fault: Fault) -> Iterator[str]:
    """Yield where, rule and what; then a line for each of the first differences."""
    place = f"{fault.topic}[{fault.partition}]" + ("" if fault.offset is None else f"@{fault.offset}")
    whose = "" if fault.execution_id is None else f"{fault.execution_id}: "
    yield f"{place}  {fault.rule}  {whose}{fault.what}"
    for one in fault.differences[:_TOLD]:
        yield f"    {one.path or '/'}: by the events {_side(one.old)}, it has {_side(one.new)}"
    if len(fault.differences) > _TOLD:
        yield f"    and {len(fault.differences) - _TOLD} more"


_TOLD = 10


def counts_line(counts: Counts) -> str:
    """Return all counts that are not 0, faults always."""
    told = {**structs.asdict(counts), "faults": counts.faults}
    parts = [f"{value:,} {name.replace('_', ' ')}" for name, value in told.items() if value or name == "faults"]
    return ", ".join(parts)


def _side(value: Json | UnsetType) -> str:
    return "nothing" if isinstance(value, UnsetType) else render_short(value, width=160)


def _phase(phase: Phase) -> str:
    fields = ((name, value) for name, value in structs.asdict(phase).items() if value not in (None, False))
    told = ", ".join(f"{name} {_told(name, value)}" for name, value in fields)
    return f"{type(phase).__name__}: {told}" if told else type(phase).__name__


def _told(name: str, value: Json) -> str:
    is_time = isinstance(value, int) and (name == "due" or name.endswith("_at") or name == "last_heartbeat")
    return render_time(value) if is_time else render_short(value) if name == "result" else str(value)  # type: ignore[arg-type]  # a Millis


def _children(children: Branches | Iterations | None) -> str:
    match children:
        case None:
            return ""
        case Branches():
            return f"{len(children.results)} of {children.count} ended"
        case Iterations():
            return f"{children.next_index} started, {children.running} running, of {len(children.items)} items"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
