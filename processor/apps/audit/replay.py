"""One execution's events in order, each with its place in the log, and the state that each leads to."""

from __future__ import annotations

from msgspec import Struct

from processor.apps.audit.folding import first_state, next_state
from processor.apps.executions import Seen, events_partition, ignore
from processor.engine.encoding import decode_events
from processor.engine.ports import Reader, Record
from processor.engine.topics import TopicNames
from processor.errors import HistoryBroken
from processor.model import events as e
from processor.model.execution import Execution


class Step(Struct, frozen=True, kw_only=True):
    """`record`: what holds the event. `after`: the state with it."""

    record: Record
    event: e.AnyEvent
    after: Execution


def replay(reader: Reader, names: TopicNames, execution_id: str, *, seen: Seen = ignore) -> list[Step]:
    """Return the steps up to the log's end as it is now; of what was purged, nothing, nor what compaction has left of
    it.

    Raises InvalidCommand for what is no execution id, TopicsUnfit, DecodingFailed, and HistoryBroken where the events
    do not follow each other or do not fold.
    """
    partition = events_partition(reader, names, execution_id)
    key, passed = f"{execution_id}#".encode(), 0
    steps: list[Step] = []
    broken: HistoryBroken | None = None
    for record in reader.read(names.events, partition):
        seen(record.offset + 1 - passed)
        passed = record.offset + 1
        if record.key is None or not record.key.startswith(key):
            continue
        if record.value is None:
            steps, broken = [], None
            continue
        for event in decode_events(record.value):
            try:
                after = _after(steps[-1].after if steps else None, event, partition)
                steps.append(Step(record=record, event=event, after=after))
            except HistoryBroken as fault:
                broken = broken or fault
    if broken is not None:
        raise broken
    return steps


def _after(execution: Execution | None, event: e.AnyEvent, partition: int) -> Execution:
    expected = 0 if execution is None else execution.sequence
    if event.sequence != expected:
        raise _broken(event, partition, f"number {event.sequence} stands where {expected} should")
    if execution is None:
        if isinstance(event, e.ExecutionStarted):
            return first_state(event)
        raise _broken(event, partition, f"begins with {type(event).__name__}")
    try:
        return next_state(execution, event)
    except Exception as fault:  # what is written cannot be undone, only told
        raise _broken(event, partition, f"number {event.sequence} raises {type(fault).__name__}: {fault}") from fault


def _broken(event: e.AnyEvent, partition: int, reason: str) -> HistoryBroken:
    return HistoryBroken(partition=partition, execution_id=event.execution_id, reason=reason)
