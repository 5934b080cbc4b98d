"""The table of definitions: read on when asked, compiled once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from processor.engine.definitions import Definitions, deployment
from processor.engine.ports import Message, Reader, Record
from processor.errors import InvalidDefinition
from processor.model.ids import EPOCH
from processor.model.json import Json
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
