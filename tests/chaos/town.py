"""The load of a chaos run, and whoever answers it: starts, workers, timers, redrives and stops, in one thread.

What it does is kept in memory and is never disturbed: only the engine under it is. It answers what it sees committed,
sometimes twice, sometimes late.
"""

from __future__ import annotations

import heapq
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from msgspec.structs import replace

from processor.engine.encoding import decode_closed, decode_task, decode_timer, encode_command
from processor.engine.topics import TopicNames
from processor.model import commands as c
from processor.model.json import Json
from tests.simulation.workload import MACHINES

INPUTS: dict[str, Json] = {"chain": 1, "fan": list(range(30)), "rest": None, "again": None, "open": "left"}
TWICE = 0.05
LATEST_SECONDS = 3.0


def clients(bootstrap: str, names: TopicNames, *, partitions: int, group: str) -> tuple[Producer, Consumer]:
    """Return who sends commands, and who reads tasks, timers and what is closed: from the beginning, as committed."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 0,
            "message.timeout.ms": 120_000,
        }
    )
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
        }
    )
    topics = (names.tasks, names.timers, names.closed)
    consumer.assign([TopicPartition(topic, p, 0) for topic in topics for p in range(partitions)])
    return producer, consumer


class Town:
    """Runs in a thread from `start` on. `rate`: executions started a second, 0 for none."""

    def __init__(self, bootstrap: str, names: TopicNames, *, partitions: int, chance: random.Random) -> None:
        self._names, self._chance = names, chance
        self._producer, self._consumer = clients(bootstrap, names, partitions=partitions, group="town")
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers, self._commands = count(1), count(1)
        self._answers: dict[str, c.AnyCommand] = {}  # by token
        self._failed: set[str] = set()
        self._lock = threading.Lock()
        self._wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="town", daemon=True)
        self._failure: BaseException | None = None
        self.rate = 0.0
        self.started: set[str] = set()
        self.ended: Counter[str] = Counter()
        self.sent: list[c.AnyCommand] = []
        self.undelivered = 0

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(30)
        self._consumer.close()
        if self._failure is not None:
            raise self._failure

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def unfinished(self) -> set[str]:
        """An execution that fails the first time ends twice."""
        return {id for id in self.started if self.ended[id] < (2 if id.startswith("again:") else 1)}

    def begin(self, machine: str) -> None:
        self._wanted.put(machine)

    def send_again(self, how_many: int) -> None:
        """Commands of the last minutes, in another order."""
        with self._lock:
            recent = self.sent[-2_000:]
        for command in self._chance.sample(recent, min(how_many, len(recent))):
            self._produce(command)

    # ---- in the thread

    def _run(self) -> None:
        try:
            next_start = time.monotonic()
            while not self._stopped.is_set():
                for message in self._consumer.consume(500, 0.01):
                    if message.error() is None and message.value() is not None:
                        self._answer(message)
                now = time.monotonic()
                while self._due and self._due[0][0] <= now:
                    heapq.heappop(self._due)[2]()
                while not self._wanted.empty():
                    self._begin(self._wanted.get())
                if self.rate and now >= next_start:
                    self._begin(self._chance.choice(list(MACHINES)))
                    next_start = max(next_start + 1 / self.rate, now - 1)
                self._producer.poll(0)
            self._producer.flush(60)
        except BaseException as failure:
            self._failure = failure

    def _begin(self, machine: str) -> None:
        id = f"{machine}:{next(self._numbers)}"
        self.started.add(id)
        self._send(c.StartExecution(execution_id=id, input=INPUTS[machine]))

    def _answer(self, message: Message) -> None:
        value, topic = message.value() or b"", message.topic()
        if topic == self._names.closed:
            closed = decode_closed(value)
            self.ended[closed.execution_id] += 1
            if closed.status == "FAILED":
                self._send(c.RedriveExecution(execution_id=closed.execution_id))
        elif topic == self._names.timers:
            timer = decode_timer(value)
            fire = c.FireTimer(execution_id=timer.execution_id, timer_id=timer.timer_id)
            self._later(max(0.0, timer.due / 1000 - time.time()), fire)
        else:
            task = decode_task(value)
            if task.token not in self._answers:
                self._answers[task.token] = self._work(task.execution_id, task.token, task.resource, task.state)
            # The same answer, however often it is asked for.
            self._send(self._answers[task.token])

    def _work(self, id: str, token: str, resource: str, state: str) -> c.AnyCommand:
        match resource:
            case "work":
                return c.CompleteTask(execution_id=id, token=token, output=state)
            case "fails" if id not in self._failed:
                self._failed.add(id)
                return c.FailTask(execution_id=id, token=token, error="First")
            case "fails":
                return c.CompleteTask(execution_id=id, token=token, output="again")
            case _:
                return c.StopExecution(execution_id=id, error="Stopped")

    def _send(self, command: c.AnyCommand) -> None:
        named = replace(command, command_id=f"c{next(self._commands)}")
        with self._lock:
            self.sent.append(named)
        late = self._chance.random() * LATEST_SECONDS if isinstance(command, c.StopExecution) else 0.0
        self._later(late, named)
        if self._chance.random() < TWICE:
            self._later(self._chance.random() * LATEST_SECONDS, named)

    def _later(self, seconds: float, command: c.AnyCommand) -> None:
        if seconds <= 0:
            self._produce(command)
        else:
            entry = (time.monotonic() + seconds, next(self._commands), lambda: self._produce(command))
            heapq.heappush(self._due, entry)

    def _produce(self, command: c.AnyCommand) -> None:
        self._producer.produce(
            self._names.commands,
            key=command.execution_id.encode(),
            value=encode_command(command),
            on_delivery=self._delivered,
        )

    def _delivered(self, error: object, _: Message) -> None:
        self.undelivered += error is not None
