"""A processor that dies between any two calls of its ports, or whose transactions are refused, loses and doubles
nothing: what its successor commits is what an undisturbed run commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from processor.adapters.memory import MemoryLog
from processor.engine.ports import Clock, Committed, Delivery, Entropy, Inbox, Reader, Record, Transaction
from processor.engine.processor import Processor
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.json import Json
from tests.engine.world import PASS, TASK, SameSeed, World, map_of_passes

T = TypeVar("T")

SETTLE: Json = {
    "TimeoutSeconds": 900,
    "StartAt": "Both",
    "States": {
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {
                    "StartAt": "Charge",
                    "States": {
                        "Charge": {
                            "Type": "Task",
                            "Resource": "charge",
                            "TimeoutSeconds": 60,
                            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "JitterStrategy": "FULL"}],
                            "End": True,
                        }
                    },
                },
                {
                    "StartAt": "Rest",
                    "States": {
                        "Rest": {"Type": "Wait", "Seconds": 5, "Next": "Reserve"},
                        "Reserve": {"Type": "Task", "Resource": "reserve", "End": True},
                    },
                },
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Undo"}],
            "Next": "Each",
        },
        "Undo": {"Type": "Task", "Resource": "undo", "End": True},
        "Each": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}},
            "End": True,
        },
    },
}


class Crash(BaseException):
    """The process dies."""


class Fuse:
    """Counts the moments between calls; burns through at number `at`."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.passed = at, 0

    def call(self, function: Callable[[], T]) -> T:
        self._tick()
        value = function()
        self._tick()
        return value

    def _tick(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            raise Crash


class FusedInbox:
    def __init__(self, inner: Inbox, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    @property
    def max_record_bytes(self) -> int:
        return self._inner.max_record_bytes

    @property
    def settled(self) -> bool:
        return self._inner.settled

    def poll(self, *, timeout_seconds: float, max_commands: int | None) -> Sequence[Delivery]:
        # Few at a time, so that there are many transactions to die between.
        return self._fuse.call(lambda: self._inner.poll(timeout_seconds=timeout_seconds, max_commands=3))

    def restore_events(self, *, partition: int, assignment: int, start: int) -> None:
        self._fuse.call(lambda: self._inner.restore_events(partition=partition, assignment=assignment, start=start))

    def open(self, *, partition: int, assignment: int, fallback_offset: int) -> int:
        return self._fuse.call(
            lambda: self._inner.open(partition=partition, assignment=assignment, fallback_offset=fallback_offset)
        )

    def commit(self, transaction: Transaction) -> Committed | None:
        return self._fuse.call(lambda: self._inner.commit(transaction))

    def leave(self) -> None:
        self._inner.leave()

    def close(self) -> None:
        self._inner.close()


class FusedReader:
    def __init__(self, inner: Reader, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def partitions(self, topic: str) -> int | None:
        return self._fuse.call(lambda: self._inner.partitions(topic))

    def end(self, topic: str, partition: int) -> int:
        return self._fuse.call(lambda: self._inner.end(topic, partition))

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        return iter(self._fuse.call(lambda: list(self._inner.read(topic, partition, start=start, end=end))))

    def close(self) -> None:
        self._inner.close()


class FusedLog(MemoryLog):
    """The same store, ports with a fuse."""

    def __init__(self, log: MemoryLog, fuse: Fuse) -> None:
        super().__init__(log.names)
        self._store, self._fuse = log.store(), fuse

    def inbox(self, *, slot: str) -> Inbox:  # type: ignore[override]  # a wrapper of it
        return FusedInbox(super().inbox(slot=slot), self._fuse)

    def reader(self) -> Reader:  # type: ignore[override]  # a wrapper of it
        return FusedReader(super().reader(), self._fuse)


class FusedClock:
    def __init__(self, inner: Clock, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def now(self) -> Millis:
        return self._fuse.call(self._inner.now)


class FusedEntropy:
    def __init__(self, inner: Entropy, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def seed(self) -> bytes:
        return self._fuse.call(self._inner.seed)


class Unlucky(World):
    """A world whose processor dies when its fuse burns through, and is started again."""

    def __init__(self, fuse: Fuse, *, again: bool = False) -> None:
        super().__init__(slice_events=40)
        self.processor.close()
        self._fuse, self._again = fuse, again
        self.deaths = 0
        self._begin()

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            try:
                super().step()
            except Crash:
                self._die()

    def _begin(self) -> None:
        try:
            self.processor = Processor(
                log=FusedLog(self.log, self._fuse),
                clock=FusedClock(self.clock, self._fuse),
                entropy=FusedEntropy(SameSeed(), self._fuse),
                slice_events=40,
            )
        except Crash:
            self._die()

    def _die(self) -> None:
        self.deaths += 1
        self._fuse = Fuse(None if self._fuse.at is None or not self._again else self._fuse.at + 1)
        self._begin()


def scenario(world: World) -> dict[str, object]:
    """Drive every kind of command through the processor; return all that is on the topics in the end."""
    world.deploy("settle", SETTLE)
    world.deploy("long", map_of_passes())
    world.deploy("pass", PASS)
    world.deploy("task", TASK)
    items: list[Json] = list(range(30))
    world.start("settle:good", items, reply_to=world.names.replies)
    world.start("long:a", items)
    world.send_bytes(b"nonsense", key=b"x")
    world.start("pass:a")
    world.start("settle:bad", items)
    world.start("nothing:a")
    world.start("task:a")
    world.start("task:a")
    world.settle()
    for _ in range(8):
        for task in world.tasks():
            world.send(an_answer(task.execution_id, task.token, task.resource, task.attempt))
        world.settle()
        world.fire("wait", "retry")
    world.start("pass:a")
    world.send(c.StopExecution(execution_id="long:a"))
    world.settle()
    return {
        "histories": world.histories(),
        "rejections": sorted(world.rejections(), key=lambda rejection: (rejection.partition, rejection.offset)),
        "replies": sorted(world.replies(), key=lambda reply: (reply.execution_id, reply.kind)),
        "dead letters": [(letter.key, letter.value, letter.headers) for letter in world.dead_letters()],
        "tasks": world.tasks(),
        "timers": world.timers(),
    }


def an_answer(execution_id: str, token: str, resource: str, attempt: int) -> c.AnyCommand:
    if resource == "charge" and attempt == 0:
        return c.FailTask(execution_id=execution_id, token=token, error="Busy")
    if resource == "charge" and execution_id == "settle:bad":
        return c.FailTask(execution_id=execution_id, token=token, error="Broken", cause="for good")
    output: Json = list(range(25)) if resource == "reserve" else resource
    return c.CompleteTask(execution_id=execution_id, token=token, output=output)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, object]:
    fuse = Fuse()
    left = scenario(Unlucky(fuse))
    histories = left["histories"]
    assert isinstance(histories, dict)
    ends = {id: type(events[-1]) for id, events in histories.items()}
    assert ends == dict.fromkeys(ends, e.ExecutionSucceeded)
    assert sorted(ends) == ["long:a", "pass:a", "settle:bad", "settle:good", "task:a"]
    assert (left["tasks"], left["timers"]) == ([], [])
    left["moments"] = fuse.passed
    return left


def test_a_death_between_any_two_calls_changes_nothing(undisturbed: dict[str, object]) -> None:
    moments = undisturbed["moments"]
    assert isinstance(moments, int)
    for moment in range(1, moments + 1):
        world = Unlucky(Fuse(moment))
        left = scenario(world)
        assert world.deaths == 1, moment
        assert {**left, "moments": moments} == undisturbed, moment


@pytest.mark.parametrize("moment", [25, 40, 60, 100])
def test_one_death_after_the_other_changes_nothing(undisturbed: dict[str, object], moment: int) -> None:
    world = Unlucky(Fuse(moment), again=True)
    left = scenario(world)

    assert world.deaths > 3
    assert {**left, "moments": undisturbed["moments"]} == undisturbed


class Refused(World):
    """A world in which every third transaction is refused."""

    def __init__(self, *, every: int) -> None:
        super().__init__(slice_events=40)
        self._every, self._steps = every, 0

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self._steps += 1
            self.log.refuse_commits(1 if self._steps % self._every == 0 else 0)
            super().step()


@pytest.mark.parametrize("every", [2, 3, 5])
def test_refused_commits_are_dropped_and_their_commands_come_again(undisturbed: dict[str, object], every: int) -> None:
    world = Refused(every=every)
    left = scenario(world)

    assert world.processor.counts["dropped_transactions"] > 3
    assert {**left, "moments": undisturbed["moments"]} == undisturbed
