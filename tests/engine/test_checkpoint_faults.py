"""Where a checkpoint meets an end, a redrive or another release: nothing open is lost, nothing ended comes back."""

from __future__ import annotations

import logging

import pytest

from processor.engine import checkpoints, snapshots
from processor.engine.encoding import encode_snapshot_record
from processor.engine.ports import Committed, Message, Transaction
from processor.model import commands as c
from processor.model.records import Snapshot
from tests.engine.test_checkpoints import MINUTE, checkpoint, keys, partition
from tests.engine.world import TASK, World, scheduled


@pytest.fixture
def world() -> World:
    world = World(partitions=1)
    world.deploy("task", TASK)
    world.settle()
    return world


def restored(world: World) -> tuple[dict[int, str], int, int]:
    """Restart; return what stopped, how many executions are open, and how many events were read."""
    world.restart()
    world.settle()
    found = partition(world)
    return world.processor.stopped, found.holdings.open_count, found.restoring.events


def chunks(world: World) -> dict[bytes | None, bool]:
    """Return whether each key of snapshots is there, or a tombstone."""
    return keys(world, world.names.snapshots)


def of_another_release(id: str, *, chunk: int = 0) -> bytes:
    return encode_snapshot_record(
        Snapshot(execution_id=id, chunk=chunk, chunks=1, sequence=3, format="0" * 16, state=b"")
    )


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_death_between_two_transactions_of_a_round_brings_nothing_back_that_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    for number in range(5):
        world.start(f"task:{number}")
    checkpoint(world)
    monkeypatch.setattr(checkpoints, "TOMBSTONES", limit)
    for number in range(5):
        world.send(c.CompleteTask.of(scheduled(world, f"task:{number}"), "done"))
        world.step()  # a transaction each
    world.advance(MINUTE)
    rounds = 0
    while any(chunks(world)[b"task:%d#0" % number] for number in range(5)):
        world.step()
        assert restored(world)[:2] == ({}, 0)
        world.advance(MINUTE)
        rounds += 1

    assert rounds == -(-5 // limit)


def test_a_death_between_two_transactions_of_a_round_finds_what_ended_meanwhile_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen on three brokers: the checkpoint stood between the beginning of an execution and its end."""
    monkeypatch.setattr(checkpoints, "SNAPSHOTS", 1)
    for name in ("ends", "waits"):
        world.start(f"task:{name}")
    world.settle()
    world.send(c.CompleteTask.of(scheduled(world, "task:ends"), "done"))
    for number in range(3):  # begun in the transaction in which that one ends
        world.start(f"task:{number}")
    for _ in range(6):
        world.advance(MINUTE)
        world.step()
        assert restored(world)[:2] == ({}, 4)

    assert partition(world).coverage.position == partition(world).coverage.end


def test_a_snapshot_stays_as_long_as_it_is_not_known_where_its_execution_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start("task:a")
    checkpoint(world)
    commit = world.processor._inbox.commit

    def without_reports(transaction: Transaction) -> Committed | None:
        return None if commit(transaction) is None else Committed(ends={})

    monkeypatch.setattr(world.processor._inbox, "commit", without_reports)
    world.answer("done")
    checkpoint(world)
    assert chunks(world)[b"task:a#0"]
    monkeypatch.undo()
    assert restored(world) == ({}, 0, 3)

    world.start("task:b")
    checkpoint(world)
    assert not chunks(world)[b"task:a#0"]
    assert restored(world) == ({}, 1, 0)


def test_a_redrive_removes_what_a_larger_snapshot_has_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room = world.processor._inbox.max_record_bytes - 400
    with monkeypatch.context() as small:
        small.setattr(snapshots, "_ROOM", room)
        world.start("task:a", "x" * 1_000)
        checkpoint(world)
    assert chunks(world)[b"task:a#3"]
    world.send(c.StopExecution(execution_id="task:a", error="E"))
    world.send(c.RedriveExecution(execution_id="task:a"))
    world.settle()

    assert [key for key, there in chunks(world).items() if there] == [b"task:a#0", b"#checkpoint"]
    assert restored(world) == ({}, 1, 2)
    world.answer("done")
    assert world.types("task:a")[-1] == "ExecutionSucceeded"


def test_a_redriven_execution_keeps_its_snapshot_after_all_events_were_read(world: World) -> None:
    world.start("task:a")
    world.settle()
    world.send(c.StopExecution(execution_id="task:a", error="E"))
    world.settle()
    world.send(c.RedriveExecution(execution_id="task:a"))
    world.settle()
    world.write(Message(topic=world.names.snapshots, key=b"task:a#0", value=of_another_release("task:a"), partition=0))
    assert restored(world)[:2] == ({}, 1)
    checkpoint(world)

    assert chunks(world)[b"task:a#0"]
    assert restored(world) == ({}, 1, 0)
    world.answer("done")
    assert world.types("task:a")[-1] == "ExecutionSucceeded"


def test_snapshots_of_another_release_are_passed_over_once_and_replaced_or_removed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for id in ("task:a", "task:b"):
        world.start(id)
    checkpoint(world)
    for id, chunk in (("task:a", 0), ("task:a", 1), ("task:b", 0), ("task:gone", 0)):
        value = of_another_release(id, chunk=chunk)
        world.write(Message(topic=world.names.snapshots, key=b"%s#%d" % (id.encode(), chunk), value=value, partition=0))
    world.send(c.CompleteTask.of(scheduled(world, "task:b"), "done"))
    assert restored(world)[:2] == ({}, 1)
    checkpoint(world)

    assert chunks(world) == {
        b"task:a#0": True,
        b"task:a#1": False,
        b"task:b#0": False,
        b"task:gone#0": False,
        b"#checkpoint": True,
    }
    caplog.clear()
    assert restored(world) == ({}, 1, 0)
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == []


def test_what_was_read_of_the_snapshots_is_held_by_the_executions_alone(world: World) -> None:
    world.start("task:a")
    checkpoint(world)
    assert restored(world) == ({}, 1, 0)

    restoring = partition(world).restoring
    assert (restoring._chunks.counts(), restoring._covered) == ({}, set())
