"""A load at a fixed rate on a real Kafka: starts executions, does their tasks, and judges every record of events.

What must hold is looked at as it comes: the sequences of each execution without a gap or a repetition, one end, and
that a success. So whatever is lost or doubled while processors come and go is named.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from msgspec import Struct

from processor.engine.encoding import decode_events, encode_command
from processor.engine.topics import TopicNames, partition_of
from processor.model import events as e
from processor.model.commands import AnyCommand, CompleteTask, StartExecution
from processor.model.json import Json

MACHINES: Final[dict[str, Json]] = {
    "steady": {
        "StartAt": "Before",
        "States": {
            "Before": {"Type": "Pass", "Next": "Work"},
            "Work": {"Type": "Task", "Resource": "work", "Next": "After"},
            "After": {"Type": "Pass", "End": True},
        },
    },
    "waiting": {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 604_800, "End": True}}},
}
INPUT: Final[Json] = {"customer": "c-1029", "note": "x" * 170}  # 200 bytes of JSON text
LOOK_SECONDS: Final = 0.005
LATE_SECONDS: Final = 1.0
"""A sender that was kept waiting by the machine makes up for at most so much."""


class Run(Struct, kw_only=True):
    """One execution of `steady`: when its start was sent and its end was seen, in monotonic seconds."""

    partition: int
    sent: float
    ended: float | None = None


class Load:
    """Runs in a thread from `start` until `close`. `rate`: executions started a second, in the partitions in turn."""

    def __init__(self, bootstrap: str, names: TopicNames, *, partitions: int) -> None:
        self._names, self._partitions = names, partitions
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 0,
                "socket.nagle.disable": True,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 2,  # the brokers end before it
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "steady-load",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "socket.nagle.disable": True,
                "log_level": 2,
            }
        )
        self._consumer.assign([TopicPartition(names.events, p, 0) for p in range(partitions)])
        self._numbers = itertools.count()
        self._named: dict[int, deque[str]] = {p: deque() for p in range(partitions)}
        self._wanted: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._next: dict[str, int] = {}  # sequence, by execution
        self._turn = itertools.cycle(range(partitions))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady-load", daemon=True)
        self._failure: BaseException | None = None
        self.rate = 0.0
        self.runs: dict[str, Run] = {}
        self.waiting = 0
        self.faults: list[str] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(30)
        self._consumer.close()

    def check(self) -> None:
        """Raise what ended the thread, or tell of the first thing that is not right."""
        if self._failure is not None:
            raise self._failure
        if self.faults:
            raise SystemExit(f"not right: {self.faults[:5]}, {len(self.faults)} in all")

    def ask(self, partitions: Iterable[int], *, machine: str = "steady") -> None:
        """Start one execution in each of the partitions now."""
        for partition in partitions:
            self._wanted.put((machine, partition))

    def ended_since(self, at: float) -> dict[int, float]:
        """Return by partition when the first execution ended that was sent at or after `at`."""
        first: dict[int, float] = {}
        for run in list(self.runs.values()):
            if run.sent >= at and run.ended is not None:
                first[run.partition] = min(first.get(run.partition, run.ended), run.ended)
        return first

    def standing(self) -> str:
        """Say how many have not ended, and where."""
        left = Counter(run.partition for run in list(self.runs.values()) if run.ended is None)
        return f"{left.total()} of {len(self.runs)} not ended, by partition {dict(sorted(left.items()))}"

    def between(self, began: float, until: float) -> list[Run]:
        """Return those whose start was sent meanwhile."""
        return [run for run in list(self.runs.values()) if began <= run.sent < until]

    # ---- in the thread

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stopped.is_set():
                for message in self._consumer.consume(500, LOOK_SECONDS):
                    if message.error() is None:
                        self._see(message)
                while not self._wanted.empty():
                    self._begin(*self._wanted.get())
                now = time.monotonic()
                due = max(due, now - LATE_SECONDS)
                while self.rate and due <= now:
                    self._begin("steady", next(self._turn))
                    due += 1 / self.rate
                self._producer.poll(0)
        except BaseException as failure:
            self._failure = failure

    def _begin(self, machine: str, partition: int) -> None:
        id = f"{machine}:{self._name(machine, partition)}"
        if machine == "steady":
            self.runs[id] = Run(partition=partition, sent=time.monotonic())
        self._send(StartExecution(execution_id=id, command_id=id, issuer="load", input=INPUT), partition)

    def _name(self, machine: str, partition: int) -> str:
        """Return the next name whose execution belongs there."""
        named = self._named[partition]
        while True:
            if machine == "steady" and named:
                return named.popleft()
            name = f"{next(self._numbers):08}"
            home = partition_of(f"{machine}:{name}".encode(), self._partitions)
            if home == partition:
                return name
            if machine == "steady":
                self._named[home].append(name)

    def _send(self, command: AnyCommand, partition: int) -> None:
        self._producer.produce(
            self._names.commands,
            key=command.execution_id.encode(),
            value=encode_command(command),
            partition=partition,
            on_delivery=self._delivered,
        )

    def _delivered(self, error: object, message: Message) -> None:
        if error is not None:
            self.faults.append(f"a command could not be sent: {error}")

    def _see(self, message: Message) -> None:
        now, partition = time.monotonic(), message.partition()
        assert partition is not None
        events = decode_events(message.value() or b"")
        id = events[0].execution_id
        for event in events:
            if event.sequence != self._next.get(id, 0):
                self.faults.append(f"{id}: event {event.sequence} where {self._next.get(id, 0)} comes next")
            self._next[id] = event.sequence + 1
            match event:
                case e.TaskScheduled():
                    self._send(CompleteTask.of(event, None), partition)
                case e.WaitStarted():
                    self.waiting += 1
                case e.ExecutionSucceeded():
                    self._end(id, now)
                case e.ExecutionFailed() | e.ExecutionTimedOut() | e.ExecutionAborted() | e.ExecutionQuarantined():
                    self.faults.append(f"{id}: {type(event).__name__}")
                case _:
                    pass

    def _end(self, id: str, now: float) -> None:
        run = self.runs[id]
        if run.ended is not None:
            self.faults.append(f"{id}: it ended twice")
        run.ended = now


def wait_for(condition: Callable[[], bool], load: Load, *, seconds: float, what: str) -> float:
    """Look again and again until it holds; return when that was, in monotonic seconds. Ends the program where it does
    not, or where the load has seen what is not right."""
    deadline = time.monotonic() + seconds
    while not condition():
        load.check()
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:.0f} s: {what}; {load.standing()}")
        time.sleep(0.05)
    return time.monotonic()
