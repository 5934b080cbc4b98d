"""Records of the commands topic: Avro, or JSON where the content-type says so. Anyone may write there.

As JSON a command is one flat object, "type" and the same fields, payloads nested. What it may hold is read from the
schema, so the two forms cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

import orjson
from msgspec import Struct, structs

from processor.engine.encoding.codec import STRUCTS, shipped_codec
from processor.engine.encoding.schemas import Record, SchemaTree, shipped_schemas
from processor.engine.encoding.wire import Lacking
from processor.errors import DecodingFailed, InvalidCommand
from processor.model.commands import AnyCommand, StartExecution, check_command
from processor.model.events import Parent
from processor.model.ids import parse_execution_id
from processor.model.json import Json, json_bytes, parse_json

MAX_LABEL_LENGTH = 1024
"""Characters of command_id, issuer, correlation_id, reply_to: they are repeated in every batch and reply."""

MAX_PAYLOAD_DEPTH = 200
"""orjson reads 1,024 levels, writes 254: what comes in must go out again, inside what a definition puts around it."""

_WHAT = "Command"


def encode_command(command: AnyCommand) -> bytes:
    """Return the value of a record as Avro. Raises InvalidCommand where a field cannot be written at all,
    NotInWriteFormat."""
    codec = shipped_codec()
    try:
        return codec.header("Command") + codec.writer("Command", "Command")(command)
    except (Lacking, KeyError) as fault:
        raise codec.lacks(fault) from fault
    except (orjson.JSONEncodeError, UnicodeEncodeError, ValueError) as fault:
        raise InvalidCommand(where=type(command).__name__, rule="must be writable", value=str(fault)) from None


def encode_command_json(command: AnyCommand) -> bytes:
    """Return the value of a record as JSON, to go with the header content-type: application/json."""
    flat: dict[str, Json] = {"type": type(command).__name__, **_written(command)}
    if isinstance(command, StartExecution) and command.parent is not None:
        flat["parent"] = _written(command.parent)
    try:
        return json_bytes(flat)
    except orjson.JSONEncodeError as fault:
        raise InvalidCommand(where=type(command).__name__, rule="must be JSON", value=str(fault)) from None


def decode_command(value: bytes, *, content_type: str | None = None) -> AnyCommand:
    """Return the command of a record. Raises DecodingFailed (UnknownSchema), whatever the bytes."""
    if content_type is not None and content_type.partition(";")[0].strip().lower() == "application/json":
        command = _decode_json(value)
    elif value[:1] == b"{":
        raise DecodingFailed(what=_WHAT, reason="JSON needs the header content-type: application/json")
    else:
        command = cast(AnyCommand, shipped_codec().decode(value, roots=("Command",)))
    _check(command)
    return command


def content_type_of(headers: tuple[tuple[str, bytes], ...]) -> str | None:
    """Return what the record's header content-type says; its name is compared without regard to case."""
    for name, value in headers:
        if name.lower() == "content-type":
            return value.decode("latin-1")
    return None


def _written(fields: Struct) -> dict[str, Json]:
    """What JSON needs to say: optional fields that are None are left out."""
    return {
        field.name: cast(Json, value)
        for field in _fields(type(fields))
        if (value := getattr(fields, field.name)) is not None or field.required
    }


_fields = cache(structs.fields)  # evaluates annotations: 1 ms and more each time


# ---- what neither form can say by its schema


def _check(command: AnyCommand) -> None:
    try:
        parse_execution_id(command.execution_id)
        check_command(command)
        for label in ("command_id", "issuer", "correlation_id", "reply_to"):
            text = getattr(command, label)
            if text is not None and len(text) > MAX_LABEL_LENGTH:
                rule = f"must have at most {MAX_LABEL_LENGTH} characters"
                raise InvalidCommand(where=label, rule=rule, value=f"{len(text)} of them")
        if isinstance(command, StartExecution) and command.parent is not None:
            _check_parent(command.parent)
        for payload in ("input", "context", "output", "detail"):
            if _depth_exceeds(getattr(command, payload, None), MAX_PAYLOAD_DEPTH):
                raise InvalidCommand(where=payload, rule=f"must nest at most {MAX_PAYLOAD_DEPTH} deep", value="more")
    except InvalidCommand as fault:
        # It quotes what was sent, at any length, and goes into a record's header.
        raise DecodingFailed(what=_WHAT, reason=str(fault)[:1000]) from None


def _check_parent(parent: Parent) -> None:
    try:
        parse_execution_id(parent.execution_id)
    except InvalidCommand as fault:
        raise InvalidCommand(where="parent.execution_id", rule=fault.rule, value=fault.value) from None
    if min(parent.sequence, parent.index or 0, *parent.scope) < 0:
        raise InvalidCommand(where="parent", rule="scope, sequence and index must not be negative", value=parent)


def _depth_exceeds(value: Json, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


# ---- JSON


class _Accepted(Struct, frozen=True):
    """The fields one type of command takes, by name: their Avro types, and which must be there."""

    fields: Mapping[str, SchemaTree]
    required: frozenset[str]


@cache
def _accepted() -> Mapping[str, _Accepted]:
    root = shipped_schemas().current["Command"].tree
    *envelope, union = cast("list[Record]", root["fields"])
    return {
        cast(str, branch["name"]): _accept([*envelope, *cast("list[Record]", branch["fields"])])
        for branch in cast("list[Record]", union["type"])
    }


def _accept(fields: list[Record]) -> _Accepted:
    types = {cast(str, field["name"]): field["type"] for field in fields}
    return _Accepted(types, frozenset(cast(str, field["name"]) for field in fields if "default" not in field))


def _decode_json(value: bytes) -> AnyCommand:
    flat = parse_json(value, what=_WHAT)
    if not isinstance(flat, dict):
        raise DecodingFailed(what=_WHAT, reason='must be an object with "type" and the fields of that command')
    accepted = _accepted()
    name = flat.pop("type", None)
    if not isinstance(name, str) or name not in accepted:
        raise DecodingFailed(what=_WHAT, reason=f"/type: must be one of {', '.join(accepted)}, {_got(name)}")
    fields, faults = _check_fields(flat, accepted[name], "")
    if faults:
        raise DecodingFailed(what=_WHAT, reason="; ".join(faults[:10]))
    return cast(AnyCommand, STRUCTS[name](**fields))


def _check_fields(flat: dict[str, Json], accepted: _Accepted, pointer: str) -> tuple[dict[str, object], list[str]]:
    """Return what the Struct is made of, and every fault as where / rule / value."""
    faults = [f"{pointer}/{name}: must be there" for name in sorted(accepted.required - flat.keys())]
    fields: dict[str, object] = {}
    for name, value in flat.items():
        if name not in accepted.fields:
            faults.append(f"{pointer}/{name[:80]}: is no field; these are: type, {', '.join(accepted.fields)}")
        else:
            fields[name], wrong = _check_field(value, accepted.fields[name], f"{pointer}/{name}")
            faults += wrong
    return fields, faults


def _check_field(value: Json, schema: SchemaTree, pointer: str) -> tuple[object, list[str]]:
    match schema:
        case ["null", inner]:
            return (None, []) if value is None else _check_field(value, inner, pointer)
        case {"contentType": "application/json"}:
            return value, []
        case "boolean":
            fits, rule = isinstance(value, bool), "true or false"
        case "string":
            fits, rule = isinstance(value, str), "a string"
        case "int" | "long":
            bits = 31 if schema == "int" else 63
            fits = isinstance(value, int) and not isinstance(value, bool) and -(2**bits) <= value < 2**bits
            rule = f"an integer of {bits + 1} bits"
        case {"type": "array"}:
            fits = isinstance(value, list) and all(_is_index(index) for index in value)
            if fits:
                return tuple(cast("list[int]", value)), []
            rule = "an array of indexes"
        case {"type": "record", "fields": fields}:
            if isinstance(value, dict):
                checked, faults = _check_fields(value, _accept(cast("list[Record]", fields)), pointer)
                return None if faults else STRUCTS["Parent"](**checked), faults
            fits, rule = False, "an object"
        case other:  # pragma: no cover — every type in command.avsc has its rule: the round trips show it
            raise TypeError(f"no rule for {other}")
    return (value, []) if fits else (None, [f"{pointer}: must be {rule}, {_got(value)}"])


def _is_index(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _got(value: Json) -> str:
    if isinstance(value, dict | list):
        return "got an object" if isinstance(value, dict) else "got an array"
    return "got " + json_bytes(value)[:80].decode(errors="replace")
