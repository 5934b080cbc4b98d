"""What is held of an execution and cannot be read stops its partition when somebody asks for it, as it would have
stopped a restore: the process lives, the other partitions go on, and nothing is skipped."""

from __future__ import annotations

import logging

import msgspec
import pytest
from msgspec.structs import replace

from processor.adapters.embedded import inbox
from processor.engine import partitions
from processor.engine.encoding import decode_snapshot_record, encode_snapshot_record, execution_header
from processor.engine.partitions import Partition
from processor.engine.ports import Message
from processor.engine.processor import DEADLY_FROM
from processor.engine.topics import partition_of
from processor.model import commands as c
from processor.model.records import Snapshot
from tests.engine.test_checkpoints import MINUTE
from tests.engine.world import PASS, TASK, World, scheduled

ENDED, OPEN = "pass:0", "task:0"
NUMBERS = range(9)


@pytest.fixture
def world() -> World:
    """Three partitions with what has ended and what is open in them, all covered."""
    world = World(partitions=3)
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    for number in NUMBERS:
        world.start(f"task:{number}")
        world.start(f"pass:{number}")
    for _ in range(3):  # one partition in a step
        world.settle()
        world.advance(MINUTE)
    world.settle()
    return world


def home(id: str) -> int:
    return partition_of(id.encode(), 3)


def write(world: World, topic: str, key: str, value: bytes) -> None:
    world.write(Message(topic=topic, key=key.encode(), value=value, partition=home(key.partition("#")[0])))


def damage_closed(world: World) -> bytes:
    """Cut the end off the record of what has ended; return what it was."""
    whole = world.table(world.names.closed)[ENDED.encode()]
    write(world, world.names.closed, ENDED, whole[:-3])
    return whole


def damage_snapshot(world: World, *, at_rest: bool = True) -> bytes:
    """Leave nothing but the header of the snapshot of what is open; return what it was."""
    key = f"{OPEN}#0"
    whole = world.table(world.names.snapshots)[key.encode()]
    snapshot = decode_snapshot_record(whole)
    assert isinstance(snapshot, Snapshot)
    header = replace(execution_header(snapshot.state), body=b"\xc1", at_rest=at_rest)
    write(
        world,
        world.names.snapshots,
        key,
        encode_snapshot_record(replace(snapshot, state=msgspec.msgpack.encode(header))),
    )
    return whole


def others_go_on(world: World, stopped: int) -> None:
    ids = [f"pass:new-{number}" for number in NUMBERS]
    for id in ids:
        world.start(id)
    world.settle()
    begun = {id for id in ids if id in world.histories()}
    assert begun == {id for id in ids if home(id) != stopped}


def partition(world: World, number: int) -> Partition:
    return world.processor._partitions[number]


CLOSED = f"events of partition {home(ENDED)} cannot be folded: {ENDED}: what is held of it cannot be read: "


@pytest.mark.parametrize("waits", [True, False], ids=["while closed is being read", "later"])
def test_a_damaged_record_of_closed_stops_its_partition_when_its_execution_is_asked_for(
    world: World, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    whole, stopped = damage_closed(world), home(ENDED)
    before = next(id for n in range(99) if home(id := f"pass:before-{n}") == stopped)
    behind = next(id for n in range(99) if home(id := f"pass:behind-{n}") == stopped)
    world.restart()
    if not waits:
        world.settle()
        assert world.processor.partitions == (0, 1, 2)
    for id in (before, ENDED, behind):
        world.start(id)
    with caplog.at_level(logging.ERROR):
        world.settle()

    assert world.processor.stopped == {stopped: CLOSED + "ClosedExecution does not decode: ends too early"}
    assert [(r.message, vars(r)["partition"]) for r in caplog.records] == [("partition_stopped", stopped)]
    assert (world.types(before)[-1], world.types(behind), world.rejections()) == ("ExecutionSucceeded", [], [])
    assert (world.counts()["stopped_partitions"], world.processor.ready) == (1, False)
    others_go_on(world, stopped)

    write(world, world.names.closed, ENDED, whole)
    world.restart()
    world.settle()
    assert (world.processor.stopped, world.types(behind)[-1]) == ({}, "ExecutionSucceeded")
    assert world.reasons() == [("StartExecution", "ExecutionAlreadyExists")]


STATE = f"events of partition {home(OPEN)} cannot be folded: {OPEN}: what is held of it cannot be read: state does not"


def test_a_damaged_snapshot_stops_its_partition_when_a_command_comes(world: World) -> None:
    whole, before = damage_snapshot(world), world.types(OPEN)
    world.restart()
    world.settle()
    assert world.processor.stopped == {}
    world.send(c.CompleteTask.of(scheduled(world, OPEN), "done"))
    world.settle()

    [(stopped, reason)] = world.processor.stopped.items()
    assert (stopped, reason.startswith(STATE)) == (home(OPEN), True)
    assert (world.types(OPEN), world.rejections(), world.dead_letters()) == (before, [], [])
    others_go_on(world, stopped)

    write(world, world.names.snapshots, f"{OPEN}#0", whole)
    world.restart()
    world.settle()
    assert world.types(OPEN)[-1] == "ExecutionSucceeded"


def test_a_damaged_snapshot_stops_its_partition_when_its_execution_is_to_go_on(world: World) -> None:
    damage_snapshot(world, at_rest=False)
    world.restart()
    world.settle()

    [(stopped, reason)] = world.processor.stopped.items()
    assert (stopped, reason.startswith(STATE)) == (home(OPEN), True)
    others_go_on(world, stopped)


def test_a_command_that_is_to_be_buried_stops_the_partition_too(world: World) -> None:
    """Otherwise its owners died of that as well, for ever. And those who go on need not be careful any longer."""
    damage_snapshot(world)
    world.restart()
    world.settle()
    partition(world, home(OPEN)).attempts = DEADLY_FROM
    world.send(c.StopExecution(execution_id=OPEN))
    world.settle()

    assert list(world.processor.stopped) == [home(OPEN)]
    assert world.dead_letters() == []
    ids = [id for n in range(99) if home(id := f"pass:new-{n}") != home(OPEN)][:9]
    for id in ids:
        world.start(id)
    before = world.processor.counts["transactions"]
    world.settle()
    assert (world.processor.counts["transactions"] - before, world.counts()["started"]) == (1, len(ids))


def test_what_waits_in_a_stopped_partition_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = home(ENDED)
    strange = b"\xc3\x01" + bytes(8) + b"of another release"
    write(world, world.names.closed, ENDED, strange)
    monkeypatch.setattr(partitions, "WAITING_RECORDS", 1)
    monkeypatch.setattr(inbox, "RESTORE_RECORDS", 1)
    world.restart()
    while stopped not in world.processor.partitions:
        world.step()
    world.start(next(id for n in range(99) if home(id := f"pass:waits-{n}") == stopped))
    while not world.processor.stopped:
        world.step()

    assert (list(world.processor.stopped), partition(world, stopped).full) == ([stopped], True)
    others_go_on(world, stopped)
