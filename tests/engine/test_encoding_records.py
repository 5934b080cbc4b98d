"""The other topics, and values that an earlier release wrote."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.engine import encoding
from processor.engine.encoding.codec import Codec
from processor.engine.encoding.schemas import load_schemas
from processor.errors import DecodingFailed, UnknownSchema
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.records import Definition, PartitionCount, Task, Timer
from tests.engine.encoding_values import (
    SCHEMAS,
    oracle_schema,
    oracle_write,
    plain,
    records_of,
    schema_tree,
    without_logical_types,
)

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]

CODECS: dict[str, tuple[Encode, Decode]] = {
    "timer": (encoding.encode_timer, encoding.decode_timer),
    "task": (encoding.encode_task, encoding.decode_task),
    "definition": (encoding.encode_definition_record, encoding.decode_definition_record),
    "partition_count": (encoding.encode_definition_record, encoding.decode_definition_record),
    "migration": (encoding.encode_definition_record, encoding.decode_migration),
    "snapshot": (encoding.encode_snapshot_record, encoding.decode_snapshot_record),
    "checkpoint": (encoding.encode_snapshot_record, encoding.decode_snapshot_record),
    "closed": (encoding.encode_closed, encoding.decode_closed),
    "reply": (encoding.encode_reply, encoding.decode_reply),
    "rejection": (encoding.encode_rejection, encoding.decode_rejection),
}


@pytest.mark.parametrize("name", CODECS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_records_are_written_as_fastavro_writes_them_and_read_back(name: str, data: st.DataObject) -> None:
    encode, decode = CODECS[name]
    record = data.draw(records_of(name))

    value = encode(record)

    assert value[10:] == oracle_write(oracle_schema(name), plain(record, schema_tree(name)))
    assert decode(value) == record


def test_the_definitions_topic_tells_its_two_records_apart() -> None:
    count = PartitionCount(partitions=24)
    definition = Definition(
        state_machine="orders", revision="0" * 16, definition_hash=bytes(32), type="STANDARD",
        definition={"StartAt": "A"}, deployed_at=Millis(5),
    )  # fmt: skip

    values = encoding.encode_definition_record(count), encoding.encode_definition_record(definition)

    assert tuple(encoding.decode_definition_record(value) for value in values) == (count, definition)
    with pytest.raises(DecodingFailed, match="Definition does not decode: holds a Timer"):
        encoding.decode_definition_record(encoding.encode_timer(TIMER))


TIMER = Timer(
    timer_id="orders:o-1##4#wait",
    execution_id="orders:o-1",
    scope=(),
    sequence=4,
    kind="wait",
    due=Millis(9),
    state="A",
)


def test_a_symbol_that_the_schema_does_not_have_is_refused() -> None:
    value = encoding.encode_timer(TIMER).replace(b"\x00\x08\x00\x12", b"\x00\x08\x0c\x12")  # scope, 4, kind, due

    with pytest.raises(DecodingFailed, match="no symbol has the number 12"):
        encoding.decode_timer(value)


# ---- an earlier release


def without_fields(tree: Any, *dropped: tuple[str, str]) -> Any:
    """The schema of a release that did not have these fields of these records yet."""
    if isinstance(tree, list):
        return [without_fields(inner, *dropped) for inner in tree]
    if not isinstance(tree, dict):
        return tree
    kept = {key: without_fields(inner, *dropped) for key, inner in tree.items()}
    if tree.get("type") == "record":
        kept["fields"] = [field for field in kept["fields"] if (tree["name"], field["name"]) not in dropped]
    return kept


def library_with_old(folder: Path, old: Any) -> Codec:
    """A codec whose release ships `old` as the schema of an earlier one."""
    for file in SCHEMAS.glob("*.avsc"):
        shutil.copy(file, folder / file.name)
    (folder / "old").mkdir()
    (folder / "old" / f"{fingerprint(old)}.avsc").write_text(json.dumps(old))
    return Codec(load_schemas(folder))


def fingerprint(tree: Any) -> str:
    return str(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(tree), "CRC-64-AVRO"))


def test_a_task_of_an_earlier_release_resolves(tmp_path: Path) -> None:
    old = without_fields(schema_tree("task"), ("Task", "region"), ("Task", "heartbeat_seconds"))
    codec = library_with_old(tmp_path, old)
    task = Task(
        token="orders:o-1##4", execution_id="orders:o-1", state="Pay", kind="SERVICE", resource_type="aws-sdk:sns",
        resource="publish", arguments={"a": None}, timeout_at=Millis(7), scheduled_at=Millis(5),
    )  # fmt: skip
    body = oracle_write(fastavro.parse_schema(without_logical_types(old)), plain(task, old))
    value = b"\xc3\x01" + bytes.fromhex(fingerprint(old)) + body

    assert codec.decode(value, roots=("Task",)) == task
    with pytest.raises(UnknownSchema, match=f"Task does not decode: schema {fingerprint(old)}"):
        encoding.decode_task(value)


def test_events_of_an_earlier_release_fold_as_avro_resolves_them(tmp_path: Path) -> None:
    """An envelope field, a payload with a flag, and an event's field that did not exist yet."""
    dropped = (
        ("Cause", "offset"),
        ("MapIterationStarted", "input"),
        ("MapIterationStarted", "items"),
        ("StateExited", "catcher"),
    )
    old = without_fields(schema_tree("event_batch"), *dropped)
    codec = library_with_old(tmp_path, old)
    plain_old = {
        "execution_id": "orders:o-1",
        "time": 5,
        "cause": {"command_id": "c", "type": "FireTimer", "issuer": ""},
        "sequence": 8,
        "events": [
            {"scope": [], "state": "A", "event": ("asl.StateExited", {"output_of": "INPUT", "next": "B"})},
            {"scope": [0], "state": "B", "event": ("asl.MapIterationStarted", {"child": "orders/B:x"})},
        ],
    }
    body = oracle_write(fastavro.parse_schema(without_logical_types(old)), plain_old)
    envelope: dict[str, Any] = {
        "execution_id": "orders:o-1", "time": Millis(5), "caused_by": e.Cause(command_id="c", type="FireTimer"),
    }  # fmt: skip

    folded = codec.decode(b"\xc3\x01" + bytes.fromhex(fingerprint(old)) + body, roots=("EventBatch",))

    assert folded == (
        e.StateExited(**envelope, sequence=8, state="A", output_of="INPUT", next="B"),
        e.MapIterationStarted(**envelope, sequence=9, scope=(0,), state="B", child="orders/B:x"),
    )
    resolved: Any = fastavro.schemaless_reader(
        io.BytesIO(body),
        fastavro.parse_schema(without_logical_types(old)),
        fastavro.parse_schema(without_logical_types(schema_tree("event_batch"))),
    )
    assert resolved["events"][0]["event"] | {"catcher": None} == resolved["events"][0]["event"]
    assert resolved["events"][1]["event"] == {"input": None, "child": "orders/B:x", "items": 1}


def test_an_old_schema_must_be_named_by_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    shutil.copy(SCHEMAS / "timer.avsc", tmp_path / "old" / "0000000000000000.avsc")

    with pytest.raises(ValueError, match=f"must be named {fingerprint(schema_tree('timer'))}"):
        load_schemas(tmp_path)
