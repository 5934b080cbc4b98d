"""Events as lines of JSON that say who caused what, and where both stand; and events of such lines.

A line is what `asl history --json` prints, with two places more: `record`, that of the event, and in `caused_by` that
of the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import get_annotations
from typing import Any, Final, TypeVar, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from processor.apps.render.events import event_json
from processor.apps.render.values import struct_json
from processor.engine.encoding import (
    TYPES_HEADER,
    decode_closed,
    decode_definition_record,
    decode_events,
    encode_closed,
    encode_definition_record,
    encode_events,
)
from processor.engine.ports import Headers, Record
from processor.engine.topics import TopicNames, moves_of
from processor.errors import DecodingFailed
from processor.model import events as e
from processor.model.ids import EPOCH
from processor.model.json import Json, json_bytes, parse_json
from processor.model.records import ClosedExecution, Definition

S = TypeVar("S", bound=Struct)


class Place(Struct, frozen=True):
    """`topic` None: under another prefix, whose name the record does not tell."""

    topic: str | None
    partition: int
    offset: int | None


def command_place(event: e.AnyEvent, record: Record, names: TopicNames) -> Place:
    """Return where the command stands that caused an event of this record: its offset is None outside a log."""
    moves = moves_of(record.headers)
    if moves:  # it stood in the partition in which the first of them found its event
        return Place(None, moves[-1][0], event.caused_by.offset)
    return Place(names.commands, record.partition, event.caused_by.offset)


def event_line(event: e.AnyEvent, record: Record, names: TopicNames) -> dict[str, Json]:
    """Return {"event", envelope and fields, "caused_by" with the command's place, "record": the event's place}."""
    cause = event.caused_by
    by: dict[str, Json] = {"command_id": cause.command_id, "type": cause.type, "issuer": cause.issuer}
    return event_json(event) | {
        "caused_by": by | struct_json(command_place(event, record, names)),
        "record": _place(record),
    }


def event_of_line(line: Mapping[str, Json]) -> e.AnyEvent:
    """Return the event of `event_line`, equal in every field. Raises DecodingFailed."""
    struct = _EVENTS.get(str(line.get("event")))
    if struct is None:
        raise DecodingFailed(what="a line", reason=f"{line.get('event')!r} is no event")
    return cast("e.AnyEvent", struct_of_json(struct, line))


def struct_of_json(struct: type[S], written: Mapping[str, Json]) -> S:
    """Return what `struct_json` has written; members that are no fields are passed over, a field that an earlier
    release did not have is at its default. Raises DecodingFailed."""
    try:
        fields: dict[str, Any] = {name: written[name] for name in struct.__struct_fields__ if name in written}
        for name, read in _readers(struct):
            if name in fields:
                fields[name] = read(fields[name])
        return struct(**fields)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise DecodingFailed(what=struct.__name__, reason=f"{type(fault).__name__}: {fault}") from None


def _optional(read: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: None if value is None else read(value)


_BY_ANNOTATION: Final[dict[str, Callable[[Any], object]]] = {
    "bytes": bytes.fromhex,
    "bytes | None": _optional(bytes.fromhex),
    "ScopeKey": tuple,
    "tuple[str, ...]": tuple,
    "Cause": lambda value: struct_of_json(e.Cause, value),
    "Parent | None": _optional(lambda value: struct_of_json(e.Parent, value)),
}
"""Where JSON has no type of its own; everything else is itself."""

_EVENTS: Final[Mapping[str, type[e.Event]]] = {struct.__name__: struct for struct in get_args(e.AnyEvent)}


@cache
def _readers(struct: type[Struct]) -> tuple[tuple[str, Callable[[Any], object]], ...]:
    annotations: dict[str, str] = {}
    for one in reversed(struct.__mro__):
        annotations |= get_annotations(one)
    return tuple(
        (name, _BY_ANNOTATION[annotations[name]])
        for name in struct.__struct_fields__
        if annotations[name] in _BY_ANNOTATION
    )


# ---- records of a log as lines, and back


def lines_of(record: Record, names: TopicNames) -> tuple[Record, list[bytes]]:
    """Return the lines of a record, one for each event of a record of events, and the record as `record_of` reads them
    again: without the log's timestamp, and without the state that closed keeps for a redrive, which only the release
    that wrote it can read. What cannot be told so is one raw line, with the bytes as hex digits."""
    told = _readable(record, names)
    if told is not None:
        plain, lines = told[0], [json_bytes(line) for line in told[1]]
        # Read once, so that nothing depends on what lines are believed to hold.
        if record_of([cast("dict[str, Json]", parse_json(line)) for line in lines], names) == plain:
            return plain, lines
    raw: dict[str, Json] = {
        "key": None if record.key is None else record.key.hex(),
        "value": None if record.value is None else record.value.hex(),
        "headers": [[name, value.hex()] for name, value in record.headers],
    }
    return replace(record, time=EPOCH), [json_bytes({"raw": raw, "record": _place(record)})]


def record_of(lines: Sequence[Mapping[str, Json]], names: TopicNames) -> Record:
    """Return the record of all its lines; its time is 0. Raises DecodingFailed."""
    try:
        place = cast("dict[str, Any]", lines[0]["record"])
        topic, partition, offset = str(place["topic"]), int(place["partition"]), int(place["offset"])
    except (KeyError, TypeError, ValueError) as fault:
        raise DecodingFailed(what="a line", reason=f"says no record: {fault}") from None
    if "raw" in lines[0]:
        key, value, headers = _raw(lines[0]["raw"])
    else:
        key, value, headers = _content(lines, topic, names)
        headers = (*_headers(place.get("headers", [])), *headers)
    return Record(topic=topic, partition=partition, offset=offset, key=key, value=value, headers=headers, time=EPOCH)


def _place(record: Record) -> dict[str, Json]:
    """Where a record stands, and the headers that do not follow from its content."""
    place: dict[str, Json] = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    further = [[name, value.hex()] for name, value in record.headers if name != TYPES_HEADER]
    return place | {"headers": cast("Json", further)} if further else place


def _readable(record: Record, names: TopicNames) -> tuple[Record, list[dict[str, Json]]] | None:
    """Return the record as it will be read again, in today's encoding, and its lines; None where it has none."""
    if record.value is None:
        return None
    written = replace(record, time=EPOCH)
    try:
        if record.topic == names.events:
            events = decode_events(record.value)
            [batch] = encode_events(events)
            return replace(written, value=batch.value), [event_line(event, record, names) for event in events]
        if record.topic == names.closed:
            ended = replace(decode_closed(record.value), state=None)
            return replace(written, value=encode_closed(ended)), [struct_json(ended) | {"record": _place(record)}]
        found = decode_definition_record(record.value)
    except (DecodingFailed, ValueError):
        return None
    if not isinstance(found, Definition):
        return None
    return replace(written, value=encode_definition_record(found)), [struct_json(found) | {"record": _place(record)}]


def _raw(written: Json) -> tuple[bytes | None, bytes | None, Headers]:
    try:
        line = cast("dict[str, Json]", written)
        key, value = (None if part is None else bytes.fromhex(cast(str, part)) for part in (line["key"], line["value"]))
        headers = _headers(line["headers"])
    except (KeyError, TypeError, ValueError) as fault:
        raise DecodingFailed(what="a raw line", reason=f"{type(fault).__name__}: {fault}") from None
    return key, value, headers


def _headers(written: Json) -> Headers:
    return tuple((name, bytes.fromhex(text)) for name, text in cast("list[list[str]]", written))


def _content(
    lines: Sequence[Mapping[str, Json]], topic: str, names: TopicNames
) -> tuple[bytes | None, bytes | None, Headers]:
    if topic == names.events:
        try:
            [batch] = encode_events([event_of_line(line) for line in lines])
        except (ValueError, TypeError) as fault:
            raise DecodingFailed(what="lines of events", reason=str(fault)) from None
        return batch.key, batch.value, batch.headers
    if topic == names.closed:
        ended = struct_of_json(ClosedExecution, lines[0])
        return ended.execution_id.encode(), encode_closed(ended), ()
    definition = struct_of_json(Definition, lines[0])
    key = f"{definition.state_machine}#{definition.revision}".encode()
    return key, encode_definition_record(definition), ()
