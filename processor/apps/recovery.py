"""What went wrong and can be mended: executions in quarantine, and dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from processor.apps.executions import purged_id, topic_partitions
from processor.engine.encoding import TYPES_HEADER, decode_events
from processor.engine.ports import Message, Outbox, Reader, Record
from processor.engine.topics import MOVED_HEADER, WRITTEN_HEADER, TopicNames
from processor.model import events as e
from processor.model.ids import Millis


class Quarantined(Struct, frozen=True, kw_only=True):
    """An execution that waits for its release. `sequence`: of the event that says so."""

    execution_id: str
    since: Millis
    sequence: int
    reason: str


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record of dead-letters: where it came from and why it could not be read. `whole`: nothing of it is cut off.
    `replayed`: when it was last sent to the commands again."""

    partition: int
    offset: int
    time: Millis
    reason: str
    origin: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    whole: bool
    replayed: Millis | None


_CHANGES: Final = frozenset(
    t.__name__ for t in (e.ExecutionQuarantined, e.ExecutionReleased, e.ExecutionRedriven, *e.TERMINAL_EVENTS)
)
_OWN_HEADERS: Final = ("asl-reason", "asl-topic", "asl-partition", "asl-offset", MOVED_HEADER, WRITTEN_HEADER)

REPLAYED_HEADER: Final = "asl-replayed"
BATCH_RECORDS, BATCH_BYTES = 1_000, 4 << 20


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
    """Yield what is left of dead-letters, partition by partition. Reads them twice."""
    partitions = range(topic_partitions(reader, names.dead_letters))
    marks = {
        origin: _written(record)
        for partition in partitions
        for record in reader.read(names.dead_letters, partition)
        if (origin := replay_of(record)) is not None
    }
    for partition in partitions:
        for record in reader.read(names.dead_letters, partition):
            if replay_of(record) is None:
                yield _letter(record, marks)


def replay_of(record: Record) -> str | None:
    """Return the origin of the dead letter that was sent again, where a record of dead-letters says so; None where it
    is a letter. Those carry their command's own headers, whatever these are called, behind the reason."""
    headers = _first_of_each(record)
    replayed = None if "asl-reason" in headers else headers.get(REPLAYED_HEADER)
    return None if replayed is None else replayed.decode(errors="replace")


def _letter(record: Record, marks: Mapping[str, Millis]) -> DeadLetter:
    headers = _first_of_each(record)
    reason, topic, partition, offset = (headers.get(name, b"?").decode(errors="replace") for name in _OWN_HEADERS[:4])
    origin = f"{topic}[{partition}]@{offset}"
    if "asl-offset" not in headers:  # somebody else wrote it: it is from here
        origin = f"{record.topic}[{record.partition}]@{record.offset}"
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        time=_written(record),
        reason=reason,
        origin=origin,
        key=record.key,
        value=record.value,
        headers=tuple(h for h in record.headers if h[0] not in _OWN_HEADERS),
        whole="asl-truncated" not in headers and "asl-truncated-key" not in headers,
        replayed=marks.get(origin),
    )


def _written(record: Record) -> Millis:
    """Return when it was written first. What was carried over begins with saying so, before any header of a command."""
    for name, value in record.headers:
        if name == WRITTEN_HEADER and value.isdigit():
            return Millis(int(value))
        if name != MOVED_HEADER:
            break
    return record.time


def _first_of_each(record: Record) -> dict[str, bytes]:
    """A letter's own headers stand before those of its command, which may have the same names."""
    return dict(reversed(record.headers))


def replay(outbox: Outbox, letters: Iterable[DeadLetter], names: TopicNames) -> None:
    """Send dead letters to the commands again, as they came, and write beside each that it was: where `outbox` is
    atomic, both or neither."""
    batch: list[Message] = []
    for letter in letters:
        batch += (_sent_again(letter, names), _mark(letter, names))
        if len(batch) >= BATCH_RECORDS or sum(len(m.value or b"") for m in batch) >= BATCH_BYTES:
            outbox.send(batch)
            batch = []
    outbox.send(batch)


def _sent_again(letter: DeadLetter, names: TopicNames) -> Message:
    return Message(topic=names.commands, key=letter.key, value=letter.value, headers=letter.headers)


def _mark(letter: DeadLetter, names: TopicNames) -> Message:
    """By the letter's origin, for its place is another once the topics were migrated."""
    mark = (REPLAYED_HEADER, letter.origin.encode())
    return Message(topic=names.dead_letters, key=None, value=None, headers=(mark,), partition=letter.partition)
