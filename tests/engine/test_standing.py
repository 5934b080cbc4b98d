"""What a processor tells of itself: how its partitions stand, what it has counted, and each transaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from processor.engine.ports import AllRestored, Delivery, PartitionTaken, Record, RecordsRestored
from processor.engine.processor import DEADLY_FROM, Processor
from processor.engine.standing import PartitionStanding, Restored, Standing
from processor.model import commands as c
from processor.model.ids import Millis
from tests.engine.test_partitions import scripted
from tests.engine.world import PASS, TASK, SameSeed, World, map_of_passes, scheduled


class Noted:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.transactions: list[bool | None] = []
        self.standings: list[Standing] = []

    def committing(self) -> None:
        self.transactions.append(None)

    def committed(self, done: bool) -> None:
        assert self.transactions[-1] is None
        self.transactions[-1] = done

    def stepped(self, standing: Callable[[], Standing]) -> None:
        self.standings.append(standing())


def observed(world: World, noted: Noted) -> None:
    world.processor = Processor(log=world.log, clock=world.clock, entropy=SameSeed(), slice_events=5, observer=noted)


def standing_of(
    partition: int = 0, *, state: str = "READY", left: int = 0, seconds_left: float | None = 0.0, **counted: int
) -> PartitionStanding:
    nothing = dict.fromkeys(("open", "runnable", "quarantined", "closed", "closed_bytes", "waiting_commands"), 0)
    return PartitionStanding(
        partition=partition,
        state=state,  # type: ignore[arg-type]  # one of them
        restored={},
        restoring_left=left,
        restore_seconds_left=seconds_left,
        **(nothing | counted),
    )


def held_of(world: World) -> int:
    """Return what the records of closed take that stand."""
    latest = {record.key: record.value or b"" for record in world.records(world.names.closed)}
    return sum(map(len, latest.values()))


@pytest.fixture
def world() -> World:
    world = World(partitions=1, slice_events=5)
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    world.deploy("each", map_of_passes())
    world.settle()
    return world


def test_a_standing_tells_of_every_partition_what_is_open_closed_and_in_quarantine(world: World) -> None:
    world.start("task:a")
    world.start("task:b")
    world.start("pass:c")
    world.settle()
    [partition] = world.processor._partitions.values()
    partition.attempts = DEADLY_FROM
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), None))
    world.settle()

    assert world.processor.standing() == Standing(
        ready=True,
        partition_count=1,
        counts=dict(world.processor.counts),
        partitions=(standing_of(open=2, closed=1, closed_bytes=held_of(world), quarantined=1),),
    )


def test_what_is_in_quarantine_is_known_again_after_a_restart_and_no_longer_once_released(world: World) -> None:
    world.start("task:a")
    world.settle()
    [partition] = world.processor._partitions.values()
    partition.attempts = DEADLY_FROM
    done = c.CompleteTask.of(scheduled(world, "task:a"), None)
    world.send(done)
    world.settle()
    world.processor.run(lambda: True)  # checkpoints
    world.restart()
    world.settle()
    quarantined = [standing.quarantined for standing in world.processor.standing().partitions]
    world.send(c.ReleaseExecution(execution_id="task:a"))
    world.settle()

    after = [standing.quarantined for standing in world.processor.standing().partitions]
    assert (quarantined, after) == ([1], [0])


def test_a_quarantined_execution_that_is_stopped_is_no_longer_counted(world: World) -> None:
    world.start("task:a")
    world.settle()
    [partition] = world.processor._partitions.values()
    partition.attempts = DEADLY_FROM
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), None))
    world.settle()
    world.send(c.StopExecution(execution_id="task:a"))
    world.settle()

    assert world.processor.standing().partitions == (standing_of(closed=1, closed_bytes=held_of(world)),)


def test_an_execution_that_has_spent_its_slice_is_runnable(world: World) -> None:
    noted = Noted()
    observed(world, noted)
    world.step(3)
    world.start("each:a", [1, 2, 3])
    world.settle()

    seen = [standing.partitions[0].runnable for standing in noted.standings]
    assert (max(seen), seen[-1]) == (1, 0)


def test_an_observer_is_told_of_every_step_and_of_each_transaction_before_and_after(world: World) -> None:
    noted = Noted()
    observed(world, noted)
    world.step(2)
    world.start("pass:a")
    world.log.refuse_commits(1)
    world.step(3)

    assert noted.transactions == [False, True]
    assert [s.counts.get("transactions", 0) for s in noted.standings] == [0, 0, 0, 1, 1]
    assert [s.counts.get("dropped_transactions", 0) for s in noted.standings] == [0, 0, 1, 1, 1]


def test_a_checkpoint_is_a_transaction_too(world: World) -> None:
    noted = Noted()
    observed(world, noted)
    world.start("task:a")
    world.step(3)
    world.advance(61)
    world.step()

    assert (noted.transactions, noted.standings[-1].counts["checkpoints"]) == ([True, True], 1)


def test_before_the_first_poll_nothing_is_ready_though_nothing_is_owned(world: World) -> None:
    noted = Noted()
    observed(world, noted)

    assert world.processor.standing() == Standing(ready=False, partition_count=1, counts={}, partitions=())


def test_who_shares_with_more_than_there_are_partitions_is_ready_with_none(world: World) -> None:
    world.step()
    other = world.processor_on(world.log, slot="1")

    assert other.standing() == Standing(ready=True, partition_count=1, counts={}, partitions=())


def events_restored(world: World, *offsets: int, left: int) -> RecordsRestored:
    """Tombstones: they are read, and hold nothing."""
    records = tuple(
        Record(topic=world.names.events, partition=0, offset=o, key=b"x:1#0", value=None, time=Millis(0))
        for o in offsets
    )
    return RecordsRestored(partition=0, assignment=1, of="events", records=records, left=left)


def test_while_a_partition_is_restored_its_standing_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(partitions=1)
    begin: list[Delivery] = [
        PartitionTaken(partition=0, assignment=1),
        AllRestored(partition=0, assignment=1, of="snapshots"),
    ]
    polls: list[list[Delivery]] = [
        begin,
        [events_restored(world, 0, 1, left=8)],
        [events_restored(world, 2, left=6)],
        [],
    ]
    ticking, _ = scripted(monkeypatch, *polls[:2], [], [])
    ticking.processor._inbox._polls = [polls[2], polls[3]]  # type: ignore[attr-defined]  # its own
    ticking.advance(4)
    ticking.step()

    [standing] = ticking.processor.standing().partitions
    # Two offsets took four seconds, six are left.
    assert (standing.state, dict(standing.restored), standing.restoring_left, standing.restore_seconds_left) == (
        "RESTORING",
        {"events": 3},
        6,
        12.0,
    )


def test_an_estimate_needs_two_readings_of_the_same_topic() -> None:
    restored, began = Restored(), Millis(0)
    seconds: list[float | None] = [restored.seconds_left]
    restored.take("snapshots", 5, left=15, now=began)
    seconds.append(restored.seconds_left)
    restored.take("snapshots", 5, left=10, now=Millis(1_000))
    seconds.append(restored.seconds_left)
    restored.end()
    seconds.append(restored.seconds_left)
    restored.take("events", 1, left=4, now=Millis(2_000))
    seconds.append(restored.seconds_left)

    assert (seconds, restored.records) == ([0.0, None, 2.0, 0.0, None], {"snapshots": 10, "events": 1})


def test_a_stopped_partition_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Record(topic="events", partition=0, offset=0, key=b"x:1#0", value=b"no event", time=Millis(0))
    world, _ = scripted(
        monkeypatch,
        [
            PartitionTaken(partition=0, assignment=1),
            AllRestored(partition=0, assignment=1, of="snapshots"),
            RecordsRestored(partition=0, assignment=1, of="events", records=(broken,)),
        ],
        [],
    )

    [standing] = world.processor.standing().partitions
    assert (standing.state, world.processor.standing().ready) == ("STOPPED", False)


def test_until_what_is_closed_was_read_a_partition_is_open_and_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = scripted(
        monkeypatch,
        [
            PartitionTaken(partition=0, assignment=1),
            AllRestored(partition=0, assignment=1, of="snapshots"),
            AllRestored(partition=0, assignment=1, of="events"),
        ],
        [],
    )

    [standing] = world.processor.standing().partitions
    assert (standing.state, world.processor.standing().ready) == ("OPEN", False)
