"""Records of the events topic: batches of the consecutive events of one command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

from msgspec import Struct

from processor.engine.encoding.codec import shipped_codec
from processor.engine.encoding.wire import write_long
from processor.model.events import AnyEvent
from processor.model.ids import batch_key

BATCH_BYTES = 256 * 1024
_CLOSING_BYTES = 6  # at most: the count of a batch's events, and the 0 that ends them


class EncodedBatch(Struct, frozen=True, kw_only=True):
    """One record, ready to be produced. `sequence` of its first event, `count` of its events."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    sequence: int
    count: int


def encode_events(events: Sequence[AnyEvent]) -> tuple[EncodedBatch, ...]:
    """Return the records that hold the consecutive `events` of one command.

    A record's value is at most BATCH_BYTES long, unless a single event alone is longer. Raises ValueError where the
    events do not share their envelope or have a gap, for both would be lost in the writing.
    """
    batches: list[EncodedBatch] = []
    write_envelope, write_event = _writers()
    bodies: list[bytes] = []
    size = first = 0
    head = b""
    for index, event in enumerate(events):
        body = write_event(event)
        size += len(body)
        if size > BATCH_BYTES and bodies:
            batches.append(_close(events[first:index], head, bodies))
            bodies = []
        if not bodies:
            first = index
            head = write_envelope(event)
            size = len(head) + len(body) + _CLOSING_BYTES
        bodies.append(body)
    if bodies:
        _check_consecutive(events)
        batches.append(_close(events[first:], head, bodies))
    return tuple(batches)


def decode_events(value: bytes) -> tuple[AnyEvent, ...]:
    """Return the events of a record. Raises DecodingFailed; UnknownSchema where a newer release wrote it."""
    return cast("tuple[AnyEvent, ...]", shipped_codec().decode(value, roots=("EventBatch",)))


@cache
def _writers() -> tuple[Callable[[AnyEvent], bytes], Callable[[AnyEvent], bytes]]:
    """What comes before the events, header included; and one event."""
    codec = shipped_codec()
    header, envelope = codec.header("EventBatch"), codec.writer("EventBatch", "EventBatch")
    return lambda event: header + envelope(event), codec.writer("EventBatch", "Event")


def _close(events: Sequence[AnyEvent], head: bytes, bodies: list[bytes]) -> EncodedBatch:
    first = events[0]
    types = ",".join(dict.fromkeys([type(event).__name__ for event in events]))
    return EncodedBatch(
        key=batch_key(first.execution_id, first.sequence).encode(),
        value=b"".join((head, write_long(len(bodies)), *bodies, b"\x00")),
        headers=(("event-types", types.encode()),),
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
