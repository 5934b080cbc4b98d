"""Long executions go on in slices, between other executions' commands, as if nothing lay between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.embedded.inbox import EmbeddedInbox
from processor.engine import applier, staging
from processor.engine.encoding import decode_events
from processor.engine.ports import Clock, Committed, Delivery, Transaction
from processor.engine.processor import Processor
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.json import Json
from tests.engine.world import PASS, TASK, SameSeed, World, map_of_passes, scheduled

ITEMS: list[Json] = list(range(3_000))


def long_world(*, slice_events: int = 1_000, partitions: int = 1) -> World:
    world = World(partitions=partitions, slice_events=slice_events)
    world.deploy("long", map_of_passes())
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    return world


def undisturbed() -> tuple[e.AnyEvent, ...]:
    world = long_world(slice_events=1_000_000)
    world.start("long:a", ITEMS)
    world.settle()
    assert world.counts() == {"started": 1}
    return world.events("long:a")


def test_a_long_map_goes_on_in_slices_with_the_events_of_one_piece() -> None:
    world = long_world()
    world.start("long:a", ITEMS)
    world.settle()

    assert world.events("long:a") == undisturbed()
    assert world.counts() == {"started": 1, "slices": 12}


def test_the_events_of_later_slices_carry_the_time_and_cause_of_their_command() -> None:
    world = long_world()
    world.start("long:a", ITEMS, command_id="c-1")
    while world.types("long:a")[-1:] != ["ExecutionSucceeded"]:
        world.step()
        world.advance(1)

    assert {(x.time, x.caused_by.command_id) for x in world.events("long:a")} == {
        (world.events("long:a")[0].time, "c-1")
    }


def test_other_executions_commands_are_applied_between_the_slices() -> None:
    world = long_world()
    world.start("long:a", ITEMS)
    world.start("task:a")
    world.step(2)
    assert world.types("task:a")[-1] == "TaskScheduled"
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), 1))
    world.start("pass:a")
    world.step()

    assert world.types("task:a")[-1] == world.types("pass:a")[-1] == "ExecutionSucceeded"
    assert world.types("long:a")[-1] != "ExecutionSucceeded"
    world.settle()
    assert world.events("long:a") == undisturbed()
    order = [
        batch[0].execution_id
        for record in world.records(world.names.events)
        if (batch := decode_events(record.value or b""))
    ]
    assert order.index("pass:a") < len(order) - 1 - order[::-1].index("long:a")


def test_a_slice_beside_a_command_leaves_the_commands_offset_behind_it() -> None:
    world = long_world()
    world.start("long:a", ITEMS)
    world.step(2)
    world.start("pass:a")
    world.step()  # the command and a slice in one transaction
    assert world.types("pass:a")[-1] == "ExecutionSucceeded"
    assert world.counts()["slices"] > 0
    world.restart()
    world.settle()

    assert world.rejections() == []  # the command did not come again
    assert world.types("long:a")[-1] == "ExecutionSucceeded"


def test_several_long_executions_take_turns() -> None:
    world = long_world()
    for name in "abc":
        world.start(f"long:{name}", ITEMS)
    world.step(4)

    given = {name: len(world.events(f"long:{name}")) for name in "abc"}
    assert max(given.values()) - min(given.values()) <= 1_000
    world.settle()
    assert {world.types(f"long:{name}")[-1] for name in "abc"} == {"ExecutionSucceeded"}


def test_a_crash_in_the_middle_is_resumed_with_the_same_events() -> None:
    world = long_world()
    world.start("long:a", ITEMS)
    world.step(4)
    before = len(world.events("long:a"))
    assert 1_000 < before < 12_000
    world.restart()
    world.settle()

    assert world.events("long:a") == undisturbed()
    assert world.counts()["slices"] < 12


def test_a_stop_between_two_slices_ends_it_there() -> None:
    world = long_world()
    world.start("long:a", ITEMS)
    world.step(3)
    world.send(c.StopExecution(execution_id="long:a"))
    world.settle()

    types = world.types("long:a")
    assert types[-1] == "ExecutionAborted"
    assert len(types) < 12_000
    assert (world.tasks(), world.timers()) == ([], [])


def test_an_answer_between_two_slices_goes_on_from_there() -> None:
    """One branch waits for a task, the other is long: the answer's own event comes next, then all that is left."""
    world = World(partitions=1, slice_events=100)
    world.deploy(
        "both",
        {
            "StartAt": "Both",
            "States": {
                "Both": {
                    "Type": "Parallel",
                    "Branches": [
                        {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "work", "End": True}}},
                        map_of_passes(),
                    ],
                    "End": True,
                }
            },
        },
    )
    world.start("both:a", ITEMS[:200])
    world.step(3)
    assert "ExecutionSucceeded" not in world.types("both:a")
    world.send(c.CompleteTask.of(scheduled(world, "both:a"), "answer"))
    world.settle()

    events = world.events("both:a")
    assert events[-1] == e.ExecutionSucceeded(
        execution_id="both:a",
        sequence=len(events) - 1,
        time=events[-1].time,
        caused_by=events[-1].caused_by,
        output=["answer", ITEMS[:200]],
    )
    causes = [event.caused_by.type for event in events]
    assert causes == sorted(causes, reverse=True)  # StartExecution, then CompleteTask


def test_slices_of_a_partition_that_is_lost_are_left_to_its_next_owner() -> None:
    world = long_world(partitions=2)
    for number in range(8):
        world.start(f"long:{number}", ITEMS[:600])
    world.step(2)
    second = world.processor_on(world.log, slot="1")
    for _ in range(40):
        second.step(timeout_seconds=0)
        world.step()
    world.settle()

    assert {len(events) for events in world.histories().values()} == {2_406}


class SlowClock(ManualClock):
    """Time passes with every look at it."""

    def __init__(self, milliseconds: int) -> None:
        super().__init__()
        self._step = timedelta(milliseconds=milliseconds)

    def now(self) -> Millis:
        self.advance(self._step)
        return super().now()


def steps_taken(world: World, clock: Clock) -> list[int]:
    """Return how many commands each transaction applied, until all were."""
    processor = Processor(log=world.log, clock=clock, entropy=SameSeed())
    taken, done = [], 0
    for _ in range(2):
        processor.step(timeout_seconds=0)  # the partitions are taken and restored
    while done < 1_500:
        processor.step(timeout_seconds=0)
        taken.append(processor.counts["started"] - done)
        done += taken[-1]
    return taken


def test_a_batch_grows_while_transactions_are_short() -> None:
    world = long_world()
    for number in range(1_500):
        world.start(f"pass:{number}")

    assert steps_taken(world, ManualClock()) == [100, 200, 400, 800]


def test_a_batch_grows_though_commits_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller batches only make more commits: of 200 ms, with one command in each, five commands a second."""
    clock = ManualClock()
    commit = EmbeddedInbox.commit

    def slow(inbox: EmbeddedInbox, transaction: Transaction) -> Committed | None:
        clock.advance(timedelta(milliseconds=200))
        return commit(inbox, transaction)

    world = long_world()
    for number in range(1_500):
        world.start(f"pass:{number}")
    monkeypatch.setattr(EmbeddedInbox, "commit", slow)

    assert steps_taken(world, clock) == [100, 200, 400, 800]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices are not cut by their time, where every look at the clock takes some."""
    monkeypatch.setattr(applier, "SLICE_MS", 1_000_000)


@pytest.mark.usefixtures("unhurried")
def test_a_batch_shrinks_while_transactions_are_long() -> None:
    world = long_world()
    for number in range(1_500):
        world.start(f"pass:{number}")

    taken = steps_taken(world, SlowClock(10))  # two looks a command, and one an event
    assert (taken[:20], max(taken)) == ([2] * 20, 2)


# ---- a batch that takes longer than a transaction should


def ordered(world: World, count: int) -> None:
    """Send two commands for each of so many executions, the second of which needs the first."""
    for number in range(count):
        world.start(f"task:{number}")
        world.send(c.CompleteTask(execution_id=f"task:{number}", token=f"task:{number}##2", output=number))


def polls_of(processor: Processor, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Return what will hold how many commands each poll asked for."""
    asked: list[int | None] = []
    poll = processor._inbox.poll

    def noting(*, timeout_seconds: float, max_commands: int | None) -> Sequence[Delivery]:
        asked.append(max_commands)
        return poll(timeout_seconds=timeout_seconds, max_commands=max_commands)

    monkeypatch.setattr(processor._inbox, "poll", noting)
    return asked


@pytest.mark.usefixtures("unhurried")
def test_commands_for_which_there_is_no_time_are_kept_and_none_are_asked_for_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = long_world()
    ordered(world, 3)
    processor = Processor(log=world.log, clock=SlowClock(60), entropy=SameSeed())
    processor.step(timeout_seconds=0)
    asked = polls_of(processor, monkeypatch)
    applied = []
    for _ in range(8):
        processor.step(timeout_seconds=0)
        applied.append((processor.counts["started"], processor.counts["applied"]))

    assert applied == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (3, 3)]
    assert asked == [100, 100, 0, 0, 0, 0, 0, 100]  # never fewer


def test_commands_that_no_longer_fit_into_a_transaction_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "TRANSACTION_BYTES", 1_500)
    world = long_world()
    for number in range(6):
        world.start(f"pass:{number}", "x" * 400)
    started = []
    for _ in range(6):
        world.step()
        started.append(world.processor.counts["started"])

    assert started == [0, 2, 4, 6, 6, 6]
    assert world.counts() == {"started": 6}


@pytest.mark.usefixtures("unhurried")
def test_kept_commands_come_once_and_in_order_though_transactions_are_dropped_and_partitions_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(partitions=2)
    world.deploy("task", TASK)
    world.processor.close()
    ordered(world, 20)
    slow = Processor(log=world.log, clock=SlowClock(30), entropy=SameSeed(), slot="slow")
    commit, calls = slow._inbox.commit, iter(range(1_000))

    def commits(transaction: Transaction) -> Committed | None:
        refused = Transaction(offsets={}, messages=())  # dropped, and rewound
        return commit(refused if next(calls) % 3 == 2 else transaction)

    monkeypatch.setattr(slow._inbox, "commit", commits)
    for _ in range(9):
        slow.step(timeout_seconds=0)
    assert slow._kept != []
    world.restart()  # joins, and takes one of the partitions
    for _ in range(80):
        slow.step(timeout_seconds=0)
        world.step()

    assert slow.partitions != ()
    assert world.processor.partitions != ()
    assert slow.counts["dropped_transactions"] > 3
    whole = ["ExecutionStarted", "StateEntered", "TaskScheduled", "TaskSucceeded", "StateExited", "ExecutionSucceeded"]
    assert {id: world.types(id) for id in world.histories()} == {f"task:{n}": whole for n in range(20)}
    assert world.rejections() == []


def test_slices_leave_off_when_it_is_time_to_commit() -> None:
    world = long_world(slice_events=10)
    for number in range(70):
        world.start(f"long:{number}", ITEMS[:20])
    world.step(2)
    assert world.counts() == {"started": 70}
    world.step()
    assert world.counts() == {"started": 70, "slices": 64}  # however short they are

    slow = Processor(log=world.log, clock=SlowClock(60), entropy=SameSeed(), slice_events=10)
    for _ in range(2):
        slow.step(timeout_seconds=0)
    assert slow.counts["slices"] == 1


def test_a_slice_ends_when_its_time_is_spent_and_the_events_are_those_of_one_piece() -> None:
    """A thousand events with expressions in them may take minutes; nobody else had a turn meanwhile."""
    world = long_world()
    world.clock = SlowClock(10)
    world.processor = world.processor_on(world.log)
    world.start("long:a", ITEMS[:50])
    world.settle()
    straight = long_world()
    straight.clock = SlowClock(0)
    straight.processor = straight.processor_on(straight.log)
    straight.start("long:a", ITEMS[:50])
    straight.settle()

    events, expected = world.events("long:a"), straight.events("long:a")
    assert [(type(x), x.scope, x.state) for x in events] == [(type(x), x.scope, x.state) for x in expected]
    assert world.counts()["slices"] > len(events) // 6
    assert "slices" not in straight.counts()
