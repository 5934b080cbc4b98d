"""What may be wrong with a log, what was looked at, and what a record of events must be by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from processor.apps.audit.differences import Difference
from processor.apps.render.values import struct_json
from processor.engine.encoding import TYPES_HEADER
from processor.engine.ports import Record
from processor.model import events as e
from processor.model.execution import Execution
from processor.model.ids import batch_key
from processor.model.json import Json

Rule: TypeAlias = Literal[
    "UNREADABLE",  # bytes that are not what their topic promises
    "KEY",  # the key is not its content's
    "TYPES",  # the header event-types names other events than those within
    "PARTITION",  # the execution belongs in another partition
    "GAP",  # a number is missing
    "DOUBLED",  # a number, or a command, comes again
    "TOGETHER",  # another command's events stand between those of one
    "TIME",  # time runs backwards
    "FOLD",  # evolving raises
    "AFTER_END",  # it goes on after its end without a redrive
    "NO_BEGINNING",  # its first event is missing, though nothing was deleted by age
    "NO_END",  # its beginning was deleted by age, and it has not ended
    "TOMBSTONE",  # a purge of what is open
    "DEFINITION",  # its revision is missing, or cannot run
    "SNAPSHOT",  # a snapshot is not the fold of the events before it
    "CHECKPOINT",  # an event before it that no snapshot covers
    "FILE",  # a file of an export is not what its manifest says
    "CLOSED",  # the record of its end is missing, or disagrees
]


class Fault(Struct, frozen=True, kw_only=True):
    """`offset` None: what is wrong is that something is not there. `differences`: from what the events say to what
    stands there."""

    rule: Rule
    topic: str
    partition: int
    offset: int | None = None
    execution_id: str | None = None
    what: str
    differences: tuple[Difference, ...] = ()

    def as_json(self) -> dict[str, Json]:
        plain = {name: value for name, value in struct_json(self).items() if name != "differences"}
        return plain | {"differences": [difference.as_json() for difference in self.differences]}


class Counts(Struct, kw_only=True):
    """What a verification has looked at. `cut_off`: histories without a beginning, which was deleted by age;
    `unchecked`: snapshots and records of closed that no history is left for, or that another release wrote."""

    partitions: int = 0
    records: int = 0
    events: int = 0
    executions: int = 0
    ended: int = 0
    purged: int = 0
    cut_off: int = 0
    snapshots: int = 0
    closed: int = 0
    unchecked: int = 0
    faults: int = 0


def record_faults(record: Record, events: tuple[e.AnyEvent, ...]) -> Iterator[tuple[Rule, str]]:
    """Yield what is wrong with a record of events, whatever came before it."""
    first = events[0]
    if record.key != batch_key(first.execution_id, first.sequence).encode():
        yield "KEY", f"the key is {_text(record.key)}, of events that begin with number {first.sequence}"
    types = dict(record.headers).get(TYPES_HEADER)
    within = ",".join(dict.fromkeys(type(event).__name__ for event in events))
    if types is not None and types != within.encode():
        yield "TYPES", f"the header {TYPES_HEADER} says {_text(types)}, within are {within}"


def continuation_faults(
    execution: Execution, first: e.AnyEvent, *, comparable: bool = True
) -> Iterator[tuple[Rule, str]]:
    """Yield what is wrong with the cause and the time of the events that begin with `first`, the execution's next.

    Commands apply in the order of their offsets, each once; what a command leaves at rest goes on with another one,
    but for a quarantine, which carries the last cause. `comparable`: both offsets are of one topic.
    """
    before, cause = execution.caused_by, first.caused_by
    if comparable and before.offset is not None and cause.offset is not None:
        number, now, then = first.sequence, _command(cause), _command(before)
        if cause.offset < before.offset:
            yield "TOGETHER", f"number {number} is of {now}, and stands behind events of {then}"
        elif cause.offset == before.offset and cause != before:
            yield "TOGETHER", f"number {number} is of {now}, and those before it are of {then}, at the same offset"
        elif cause == before and execution.at_rest and not isinstance(first, e.ExecutionQuarantined):
            yield "DOUBLED", f"{now} is applied again with number {number}: it was done before"
    if first.time < execution.time:
        yield "TIME", f"number {first.sequence} is of {first.time}, {execution.time - first.time} ms before the last"


def _command(cause: e.Cause) -> str:
    return f"{cause.type} {cause.command_id} at offset {cause.offset}"


def _text(value: bytes | None) -> str:
    return "none" if value is None else value.decode("utf-8", "replace")
