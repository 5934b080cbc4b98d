"""The folded state of an execution ⇄ bytes: what snapshots hold, and what idle executions are in memory.

MessagePack. A struct is the array of its class's number and its fields; a field is written by its annotation, and a
class of the state with an annotation that is not in the table cannot be imported. Arrays, objects, long strings and
sets of variables are written once and shared again, however many scopes hold them: an iteration has one of its Map's
items, and the variables around it. The workflow is not written; the header names its revision.

A snapshot is a cache of events. So the format has no versions that are read for ever: STATE_FORMAT is derived from the
classes, and whoever meets another reads the events (docs/decisions/0016, 0018).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from inspect import get_annotations
from operator import attrgetter
from typing import Any, TypeAlias, cast, get_args

import msgspec
from immutables import Map
from msgspec import Struct

from processor.errors import DecodingFailed
from processor.model import execution as states
from processor.model.definition import Workflow
from processor.model.events import Cause, ExecutionStarted, MachineType, MapMode, Parent, StateType, TaskKind
from processor.model.execution import NO_VARIABLES, Execution, Scope
from processor.model.json import Json
from processor.model.records import Status
from processor.model.runnable import Runnable

Plain: TypeAlias = Any
"""What MessagePack writes as it is, and gives back untyped: a value of a wrong shape is DecodingFailed."""

_CLASSES: tuple[type[Struct], ...] = (
    Execution, Scope, ExecutionStarted, Cause, Parent,
    states.Next, states.Ended, states.Entered, states.Succeeded, states.Failed, states.Filling, states.Waiting,
    states.Retrying, states.Pending, states.Running, states.Cut,
    states.Branches, states.Iterations, states.MapRun, states.Child,
)  # fmt: skip


_LONG_TEXT = 32
"""Characters from which a string is worth looking up: a variable of 256 KiB is seen by every iteration."""


class StateHeader(Struct, frozen=True, array_like=True):
    """What is known of an encoded execution without decoding all of it. `sequence` is that of its next event."""

    state_machine: str
    revision: str
    sequence: int
    at_rest: bool
    body: bytes


def encode_execution(execution: Execution) -> bytes:
    """Return the bytes of an execution; equal ones may have different bytes, by what is shared within them."""
    writing = _Writing()
    root = writing.struct(execution)
    machine, revision = execution.started.state_machine, execution.workflow.revision
    body = _pack([root, writing.shared, writing.variables])
    header = StateHeader(machine, revision, execution.sequence, execution.at_rest, body)
    # A copy: the encoder's own bytes keep the room they were written in, half as much again, while they are held.
    return bytes(memoryview(_pack(header)))


def execution_header(data: bytes) -> StateHeader:
    """Raises DecodingFailed."""
    try:
        return _read_header(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise DecodingFailed(what="state", reason=str(fault)) from None


def decode_execution(data: bytes, workflow: Workflow) -> Execution:
    """Return the execution that was encoded, with its definition compiled. Raises DecodingFailed."""
    header = execution_header(data)
    try:
        root, shared, variables = msgspec.msgpack.decode(header.body)
        read = _Reading(shared, variables, workflow).struct(root)
    except (msgspec.DecodeError, TypeError, ValueError, LookupError) as fault:
        raise DecodingFailed(what="state", reason=f"{type(fault).__name__}: {fault}") from None
    if not isinstance(read, Execution):
        raise DecodingFailed(what="state", reason=f"holds a {type(read).__name__}")
    return read


_pack = msgspec.msgpack.Encoder().encode
_read_header = msgspec.msgpack.Decoder(StateHeader).decode


class _Writing:
    """`shared`: the arrays, objects and long strings met so far; `variables`: the sets of variables. Both by identity:
    what is written is held by the execution meanwhile."""

    def __init__(self) -> None:
        self.shared: list[Json] = []
        self.variables: list[list[Plain]] = []
        self._places: dict[int, tuple[int, ...]] = {}
        self._sets: dict[int, int] = {}

    def struct(self, value: Struct | None) -> Plain:
        if value is None:
            return None
        number, fields_of, others = _WRITERS[type(value)]
        written = [number, *fields_of(value)]
        for place, write in others:
            written[place] = write(self, written[place])
        return written

    def json(self, value: Json) -> Plain:
        """A short scalar as it is; anything else as an array: its place, or that of a Map's items and its index."""
        if not _is_shared(value):
            return value
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = (len(self.shared),)
            self.shared.append(value)
        return place

    def variables_of(self, value: Map[str, Json]) -> Plain:
        if not value:
            return None
        place = self._sets.get(id(value))
        if place is None:
            written = [name_or_value for item in value.items() for name_or_value in (item[0], self.json(item[1]))]
            place = self._sets[id(value)] = len(self.variables)
            self.variables.append(written)
        return place

    def map(self, value: Map[int, Json]) -> Plain:
        return [part for key, one in value.items() for part in (key, self.json(one))]

    def scopes(self, value: Map[tuple[int, ...], Scope]) -> Plain:
        written: list[Plain] = []
        for key in sorted(value):  # the outer ones first: an iteration's item is written as one of its Map's
            if key:
                self._note_item(value[key[:-1]].children, key[-1])
            written += (key, self.struct(value[key]))
        return written

    def _note_item(self, children: states.Children | None, index: int) -> None:
        if isinstance(children, states.Iterations) and index < len(children.items):
            item = children.items[index]
            if _is_shared(item):
                self._places.setdefault(id(item), (*self.json(children.items), index))

    def runnable(self, value: Runnable) -> Plain:
        return list(value)

    def jsons(self, value: tuple[Json, ...]) -> Plain:
        return [self.json(one) for one in value]

    def plain(self, value: Plain) -> Plain:
        return value

    def nothing(self, _: object) -> Plain:
        return None


def _is_shared(value: Json) -> bool:
    return isinstance(value, (list, dict)) or (isinstance(value, str) and len(value) > _LONG_TEXT)


class _Reading:
    def __init__(self, shared: list[Json], variables: list[list[Plain]], workflow: Workflow) -> None:
        self._shared, self._workflow = shared, workflow
        self._variables = [self._read_variables(written) for written in variables]

    def struct(self, value: Plain) -> Struct | None:
        if value is None:
            return None
        number, *written = value
        made, names, others = _READERS[number]
        fields = dict(zip(names, written, strict=True))
        for name, read in others:
            fields[name] = read(self, fields[name])
        read_struct: Struct = made(**fields)
        return read_struct

    def json(self, value: Plain) -> Json:
        if not isinstance(value, list):
            return cast(Json, value)
        place, *indexes = cast("list[int]", value)
        shared = self._shared[place]
        for index in indexes:
            shared = cast("list[Json]", shared)[index]
        return shared

    def _read_variables(self, written: list[Plain]) -> Map[str, Json]:
        return Map(zip(written[::2], map(self.json, written[1::2]), strict=True))

    def variables_of(self, value: Plain) -> Map[str, Json]:
        return NO_VARIABLES if value is None else self._variables[value]

    def map(self, value: Plain) -> Map[int, Json]:
        return Map(zip(value[::2], map(self.json, value[1::2]), strict=True))

    def scopes(self, value: Plain) -> Map[tuple[int, ...], Struct | None]:
        return Map(zip(map(tuple, value[::2]), map(self.struct, value[1::2]), strict=True))

    def runnable(self, value: Plain) -> Runnable:
        return Runnable(map(tuple, value))

    def jsons(self, value: Plain) -> tuple[Json, ...]:
        return tuple(map(self.json, value))

    def tuple(self, value: Plain) -> tuple[Plain, ...]:
        return tuple(value)

    def plain(self, value: Plain) -> Plain:
        return value

    def workflow(self, _: Plain) -> Workflow:
        return self._workflow

    def prepared(self, _: Plain) -> states.Prepared:
        return states.Prepared()


_Write: TypeAlias = Callable[[_Writing, object], Plain]
_Read: TypeAlias = Callable[[_Reading, Plain], object]

_STRUCT = (_Writing.struct, _Reading.struct)
_JSON = (_Writing.json, _Reading.json)
_PLAIN = (_Writing.plain, _Reading.plain)
_TUPLE = (_Writing.plain, _Reading.tuple)
_BY_ANNOTATION: dict[str, tuple[Callable[..., Plain], Callable[..., object]]] = {
    "Json": _JSON,
    "list[Json]": _JSON,
    "tuple[Json, ...]": (_Writing.jsons, _Reading.jsons),
    "Map[str, Json]": (_Writing.variables_of, _Reading.variables_of),
    "Map[int, Json]": (_Writing.map, _Reading.map),
    "Map[ScopeKey, Scope]": (_Writing.scopes, _Reading.scopes),
    "Runnable": (_Writing.runnable, _Reading.runnable),
    "Workflow": (_Writing.nothing, _Reading.workflow),
    "Prepared": (_Writing.nothing, _Reading.prepared),
    "ScopeKey": _TUPLE,
    "tuple[int, ...]": _TUPLE,
    **dict.fromkeys(
        (
            "Cause", "ExecutionStarted", "Parent | None", "Phase", "Next | Ended | None", "Children | None",
            "MapRun | None", "Child | None",
        ),
        _STRUCT,
    ),
    **dict.fromkeys(
        (
            "str", "str | None", "int", "int | None", "float | None", "bool", "bytes", "Millis", "Millis | None",
            "list[str] | None", "Status", "MachineType", "MapMode", "StateType | None", "TaskKind",
        ),
        _PLAIN,
    ),
}  # fmt: skip


def _annotations(struct: type[Struct]) -> dict[str, str]:
    """The annotation of each field, in the order of the fields, as it is written."""
    found: dict[str, str] = {}
    for one in reversed(struct.__mro__):
        found |= get_annotations(one)
    return {name: found[name] for name in struct.__struct_fields__}


def _all_of(struct: type[Struct]) -> Callable[[Struct], tuple[object, ...]]:
    return attrgetter(*struct.__struct_fields__) if len(struct.__struct_fields__) > 1 else msgspec.structs.astuple


_FIELDS = [_annotations(struct) for struct in _CLASSES]
_WAYS = [
    [(place, name, *_BY_ANNOTATION[kind]) for place, (name, kind) in enumerate(fields.items(), 1)] for fields in _FIELDS
]
_WRITERS: dict[type[Struct], tuple[int, Callable[[Struct], tuple[object, ...]], list[tuple[int, _Write]]]] = {
    struct: (number, _all_of(struct), [(place, write) for place, _, write, _ in ways if write is not _Writing.plain])
    for number, (struct, ways) in enumerate(zip(_CLASSES, _WAYS, strict=True))
}
"""A class's number, what gives all its fields, and what is to be done with some of them; the first is in place 1."""
_READERS: list[tuple[type[Struct], tuple[str, ...], list[tuple[str, _Read]]]] = [
    (struct, struct.__struct_fields__, [(name, read) for _, name, _, read in ways if read is not _Reading.plain])
    for struct, ways in zip(_CLASSES, _WAYS, strict=True)
]

_SYMBOLS = [get_args(alias) for alias in (Status, MachineType, MapMode, StateType, TaskKind)]
_LAYOUT = 2
"""Whoever changes how the classes are written adds one to it."""

STATE_FORMAT = sha256(
    repr(
        (_LAYOUT, [(struct.__name__, fields) for struct, fields in zip(_CLASSES, _FIELDS, strict=True)], _SYMBOLS)
    ).encode()
).hexdigest()[:16]
"""Changes with every class of the state, its fields and their types. Not with the meaning of a field: whoever changes
that renames it."""
