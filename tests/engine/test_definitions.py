"""The table of definitions: read on when asked, compiled once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from processor.engine.definitions import Definitions, deployment
from processor.engine.encoding import encode_definition_record
from processor.engine.ports import Message, Reader, Record
from processor.errors import InvalidDefinition
from processor.interpreter.parse import parse
from processor.model.ids import EPOCH
from processor.model.json import Json
from processor.model.records import Definition, PartitionCount
from tests.engine.world import PASS, TASK, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def definitions(world: World) -> Definitions:
    return Definitions(world.log.reader(), world.names)


def test_a_definition_with_faults_is_not_deployed(world: World) -> None:
    with pytest.raises(InvalidDefinition, match="/States: Value cannot be empty"):
        deployment(
            world.names, state_machine="m", definition={"StartAt": "A", "States": {}}, type="STANDARD", now=EPOCH
        )


def test_the_revision_is_the_key_and_the_same_content_has_the_same_one(world: World) -> None:
    first, message = deployment(world.names, state_machine="m", definition=PASS, type="STANDARD", now=EPOCH)
    second, _ = deployment(world.names, state_machine="n", definition=reversed_keys(PASS), type="STANDARD", now=EPOCH)

    assert (message.topic, message.key, message.partition) == (
        "asl.definitions",
        f"m#{first.revision}".encode(),
        0,
    )
    assert (first.revision, first) == (second.revision, second)


def reversed_keys(definition: Json) -> Json:
    assert isinstance(definition, dict)
    return {key: definition[key] for key in reversed(definition)}


def test_latest_changes_only_with_a_reading(world: World, definitions: Definitions) -> None:
    assert definitions.latest("m") is None
    old = world.deploy("m", PASS)
    definitions.refresh()
    new = world.deploy("m", TASK)
    definitions.refresh()  # nobody said that time has passed
    assert definitions.latest("m") == old

    definitions.expire()
    definitions.refresh()
    assert definitions.latest("m") == new


def test_a_revision_is_compiled_once(world: World, definitions: Definitions) -> None:
    revision = world.deploy("m", PASS)
    compiled = definitions.workflow("m", revision)
    world.deploy("m", PASS)
    definitions.expire()
    definitions.refresh()

    assert definitions.workflow("m", revision) is compiled
    assert definitions.workflow("m", "0" * 16) is None


def test_records_that_are_no_definition_are_passed_over(world: World, definitions: Definitions) -> None:
    world.write(Message(topic=world.names.definitions, key=b"old#1", value=None, partition=0))
    revision = world.deploy("m", PASS)

    assert definitions.workflow("m", revision) is not None  # #partitions, the tombstone, then this


class Noting:
    """A reader that remembers from where it was asked to read."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self.starts: list[int] = []

    def partitions(self, topic: str) -> int | None:
        return self._inner.partitions(topic)

    def end(self, topic: str, partition: int) -> int:
        return self._inner.end(topic, partition)

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        self.starts.append(start)
        return self._inner.read(topic, partition, start=start, end=end)

    def close(self) -> None:
        self._inner.close()


def test_each_record_is_read_once(world: World) -> None:
    reader = Noting(world.log.reader())
    definitions = Definitions(reader, world.names)
    for definition in (PASS, TASK, PASS):
        world.deploy("m", definition)
        definitions.expire()
        definitions.refresh()

    assert reader.starts == [0, 2, 3]  # the count of partitions stands at 0


# ---- records that anyone with the right to write may have left


def leave(world: World, key: bytes | None, value: bytes) -> None:
    world.write(Message(topic=world.names.definitions, key=key, value=value, partition=0))


GARBAGE = b"garbage"
NEWER = b"\xc3\x01" + bytes.fromhex("0123456789abcdef") + b"whatever"


@pytest.mark.parametrize("key", [None, b"no revision", b"\xff\xfe", b"x#y"])
@pytest.mark.parametrize("value", [GARBAGE, NEWER, b""])
def test_a_record_that_cannot_be_read_is_counted_and_every_other_machine_goes_on(
    world: World, key: bytes | None, value: bytes
) -> None:
    leave(world, key, value)
    world.deploy("m", PASS)
    world.start("m:a")
    world.settle()

    assert world.types("m:a")[-1] == "ExecutionSucceeded"
    assert world.counts() == {"unreadable_definitions": 1, "started": 1}
    world.restart()
    world.start("m:b")
    world.settle()
    assert world.types("m:b")[-1] == "ExecutionSucceeded"


def refusals(world: World) -> list[tuple[str, str, str]]:
    return sorted((r.execution_id, r.reason, r.detail) for r in world.rejections())


def test_what_an_unreadable_records_key_names_is_refused_and_older_revisions_are_not(world: World) -> None:
    old = world.deploy("m", PASS)
    leave(world, b"m#fedcba9876543210", NEWER)
    world.start("m:latest")
    world.start("m:named", revision="fedcba9876543210")
    world.start("m:old", revision=old)
    world.settle()

    detail = "/: Definition does not decode: schema 0123456789abcdef is not one this release ships; upgrade the reader"
    assert refusals(world) == [
        ("m:latest", "InvalidDefinition", detail),
        ("m:named", "InvalidDefinition", detail),
    ]
    assert world.types("m:old")[-1] == "ExecutionSucceeded"


def test_a_revision_overwritten_by_garbage_starts_no_more_and_what_runs_on_it_goes_on(world: World) -> None:
    revision = world.deploy("m", TASK)
    world.start("m:a")
    world.settle()
    leave(world, f"m#{revision}".encode(), GARBAGE)
    world.restart()
    world.start("m:b")
    world.settle()
    world.answer("done")

    assert world.types("m:a")[-1] == "ExecutionSucceeded"
    assert [(id, reason) for id, reason, _ in refusals(world)] == [("m:b", "InvalidDefinition")]
    world.deploy("m", TASK)
    world.start("m:b")
    world.settle()
    assert world.types("m:b")[-1] == "TaskScheduled"


def test_a_definition_under_another_key_is_not_taken_for_deployed(world: World) -> None:
    _, message = deployment(world.names, state_machine="m", definition=PASS, type="STANDARD", now=EPOCH)
    assert message.value is not None
    leave(world, b"n#1", message.value)
    leave(world, b"n#2", encode_definition_record(PartitionCount(partitions=7)))
    world.start("m:a")
    world.start("n:a", revision="1")
    world.start("n:b", revision="2")
    world.settle()

    assert [(id, reason) for id, reason, _ in refusals(world)] == [
        ("m:a", "DefinitionNotFound"),
        ("n:a", "InvalidDefinition"),
        ("n:b", "InvalidDefinition"),
    ]


@pytest.mark.parametrize("fields", [{"revision": "0123456789abcdef"}, {"definition_hash": bytes(32)}])
def test_a_revision_that_is_not_the_hash_of_its_content_is_refused_at_the_start(
    world: World, fields: dict[str, str | bytes]
) -> None:
    workflow = parse(TASK)
    true = {"revision": workflow.revision, "definition_hash": workflow.definition_hash}
    lying = Definition(state_machine="m", type="STANDARD", definition=TASK, deployed_at=EPOCH, **true | fields)  # type: ignore[arg-type]  # each of its own type
    leave(world, f"m#{lying.revision}".encode(), encode_definition_record(lying))
    world.deploy("n", TASK)
    world.start("m:a")
    world.start("n:a")
    world.settle()

    detail = f"/: the content is of revision {workflow.revision}, not {lying.revision}"
    if lying.revision == workflow.revision:
        detail = "/: definition_hash is not that of the content"
    assert refusals(world) == [("m:a", "InvalidDefinition", detail)]
    world.restart()
    world.settle()
    assert (world.processor.partitions, world.types("n:a")[-1]) == ((0, 1), "TaskScheduled")
