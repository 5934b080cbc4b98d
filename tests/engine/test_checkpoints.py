"""Snapshots, checkpoints and the records of what is closed: less to read, and nothing else."""

from __future__ import annotations

import logging

import pytest

from processor.adapters.embedded import inbox
from processor.adapters.embedded.store import Group
from processor.engine import checkpoints, coverage, partitions, snapshots
from processor.engine.coverage import CHECKPOINT_MS, Coverage
from processor.engine.encoding import (
    STATE_FORMAT,
    decode_closed,
    decode_snapshot_record,
    encode_snapshot_record,
)
from processor.engine.partitions import Partition
from processor.engine.ports import Message
from processor.interpreter.interpreter import input_hash
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.records import Checkpoint, ClosedExecution, Snapshot
from tests.engine.world import PASS, TASK, World, scheduled

MINUTE = CHECKPOINT_MS // 1000


@pytest.fixture
def world() -> World:
    world = World(partitions=1)
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    world.settle()
    return world


def partition(world: World) -> Partition:
    [found] = world.processor._partitions.values()
    return found


def checkpoint(world: World) -> None:
    """Let a minute pass, so that everything is covered."""
    world.settle()
    world.advance(MINUTE)
    world.settle()


def keys(world: World, topic: str) -> dict[bytes | None, bool]:
    """Return whether the last record of each key is there, or a tombstone."""
    return {record.key: record.value is not None for record in world.records(topic)}


def restored(world: World) -> int:
    """Restart; return how many events were read to restore the partition."""
    world.restart()
    world.settle()
    return partition(world).restoring.events


def test_nothing_is_written_before_a_minute_has_passed(world: World) -> None:
    world.start("task:a")
    world.settle()
    world.advance(MINUTE - 1)
    world.settle()

    assert world.records(world.names.snapshots) == []


def test_a_checkpoint_covers_what_is_open_and_a_restart_reads_only_what_came_later(world: World) -> None:
    world.start("task:a")
    world.start("task:b")
    checkpoint(world)

    *taken, told = [decode_snapshot_record(r.value or b"") for r in world.records(world.names.snapshots)]
    assert [(s.execution_id, s.chunk, s.chunks, s.sequence) for s in taken if isinstance(s, Snapshot)] == [
        ("task:a", 0, 1, 3),
        ("task:b", 0, 1, 3),
    ]
    assert told == Checkpoint(position=2, commands_offset=2, partitions=1, format=STATE_FORMAT, time=world.clock.now())
    assert restored(world) == 0

    world.send(c.CompleteTask.of(scheduled(world, "task:a"), "done"))
    world.settle()
    assert world.types("task:a")[3:] == ["TaskSucceeded", "StateExited", "ExecutionSucceeded"]
    assert restored(world) == 3
    world.answer("later")
    assert world.types("task:b")[-1] == "ExecutionSucceeded"


def test_a_checkpoint_is_written_after_so_many_events_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "CHECKPOINT_EVENTS", 6)
    world.start("task:a")
    world.settle()
    assert world.records(world.names.snapshots) == []
    world.start("task:b")
    world.settle()

    assert keys(world, world.names.snapshots) == {b"task:a#0": True, b"task:b#0": True, b"#checkpoint": True}


def test_a_round_takes_as_many_transactions_as_it_needs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SNAPSHOTS", 2)
    for number in range(5):
        world.start(f"task:{number}")
    checkpoint(world)

    told = [decode_snapshot_record(r.value or b"") for r in world.records(world.names.snapshots)]
    assert [t.position for t in told if isinstance(t, Checkpoint)] == [0, 0, 5]  # they began in one transaction
    assert (world.processor.counts["snapshots"], world.processor.counts["checkpoints"]) == (5, 3)
    assert restored(world) == 0


def test_a_checkpoint_that_is_not_committed_comes_again(world: World) -> None:
    world.start("task:a")
    world.settle()
    world.advance(MINUTE)
    world.log.refuse_commits(1)
    world.settle()

    assert keys(world, world.names.snapshots) == {b"task:a#0": True, b"#checkpoint": True}
    assert world.processor.counts["checkpoints"] == 1
    assert restored(world) == 0


def test_what_is_closed_leaves_a_record_and_its_snapshot_goes_with_the_next_checkpoint(world: World) -> None:
    world.start("task:a", {"n": 1})
    checkpoint(world)
    world.answer("done")

    [record] = world.records(world.names.closed)
    started, *_, ended = world.events("task:a")
    assert isinstance(started, e.ExecutionStarted)
    assert (record.key, decode_closed(record.value or b"")) == (
        b"task:a",
        ClosedExecution(
            execution_id="task:a",
            state_machine="task",
            revision=started.revision,
            status="SUCCEEDED",
            input_hash=input_hash({"n": 1}, None),
            start_command_id=started.caused_by.command_id,
            last_sequence=5,
            started_at=started.time,
            ended_at=ended.time,
            redrive_count=0,
            format=STATE_FORMAT,
            state=None,
        ),
    )
    assert keys(world, world.names.snapshots)[b"task:a#0"]
    assert restored(world) == 3  # which need the snapshot
    world.start("pass:a")
    checkpoint(world)
    assert not keys(world, world.names.snapshots)[b"task:a#0"]
    assert restored(world) == 0


def test_an_ended_execution_is_known_by_its_record_alone(world: World) -> None:
    world.start("pass:a")
    world.start("task:a")
    world.settle()
    world.send(c.StopExecution(execution_id="task:a", error="E"))
    checkpoint(world)
    assert restored(world) == 0
    world.start("pass:a", "another")
    world.send(c.StopExecution(execution_id="task:a"))
    world.settle()

    assert world.reasons() == [("StartExecution", "ExecutionAlreadyExists"), ("StopExecution", "ExecutionEnded")]


def test_one_that_did_not_succeed_leaves_its_state_too(world: World) -> None:
    world.start("task:a")
    world.settle()
    world.send(c.StopExecution(execution_id="task:a", error="E"))
    world.settle()

    [record] = world.records(world.names.closed)
    closed = decode_closed(record.value or b"")
    assert (closed.status, closed.last_sequence, closed.state is not None) == ("ABORTED", 3, True)


def test_a_large_state_is_written_in_chunks_and_put_together_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_ROOM", world.processor._inbox.max_record_bytes - 200)
    world.start("task:a", "x" * 1_000)
    checkpoint(world)
    written = world.records(world.names.snapshots)

    assert len(written) > 6
    assert max(len(record.value or b"") for record in written) < 500
    assert restored(world) == 0
    world.answer("done")
    assert world.types("task:a")[-1] == "ExecutionSucceeded"


def test_chunks_that_a_smaller_snapshot_does_not_need_are_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy(
        "shrinks",
        {
            "StartAt": "One",
            "States": {
                "One": {"Type": "Task", "Resource": "one", "OutputPath": None, "Next": "Two"},
                "Two": {"Type": "Task", "Resource": "two", "End": True},
            },
        },
    )
    monkeypatch.setattr(snapshots, "_ROOM", world.processor._inbox.max_record_bytes - 400)
    world.start("shrinks:a", None)
    world.settle()
    world.send(c.HeartbeatTask(execution_id="shrinks:a", token=scheduled(world, "shrinks:a").execution_id))
    partition(world).coverage.chunks["shrinks:a"] = 4
    checkpoint(world)

    assert [key for key, there in keys(world, world.names.snapshots).items() if not there] == [
        b"shrinks:a#%d" % chunk for chunk in range(partition(world).coverage.chunks["shrinks:a"], 4)
    ]


@pytest.mark.parametrize("what", ["format", "chunk", "partitions", "schema"])
def test_snapshots_that_cannot_be_used_are_passed_over_and_all_events_are_read(
    world: World, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.start("task:a")
    world.start("task:b")
    checkpoint(world)
    other = Snapshot(execution_id="task:b", chunk=0, chunks=1, sequence=3, format="0" * 16, state=b"")
    part = Snapshot(execution_id="task:b", chunk=0, chunks=2, sequence=3, format=STATE_FORMAT, state=b"")
    told = Checkpoint(position=2, commands_offset=2, partitions=7, format=STATE_FORMAT, time=Millis(0))
    key, value = {
        "format": (b"task:b#0", encode_snapshot_record(other)),
        "chunk": (b"task:b#0", encode_snapshot_record(part)),
        "partitions": (b"#checkpoint", encode_snapshot_record(told)),
        "schema": (b"task:b#0", b"\xc3\x01unknown schema"),
    }[what]
    world.write(Message(topic=world.names.snapshots, key=key, value=value, partition=0))

    assert restored(world) == 6
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == ["snapshots_passed_over"]
    world.answer("done")
    assert (world.types("task:a")[-1], world.types("task:b")[-1]) == ("ExecutionSucceeded", "ExecutionSucceeded")


def test_a_snapshot_of_a_revision_that_is_gone_stops_its_partition(world: World) -> None:
    world.start("task:a")
    checkpoint(world)
    for record in world.records(world.names.definitions):
        if (record.key or b"").startswith(b"task#"):
            world.log.store()._topics[world.names.definitions][0].remove(record)
    world.restart()
    world.settle()

    [reason] = world.processor.stopped.values()
    assert reason.endswith("is not among the definitions")


def test_a_stop_leaves_nothing_to_read_again(world: World) -> None:
    for number in range(3):
        world.start(f"task:{number}")
    world.settle()
    world.processor.run(lambda: True)
    world.restart()
    world.settle()

    assert (partition(world).restoring.events, partition(world).holdings.open_count) == (0, 3)


def test_a_stop_serves_what_comes_while_it_checkpoints() -> None:
    world = World(partitions=4)
    world.deploy("task", TASK)
    world.deploy("pass", PASS)
    for number in range(8):
        world.start(f"task:{number}")
    world.settle()
    checkpoints = world.processor.counts["checkpoints"]
    came: list[int] = []

    def stop() -> bool:
        if not came:  # heard between two steps, as a signal is
            came.append(1)
            for number in range(8):
                world.start(f"pass:{number}")
        return True

    world.processor.run(stop)
    world.processor.close()

    assert {world.types(f"pass:{n}")[-1] for n in range(8)} == {"ExecutionSucceeded"}
    assert world.processor.counts["checkpoints"] - checkpoints == 4


def test_a_stop_whose_checkpoint_is_refused_tries_again(world: World) -> None:
    for number in range(3):
        world.start(f"task:{number}")
    world.settle()
    world.log.refuse_commits(2)
    world.processor.run(lambda: True)
    world.restart()
    world.settle()

    assert (partition(world).restoring.events, partition(world).holdings.open_count) == (0, 3)


def test_a_stop_hears_meanwhile_that_a_partition_is_no_longer_its_own_and_covers_the_rest() -> None:
    world = World(partitions=2)
    world.deploy("task", TASK)
    for number in range(6):
        world.start(f"task:{number}")
    world.settle()
    other = world.processor_on(world.log, slot="1")
    world.log.refuse_commits(1)
    world.processor.run(lambda: True)
    held = world.processor.partitions
    world.processor.close()
    while len(other.partitions) < 2:
        other.step(timeout_seconds=0)

    [mine] = held
    read_again = {number: found.restoring.events for number, found in other._partitions.items()}
    assert (read_again[mine], read_again[1 - mine] > 0) == (0, True)


def test_executions_beyond_those_in_use_are_held_encoded_and_go_on(world: World) -> None:
    holdings = partition(world).holdings
    holdings._limit = 2
    for number in range(6):
        world.start(f"task:{number}")
    world.settle()

    assert (len(holdings._used), len(holdings._idle)) == (2, 4)
    world.answer("done")
    assert {world.types(f"task:{n}")[-1] for n in range(6)} == {"ExecutionSucceeded"}
    assert (holdings.open_count, holdings.closed_count) == (0, 6)


def settle(world: World) -> None:
    """Step until it is known what is closed, and nothing moves any more."""
    while not world.processor.ready or not world.processor.partitions:
        world.step()
    world.settle()


# ---- commands that wait until it is known what is closed


def restarted_with_closed(world: World, *waiting: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """40 closed executions and those that wait, all covered; restarted, and open, with three records of what is closed
    being read a poll."""
    for id in (*(f"pass:{number}" for number in range(40)), *waiting):
        world.start(id)
    checkpoint(world)
    monkeypatch.setattr(inbox, "RESTORE_RECORDS", 3)
    world.restart()
    while not world.processor.partitions:
        world.step()
    assert not world.processor.ready
    return world


@pytest.fixture
def slow_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    return restarted_with_closed(world, "task:a", monkeypatch=monkeypatch)


def test_completions_flow_before_it_is_known_what_is_closed(slow_closed: World) -> None:
    world = slow_closed
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), "done"))
    world.step(2)

    assert world.types("task:a")[-1] == "ExecutionSucceeded"
    assert not world.processor.ready


def test_a_start_waits_and_what_follows_it_for_the_same_execution_waits_behind_it(slow_closed: World) -> None:
    world = slow_closed
    world.start("pass:3", "again")  # of one that is closed
    world.start("task:new")
    world.send(c.StopExecution(execution_id="task:new", error="E"))
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), "done"))
    world.step(2)
    assert world.histories().get("task:new") is None
    assert world.types("task:a")[-1] == "ExecutionSucceeded"
    settle(world)

    assert world.processor.ready
    assert world.types("task:new")[-1] == "ExecutionAborted"
    assert world.reasons() == [("StartExecution", "ExecutionAlreadyExists")]


def test_commands_that_wait_come_again_after_a_death_and_none_is_applied_twice(slow_closed: World) -> None:
    world = slow_closed
    world.start("task:new")
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), "done"))
    world.step(2)
    assert world.types("task:a")[-1] == "ExecutionSucceeded"
    world.restart()
    settle(world)

    assert world.types("task:new") == ["ExecutionStarted", "StateEntered", "TaskScheduled"]
    assert world.types("task:a").count("TaskSucceeded") == 1


def gone_ahead(world: World) -> list[str]:
    """Have a stop and a redrive go ahead of a start that waits for `closed`; return the types of their events."""
    world.start("task:new")
    world.send(c.StopExecution(execution_id="task:a", error="E"), c.RedriveExecution(execution_id="task:a"))
    world.step(2)
    return world.types("task:a")


def test_a_command_that_went_ahead_and_comes_again_is_passed_over(slow_closed: World) -> None:
    world = slow_closed
    before = gone_ahead(world)
    assert before[-3:] == ["ExecutionAborted", "ExecutionRedriven", "TaskScheduled"]
    world.restart()
    settle(world)

    assert (world.types("task:a"), world.reasons()) == (before, [])
    assert world.processor.counts["repeated_commands"] == 2
    assert world.types("task:new")[-1] == "TaskScheduled"
    world.send(c.StopExecution(execution_id="task:a", error="E"))
    world.settle()
    assert world.types("task:a")[-1] == "ExecutionAborted"


def test_no_checkpoint_is_written_behind_what_went_ahead_while_others_wait(slow_closed: World) -> None:
    world = slow_closed
    world.start("task:new")
    world.send(c.StopExecution(execution_id="task:a", error="E"), c.RedriveExecution(execution_id="task:a"))
    world.step(2)
    before, written = world.types("task:a"), world.records(world.names.snapshots)
    partition(world).coverage.begin()
    world.step()
    assert world.records(world.names.snapshots) == written
    world.restart()
    settle(world)

    assert (world.types("task:a"), world.reasons()) == (before, [])
    partition(world).coverage.begin()
    world.step()
    assert world.records(world.names.snapshots) != written


def test_no_checkpoint_is_written_behind_what_comes_again(slow_closed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = slow_closed
    before = gone_ahead(world)
    monkeypatch.setattr(coverage, "CHECKPOINT_EVENTS", 1)
    for _ in range(2):
        world.restart()
        while not world.processor.partitions:
            world.step()  # the step that opens it could write one
    settle(world)

    assert (world.types("task:a"), world.reasons()) == (before, [])


def test_what_waited_is_not_lost_with_the_committed_offset(slow_closed: World) -> None:
    world = slow_closed
    before = gone_ahead(world)
    group = Group(world.names.processor_group, world.names.commands)
    world.log.store()._group(group).offsets.clear()
    world.restart()
    settle(world)

    assert world.types("task:new") == ["ExecutionStarted", "StateEntered", "TaskScheduled"]
    assert (world.types("task:a"), world.reasons()) == (before, [])


def test_no_more_commands_are_asked_for_while_too_many_wait(
    slow_closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = slow_closed
    monkeypatch.setattr(partitions, "WAITING_RECORDS", 2)
    for number in range(6):
        world.start(f"task:new-{number}")
    world.step()
    waiting = len(partition(world)._waiting)
    world.start("task:late")
    world.step()
    assert (partition(world).full, waiting, len(partition(world)._waiting)) == (True, 6, 6)
    settle(world)

    ids = [*(f"task:new-{n}" for n in range(6)), "task:late"]
    assert {world.types(id)[-1] for id in ids} == {"TaskScheduled"}


def test_a_dropped_transaction_leaves_waiting_commands_where_they_are(slow_closed: World) -> None:
    world = slow_closed
    world.start("task:new")
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), "done"))
    world.log.refuse_commits(1)
    settle(world)

    assert world.types("task:new") == ["ExecutionStarted", "StateEntered", "TaskScheduled"]
    assert world.types("task:a").count("TaskSucceeded") == 1
    assert world.processor.counts["dropped_transactions"] == 1
    assert world.rejections() == []


# ---- coverage by itself


def test_what_was_closed_before_a_checkpoint_is_disposed_of_and_what_was_redriven_is_not() -> None:
    covered = Coverage()
    covered.end = 10
    for id in ("a", "b"):
        covered.touched(id, position=4)
    covered.checkpointed(10, taken=[("a", 1), ("b", 1)], disposed=[])
    covered.end = 12
    covered.closed("a")
    covered.closed("b")
    covered.end = 14
    covered.reopened("b", 2)
    covered.touched("b", position=12)

    assert covered._disposable(11, limit=9) == (11, [])
    assert covered._disposable(12, limit=9) == (12, ["a"])
    assert (covered.covered, dict(covered.dirty)) == (12, {"b": 12})


def test_a_checkpoint_stands_before_the_end_of_what_is_not_disposed_of_with_it() -> None:
    covered = Coverage()
    covered.end = 10
    covered.checkpointed(10, taken=[], disposed=[])
    covered.chunks = dict.fromkeys("abcde", 1)
    for end, ids in ((12, "ab"), (14, "cd"), (16, "e")):
        covered.wrote(end)
        for id in ids:
            covered.closed(id)

    # Those that ended in one transaction go in one.
    assert covered._disposable(16, limit=1) == (12, ["a", "b"])
    assert covered._disposable(16, limit=3) == (14, ["a", "b", "c", "d"])
    assert covered._disposable(16, limit=5) == (16, ["a", "b", "c", "d", "e"])
    assert covered._disposable(11, limit=1) == (11, [])


def test_no_checkpoint_stands_inside_what_closed_without_a_snapshot() -> None:
    covered = Coverage()
    covered.end = 10
    covered.touched("a", position=10)
    covered.wrote(14)
    covered.touched("b", position=14)
    covered.touched("c", position=14)
    covered.wrote(18)
    covered.closed("a")  # from 10 to 17
    covered.touched("d", position=18)

    # With b alone covered, c's beginning is as far as could be said: inside of a.
    assert covered.next_checkpoint(1, limit=9) == (10, [])
    assert covered.next_checkpoint(2, limit=9) == (18, [])
    covered.wrote(None)
    covered.closed("b")
    assert covered.next_checkpoint(2, limit=9) == (10, [])  # nobody knows where b ended
    covered.wrote(22)
    assert (covered.next_checkpoint(1, limit=9), covered.next_checkpoint(2, limit=9)) == ((10, []), (22, []))


def test_what_was_closed_nobody_knows_where_keeps_its_snapshot_until_that_is_behind_a_known_end() -> None:
    covered = Coverage()
    covered.end = 10
    covered.chunks = dict.fromkeys("abc", 1)
    covered.wrote(None)
    for id in "abc":
        covered.closed(id)
    covered.reopened("b", 1)
    covered.purged("c")

    assert covered._disposable(10, limit=9) == (10, [])
    covered.wrote(15)
    assert (covered._disposable(14, limit=9), covered._disposable(15, limit=9)) == ((14, []), (15, ["a"]))
