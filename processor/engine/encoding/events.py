"""Records of the events topic: batches of the consecutive events of one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from msgspec import Struct

from processor.engine.encoding.codec import shipped_codec
from processor.engine.encoding.schemas import Schema
from processor.engine.encoding.wire import Lacking, write_long
from processor.model.events import AnyEvent, Cause
from processor.model.ids import batch_key

BATCH_BYTES = 256 * 1024
TYPES_HEADER: Final = "event-types"
"""Names the classes of the events within, each once, in the order in which they come."""
_CLOSING_BYTES = 4  # at most: the count of a batch's events (none is shorter than 3 bytes), and the 0 after them


class EncodedBatch(Struct, frozen=True, kw_only=True):
    """One record, ready to be produced. `sequence` of its first event, `count` of its events."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    sequence: int
    count: int


class BatchHead(Struct, frozen=True, kw_only=True):
    """What a record says of all its events: `sequence` of the first, `count`, and the offset of their command."""

    execution_id: str
    sequence: int
    count: int
    command_offset: int | None


def encode_events(events: Sequence[AnyEvent]) -> tuple[EncodedBatch, ...]:
    """Return the records that hold the consecutive `events` of one command.

    A record's value is at most BATCH_BYTES long, unless a single event alone is longer. Raises ValueError where the
    events do not share their envelope or have a gap, for both would be lost in the writing, NotInWriteFormat.
    """
    if not events:
        return ()
    _check_consecutive(events)
    codec = shipped_codec()
    write_envelope, writers = _writers(codec.schema("EventBatch"))
    try:
        bodies = [writers[type(event)](event) for event in events]
    except (Lacking, KeyError) as fault:
        raise codec.lacks(fault) from fault
    batches: list[EncodedBatch] = []
    first = 0
    while first < len(bodies):
        head = write_envelope(events[first])
        last = _fitting(bodies, first, room=BATCH_BYTES - len(head) - _CLOSING_BYTES)
        batches.append(_close(events[first:last], head, bodies[first:last]))
        first = last
    return tuple(batches)


def decode_events(value: bytes) -> tuple[AnyEvent, ...]:
    """Return the events of a record. Raises DecodingFailed; UnknownSchema where a newer release wrote it."""
    return cast("tuple[AnyEvent, ...]", shipped_codec().decode(value, roots=("EventBatch",)))


def skim_events(value: bytes) -> BatchHead:
    """Return what a record says of all its events: a tenth of the work of `decode_events`. They may be anything; they
    are in one block, as `encode_events` writes them.

    Raises DecodingFailed; UnknownSchema where a newer release wrote it.
    """
    found = shipped_codec().skim(value, root="EventBatch")
    id, _, cause, sequence, count = cast("tuple[str, int, Cause, int, int]", found)
    return BatchHead(execution_id=id, sequence=sequence, count=count, command_offset=cause.offset)


_Writers: TypeAlias = tuple[Callable[[AnyEvent], bytes], Mapping[type, Callable[[AnyEvent], bytes]]]
_made: dict[str, _Writers] = {}


def _writers(schema: Schema) -> _Writers:
    """What comes before the events, header included; and one event, by its class."""
    made = _made.get(schema.fingerprint)
    if made is None:
        codec, header = shipped_codec(), schema.header
        envelope, writers = codec.writer("EventBatch", "EventBatch"), codec.branch_writers("EventBatch", "Event")
        made = _made[schema.fingerprint] = (lambda event: header + envelope(event), writers)
    return made


def _fitting(bodies: list[bytes], first: int, *, room: int) -> int:
    """The index after the last of `bodies` from `first` on that fit in `room` together: one at least."""
    if first == 0 and sum(map(len, bodies)) <= room:
        return len(bodies)
    for index in range(first, len(bodies)):
        room -= len(bodies[index])
        if room < 0 and index > first:
            return index
    return len(bodies)


def _close(events: Sequence[AnyEvent], head: bytes, bodies: list[bytes]) -> EncodedBatch:
    first = events[0]
    types = ",".join([event_type.__name__ for event_type in dict.fromkeys(map(type, events))])
    return EncodedBatch(
        key=batch_key(first.execution_id, first.sequence).encode(),
        value=b"".join((head, write_long(len(bodies)), *bodies, b"\x00")),
        headers=((TYPES_HEADER, types.encode()),),
        sequence=first.sequence,
        count=len(bodies),
    )


def _check_consecutive(events: Sequence[AnyEvent]) -> None:
    first = events[0]
    execution_id, time, cause = first.execution_id, first.time, first.caused_by
    for sequence, event in enumerate(events, first.sequence):
        if (
            event.sequence != sequence
            or event.time != time
            or event.execution_id != execution_id
            or (event.caused_by is not cause and event.caused_by != cause)
        ):
            raise ValueError(f"event {event.sequence} of {event.execution_id} does not follow {first.sequence}")
