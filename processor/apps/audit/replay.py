"""One execution's events in order, each with its place in the log, and the state that each leads to."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from processor.apps.audit.folding import first_state, next_state
from processor.apps.executions import Seen, events_partition, ignore
from processor.engine.encoding import decode_events
from processor.engine.ports import Reader
from processor.engine.topics import TopicNames
from processor.errors import HistoryBroken
from processor.model import events as e
from processor.model.execution import Execution


class Step(Struct, frozen=True, kw_only=True):
    """`offset`: of the record that holds the event. `after`: the state with it."""

    partition: int
    offset: int
    event: e.AnyEvent
    after: Execution


def replay(reader: Reader, names: TopicNames, execution_id: str, *, seen: Seen = ignore) -> Iterator[Step]:
    """Yield the steps up to the log's end as it is now. Where the execution was purged they begin anew, with number 0.

    Raises InvalidCommand for what is no execution id, TopicsUnfit, DecodingFailed, and HistoryBroken where the events
    do not follow each other or do not fold.
    """
    partition = events_partition(reader, names, execution_id)
    key, passed = f"{execution_id}#".encode(), 0
    execution: Execution | None = None
    for record in reader.read(names.events, partition):
        seen(record.offset + 1 - passed)
        passed = record.offset + 1
        if record.key is None or not record.key.startswith(key):
            continue
        if record.value is None:
            execution = None if execution is None or execution.closed else execution
            continue
        for event in decode_events(record.value):
            execution = _after(execution, event, partition)
            yield Step(partition=partition, offset=record.offset, event=event, after=execution)


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
