"""What went wrong and can be mended: executions in quarantine, and dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from processor.apps.executions import purged_id, topic_partitions
from processor.engine.encoding import TYPES_HEADER, decode_events
from processor.engine.ports import Message, Reader, Record
from processor.engine.topics import TopicNames
from processor.model import events as e
from processor.model.ids import Millis


class Quarantined(Struct, frozen=True, kw_only=True):
    """An execution that waits for its release. `sequence`: of the event that says so."""

    execution_id: str
    since: Millis
    sequence: int
    reason: str


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record of dead-letters: where it came from and why it could not be read. `whole`: nothing of it is cut off."""

    partition: int
    offset: int
    time: Millis
    reason: str
    origin: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    whole: bool


_CHANGES: Final = frozenset(
    t.__name__ for t in (e.ExecutionQuarantined, e.ExecutionReleased, e.ExecutionRedriven, *e.TERMINAL_EVENTS)
)
_OWN_HEADERS: Final = ("asl-reason", "asl-topic", "asl-partition", "asl-offset")


def quarantined(reader: Reader, names: TopicNames) -> list[Quarantined]:
    """Return the executions that are in quarantine, the longest first. Reads all events, and decodes few of them."""
    found: dict[str, Quarantined] = {}
    for partition in range(topic_partitions(reader, names.events)):
        for record in reader.read(names.events, partition):
            if record.value is None:
                found.pop(purged_id(record), None)
                continue
            types = dict(record.headers).get(TYPES_HEADER)
            if types is not None and _CHANGES.isdisjoint(types.decode().split(",")):
                continue
            for event in decode_events(record.value):
                _note(found, event)
    return sorted(found.values(), key=lambda one: (one.since, one.execution_id))


def _note(found: dict[str, Quarantined], event: e.AnyEvent) -> None:
    if isinstance(event, e.ExecutionQuarantined):
        found[event.execution_id] = Quarantined(
            execution_id=event.execution_id, since=event.time, sequence=event.sequence, reason=event.reason
        )
    elif type(event).__name__ in _CHANGES:
        found.pop(event.execution_id, None)


def dead_letters(reader: Reader, names: TopicNames) -> Iterator[DeadLetter]:
    """Yield what is left of dead-letters, partition by partition."""
    for partition in range(topic_partitions(reader, names.dead_letters)):
        for record in reader.read(names.dead_letters, partition):
            yield _letter(record)


def _letter(record: Record) -> DeadLetter:
    headers = dict(record.headers)
    reason, topic, partition, offset = (headers.get(name, b"?").decode(errors="replace") for name in _OWN_HEADERS)
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        time=record.time,
        reason=reason,
        origin=f"{topic}[{partition}]@{offset}",
        key=record.key,
        value=record.value,
        headers=tuple(h for h in record.headers if h[0] not in _OWN_HEADERS),
        whole="asl-truncated" not in headers and "asl-truncated-key" not in headers,
    )


def replayed(letter: DeadLetter, names: TopicNames) -> Message:
    """Return the message that sends a dead letter to the commands again, as it came."""
    return Message(topic=names.commands, key=letter.key, value=letter.value, headers=letter.headers)
