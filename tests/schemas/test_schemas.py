"""The published schemas: they say what the vocabulary says, and they do not change unnoticed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import fastavro
import pytest
from confluent_kafka import Message

from processor.engine.encoding import (
    decode_command,
    encode_command,
    encode_events,
    encode_rejection,
    shipped_schemas,
)
from processor.model import events, ids, records
from processor.model.commands import COMMAND_TYPES, CompleteTask, StartExecution
from processor.model.ids import Millis
from processor.model.records import Rejection

FOLDER = Path(__file__).parents[2] / "schemas"
README = (FOLDER / "README.md").read_text()

# What is on people's topics. A schema that must change: its file as it was goes to schemas/old/<fingerprint>.avsc, the
# new fingerprint comes here, and "Event format" in the CHANGELOG says so.
FINGERPRINTS = {
    "Snapshot": "07b90080583c6a70",
    "ClosedExecution": "767dd85b01c4a758",
    "Checkpoint": "04ee1497770f8ab3",
    "Command": "7e31960169c28258",
    "Definition": "297c66952169a0a6",
    "EventBatch": "03bc6933590568db",
    "Migration": "12b4f160a629992a",
    "PartitionCount": "0ee02cd898a065a7",
    "Rejection": "2eef3c53f5e73840",
    "Reply": "389191a026cd8ae7",
    "Task": "02fb38b3aace731f",
    "Timer": "0220b06333d0ac11",
}


def test_the_schemas_are_those_that_were_published() -> None:
    assert {schema.name: schema.fingerprint for schema in shipped_schemas().current.values()} == FINGERPRINTS


# The write formats that releases have had. One is added, with the greatest number, where a schema changes; the default
# follows a release later. None is changed or removed.
FORMATS = {1: FINGERPRINTS}
DEFAULT_FORMAT = 1


def test_the_write_formats_are_those_that_were_published_and_the_default_is_at_most_one_behind() -> None:
    library = shipped_schemas()
    formats = {
        number: {name: schema.fingerprint for name, schema in schemas.items()}
        for number, schemas in library.formats.items()
    }

    assert (formats, library.default_format) == (FORMATS, DEFAULT_FORMAT)
    assert sorted(formats) == list(range(1, len(formats) + 1))
    assert len(formats) - library.default_format in (0, 1)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("**/*.avsc")), ids=lambda file: file.name)
def test_fingerprints_are_crc_64_avro_of_the_canonical_form(file: Path) -> None:
    tree = json.loads(file.read_text())
    canonical = fastavro.schema.to_parsing_canonical_form(tree)
    wire = shipped_schemas().by_fingerprint[crc_64_avro(canonical.encode())]

    fastavro.parse_schema(tree)
    assert wire.name == tree["name"]
    assert "contentType" not in canonical and "logicalType" not in canonical


def crc_64_avro(text: bytes) -> str:
    """The Avro specification's algorithm, spelled as it stands on the wire: little-endian."""
    empty = 0xC15D213AA4D7A795
    crc = empty
    for byte in text:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (empty if crc & 1 else 0)
    return crc.to_bytes(8, "little").hex()


def named(tree: Any, name: str) -> Any:
    if isinstance(tree, dict):
        if tree.get("name") == name and isinstance(tree.get("type"), str) and "null" not in tree["type"]:
            return tree
        tree = list(tree.values())
    if isinstance(tree, list):
        return next((found for inner in tree if (found := named(inner, name))), None)
    return None


COMMAND_NAMES = tuple(command.__name__ for command in COMMAND_TYPES)


@pytest.mark.parametrize(
    ("file", "enum", "symbols"),
    [
        ("event_batch", "CommandType", COMMAND_NAMES),
        ("rejection", "CommandType", COMMAND_NAMES),
        ("event_batch", "MachineType", get_args(events.MachineType)),
        ("definition", "MachineType", get_args(events.MachineType)),
        ("event_batch", "StateType", get_args(events.StateType)),
        ("event_batch", "OutputOf", get_args(events.OutputOf)),
        ("event_batch", "TaskKind", get_args(events.TaskKind)),
        ("task", "TaskKind", get_args(events.TaskKind)),
        ("event_batch", "MapMode", get_args(events.MapMode)),
        ("timer", "TimerKind", ids.TIMER_KINDS),
        ("reply", "RejectionReason", get_args(records.RejectionReason)),
        ("rejection", "RejectionReason", get_args(records.RejectionReason)),
        ("reply", "Status", get_args(records.Status)),
        ("closed", "Status", get_args(records.Status)),
    ],
)
def test_enums_say_what_the_model_says_and_have_no_default(file: str, enum: str, symbols: tuple[str, ...]) -> None:
    tree = named(json.loads((FOLDER / f"{file}.avsc").read_text()), enum)

    assert (tuple(tree["symbols"]), "default" in tree) == (symbols, False)


def test_commands_stand_in_the_union_in_the_order_of_the_model() -> None:
    union = json.loads((FOLDER / "command.avsc").read_text())["fields"][-1]["type"]

    assert tuple(record["name"] for record in union) == COMMAND_NAMES


def fields_in(tree: Any) -> list[Any]:
    if isinstance(tree, list):
        return [field for inner in tree for field in fields_in(inner)]
    if not isinstance(tree, dict):
        return []
    return list(tree.get("fields", [])) + [field for inner in tree.values() for field in fields_in(inner)]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.avsc")), ids=lambda file: file.name)
def test_optional_fields_begin_with_null_and_default_to_it(file: Path) -> None:
    optional = [
        f for f in fields_in(json.loads(file.read_text())) if isinstance(f["type"], list) and "null" in f["type"]
    ]

    assert [(f["type"][0], len(f["type"]), f["default"]) for f in optional] == [("null", 2, None)] * len(optional)


# ---- the README's examples


def test_the_readmes_consumer_reads_what_the_processor_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    namespace: dict[str, Any] = {}
    exec(python_blocks()[0], namespace)
    scheduled = events.TaskScheduled(
        execution_id="orders:o-1", sequence=4, time=Millis(0), caused_by=events.Cause(), scope=(0,), state="Pay",
        kind="LAMBDA", resource="charge", arguments={"amount": 12},
    )  # fmt: skip

    batch = namespace["decode"](encode_events((scheduled,))[0].value)

    assert (batch["execution_id"], batch["sequence"]) == ("orders:o-1", 4)
    assert batch["events"][0]["event"][0] == "asl.TaskScheduled"
    exec(python_blocks()[1], namespace)
    assert decode_command(namespace["complete"](batch, 0, {"charged": True})) == CompleteTask.of(
        scheduled, {"charged": True}
    )


def test_the_readmes_console_producer_starts_an_execution() -> None:
    line = next(line for line in README.splitlines() if line.startswith("content-type:"))
    header, key, value = line.split("\t") if "\t" in line else line.split("⇥")

    command = decode_command(value.encode(), content_type=header.partition(":")[2])

    assert command == StartExecution(
        execution_id=key, input={"customer": "c-1029", "lines": []}, command_id="start-o-1001", issuer="console"
    )


def test_the_readmes_consumer_shows_what_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    namespace: dict[str, Any] = {}
    exec(python_blocks()[0], namespace)
    exec(python_blocks()[2], namespace)
    rejection = Rejection(
        execution_id="orders:o-1", command_id="c", type="StopExecution", reason="UnknownExecution", detail="no",
        partition=0, offset=7, time=Millis(0),
    )  # fmt: skip

    rejected = namespace["refusal"](Message("asl.rejections", 0, 0, b"orders:o-1", encode_rejection(rejection)))
    dead = namespace["refusal"](Message("asl.dead-letters", 0, 0, b"k", b"junk", [("asl-reason", b"no command")]))

    assert (rejected["execution_id"], rejected["reason"]) == ("orders:o-1", "UnknownExecution")
    assert dead == {"asl-reason": "no command", "key": b"k", "value": b"junk"}


def test_the_readme_names_every_schema() -> None:
    assert [file.name for file in sorted(FOLDER.glob("*.avsc")) if f"`{file.name}`" not in README] == []


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_avro_and_json_mean_the_same() -> None:
    command = StartExecution(execution_id="orders:o-1", input={})

    assert decode_command(encode_command(command)) == command
