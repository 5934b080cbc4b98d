"""Arbitrary values of every record, drawn from the schemas, and their form for fastavro: the oracle's side.

Nothing here is shared with the code under test but the schemas and the Structs.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
from hypothesis import strategies as st

from processor.model import commands, events, records
from processor.model.ids import Millis
from processor.model.json import render_json

SCHEMAS = Path(__file__).parents[2] / "schemas"


def schema_tree(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.avsc").read_text())


def without_logical_types(tree: Any) -> Any:
    """Milliseconds stay numbers, as the Structs have them."""
    return json.loads(json.dumps(tree).replace('"logicalType"', '"formerLogicalType"'))


def oracle_schema(name: str) -> Any:
    return fastavro.parse_schema(without_logical_types(schema_tree(name)))


def oracle_write(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def oracle_read(schema: Any, value: bytes, reader: Any = None) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(value), schema, reader, return_record_name=True)


# ---- drawn values

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
floats = st.floats(allow_nan=False, allow_infinity=False)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ints = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 5)
longs = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)
scopes = st.lists(st.integers(0, 2**31 - 1), max_size=3).map(tuple)
BATCH = schema_tree("event_batch")
EVENT_RECORDS = BATCH["fields"][-1]["type"]["items"]["fields"][-1]["type"]
COMMAND = schema_tree("command")
COMMAND_RECORDS = COMMAND["fields"][-1]["type"]


def named_types(tree: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(tree, dict):
        if "name" in tree and isinstance(tree.get("type"), str) and tree["type"] in ("record", "enum", "fixed"):
            found[tree["name"]] = tree
        for inner in tree.values():
            found |= named_types(inner)
    elif isinstance(tree, list):
        for inner in tree:
            found |= named_types(inner)
    return found


NAMED = {
    name: tree for file in SCHEMAS.glob("*.avsc") for name, tree in named_types(json.loads(file.read_text())).items()
}


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    match schema:
        case ["null", inner]:
            return st.none() | values_of(inner)
        case {"contentType": "application/json"}:
            return jsons
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case {"type": "fixed", "size": size}:
            return st.binary(min_size=size, max_size=size)
        case {"type": "array", "items": "int"}:
            return scopes
        case {"type": "array", "items": inner}:
            return st.lists(values_of(inner), max_size=3).map(tuple)
        case {"type": "map", "values": inner}:
            return st.dictionaries(texts, values_of(inner), max_size=3)
        case {"type": "record", "name": "Parent"}:
            return st.builds(
                events.Parent,
                execution_id=st.just("machine/label:parent"), scope=scopes, sequence=st.integers(0, 2**63 - 1),
                map_run=st.none() | texts, index=st.none() | st.integers(0, 2**31 - 1),
            )  # fmt: skip
        case {"type": {} as inner} | {"type": "long" as inner}:
            return values_of(inner)
        case str() as name if name in NAMED:
            return values_of(NAMED[name])
        case primitive:
            primitives: dict[Any, st.SearchStrategy[Any]] = {
                "string": texts, "int": ints, "long": longs, "boolean": st.booleans(), "double": floats,
                "bytes": st.binary(max_size=300),
            }  # fmt: skip
            return primitives[primitive]


def fields_of(record: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({field["name"]: values_of(field["type"]) for field in record["fields"]})


@st.composite
def batches(draw: st.DrawFn) -> tuple[events.AnyEvent, ...]:
    """Consecutive events of one command, of all types."""
    cause = events.Cause(**draw(fields_of(NAMED["Cause"])))
    envelope = {"execution_id": draw(texts), "time": Millis(draw(longs)), "caused_by": cause}
    first = draw(st.integers(0, 2**62))
    drawn = draw(st.lists(st.sampled_from(EVENT_RECORDS), min_size=1, max_size=6))
    return tuple(draw(event_of(record, sequence, envelope)) for sequence, record in enumerate(drawn, first))


@st.composite
def event_of(draw: st.DrawFn, record: Any, sequence: int, envelope: dict[str, Any]) -> Any:
    fields = draw(fields_of(record))
    event_type = getattr(events, record["name"])
    for flag in ("has_input", "has_output"):
        if flag in event_type.__struct_fields__:
            fields[flag] = draw(st.booleans())
            fields[flag[4:]] = fields[flag[4:]] if fields[flag] else None
    if record["name"] == "StateExited" and fields["output_of"] != "VALUE":
        fields["output"] = None
    if record["name"] == "MapStarted":
        fields["items"] = draw(st.none() | st.lists(jsons, max_size=3))
    return event_type(**envelope, sequence=sequence, scope=draw(scopes), state=draw(texts), **fields)


@st.composite
def commands_of(draw: st.DrawFn) -> commands.AnyCommand:
    record = draw(st.sampled_from(COMMAND_RECORDS))
    execution_id = draw(st.sampled_from(["orders:o-1", "orders/each:o-1", "größe:ü"]))
    labels = {name: draw(st.none() | texts) for name in ("command_id", "issuer", "correlation_id", "reply_to")}
    fields = draw(fields_of(record))
    if "token" in fields:
        fields["token"] = f"{execution_id}#{draw(st.sampled_from(['', '0', '3.1']))}#{draw(st.integers(0, 99))}"
    if "timer_id" in fields:
        fields["timer_id"] = f"{execution_id}#1#{draw(st.integers(0, 99))}#wait"
    command: commands.AnyCommand = getattr(commands, record["name"])(execution_id=execution_id, **labels, **fields)
    return command


@st.composite
def records_of(draw: st.DrawFn, name: str) -> Any:
    fields = draw(fields_of(schema_tree(name)))
    struct_type = getattr(records, schema_tree(name)["name"])
    if name == "reply" and fields["status"] != "SUCCEEDED":
        fields["output"] = None
    return struct_type(**fields)


# ---- what fastavro is given


def plain_batch(batch: tuple[events.AnyEvent, ...]) -> Any:
    first = batch[0]
    return {
        "execution_id": first.execution_id,
        "time": first.time,
        "cause": plain(first.caused_by, NAMED["Cause"]),
        "sequence": first.sequence,
        "events": [
            {"scope": event.scope, "state": event.state, "event": tagged(event, EVENT_RECORDS)} for event in batch
        ],
    }


def plain_command(command: commands.AnyCommand) -> Any:
    envelope = {
        name: getattr(command, name) for name in ("execution_id", "command_id", "issuer", "correlation_id", "reply_to")
    }
    return envelope | {"command": tagged(command, COMMAND_RECORDS)}


def tagged(value: Any, branches: Any) -> Any:
    name = type(value).__name__
    return f"asl.{name}", plain(value, next(branch for branch in branches if branch["name"] == name))


def plain(value: Any, record: Any) -> Any:
    return {
        field["name"]: plain_value(getattr(value, field["name"]), field["type"], present(value, field["name"]))
        for field in record["fields"]
    }


def plain_value(value: Any, schema: Any, is_present: bool) -> Any:
    match schema:
        case ["null", inner]:
            return plain_value(value, inner, True) if is_present else None
        case {"contentType": "application/json"}:
            return render_json(value)
        case {"type": "map"}:
            return {key: render_json(inner) for key, inner in value.items()}
        case {"type": "record"}:
            return plain(value, schema)
        case _:
            return value


def present(value: Any, name: str) -> bool:
    """Null is a JSON value too: where it may be one, something else says whether there is a value."""
    match value, name:
        case events.StateExited(), "output":
            return bool(value.output_of == "VALUE")
        case ((events.ParallelStarted() | events.MapIterationStarted()), "input"):
            return bool(value.has_input)
        case ((events.MapIterationSucceeded() | events.MapSucceeded()), "output"):
            return bool(value.has_output)
        case records.Reply(), "output":
            return bool(value.status == "SUCCEEDED")
        case _:
            return getattr(value, name) is not None
