"""Events as lines of JSON that say who caused what, and where both stand; and events of such lines.

A line is what `asl history --json` prints, with two places more: `record`, that of the event, and in `caused_by` that
of the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from inspect import get_annotations
from typing import Any, Final, TypeVar, cast, get_args

from msgspec import Struct

from processor.apps.render.events import event_json
from processor.engine.topics import TopicNames
from processor.errors import DecodingFailed
from processor.model import events as e
from processor.model.json import Json

S = TypeVar("S", bound=Struct)


def event_line(event: e.AnyEvent, *, names: TopicNames, partition: int, offset: int) -> dict[str, Json]:
    """Return {"event", envelope and fields, "caused_by" with the command's place, "record": the event's place}. The
    command's offset is None where the execution was not started on a log."""
    cause = event.caused_by
    place: dict[str, Json] = {"topic": names.commands, "partition": partition, "offset": cause.offset}
    by: dict[str, Json] = {"command_id": cause.command_id, "type": cause.type, "issuer": cause.issuer, **place}
    record: Json = {"topic": names.events, "partition": partition, "offset": offset}
    return event_json(event) | {"caused_by": by, "record": record}


def event_of_line(line: Mapping[str, Json]) -> e.AnyEvent:
    """Return the event of `event_line`, equal in every field. Raises DecodingFailed."""
    struct = _EVENTS.get(str(line.get("event")))
    if struct is None:
        raise DecodingFailed(what="a line", reason=f"{line.get('event')!r} is no event")
    return cast("e.AnyEvent", struct_of_json(struct, line))


def struct_of_json(struct: type[S], written: Mapping[str, Json]) -> S:
    """Return what `struct_json` has written; members that are no fields are passed over. Raises DecodingFailed."""
    try:
        fields: dict[str, Any] = {name: written[name] for name in struct.__struct_fields__}
        for name, read in _readers(struct):
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
