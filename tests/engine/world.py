"""A memory log with its topics, a processor on it, and everyone around it played by the test.

Nothing waits and nothing is drawn: the clock stands still until it is advanced, every seed is the same.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.engine.definitions import deployment
from processor.engine.encoding import (
    decode_events,
    decode_rejection,
    decode_reply,
    decode_task,
    decode_timer,
    encode_command,
    encode_command_json,
)
from processor.engine.ports import Headers, Log, Message, Record
from processor.engine.processor import Processor
from processor.engine.topics import partition_of
from processor.engine.topics_setup import create_topics
from processor.interpreter.jsonata import Sandbox
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis, TimerKind
from processor.model.json import Json
from processor.model.records import Rejection, Reply, Task, Timer

JSON: Headers = (("content-type", b"application/json"),)

PASS: Json = {"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}}
TASK: Json = {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "work", "End": True}}}
WAIT: Json = {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 10, "End": True}}}
BEATING: Json = {
    "StartAt": "Work",
    "States": {"Work": {"Type": "Task", "Resource": "work", "HeartbeatSeconds": 30, "End": True}},
}


def map_of_passes(*, concurrency: int = 0) -> Json:
    return {
        "StartAt": "Each",
        "States": {
            "Each": {
                "Type": "Map",
                "MaxConcurrency": concurrency,
                "ItemProcessor": {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}},
                "End": True,
            }
        },
    }


class SameSeed:
    """A restart draws what the first run drew, so that their events are equal."""

    def seed(self) -> bytes:
        return bytes(range(16))


class World:
    """`log`, `clock`: where there are some already."""

    def __init__(
        self,
        *,
        partitions: int = 2,
        slice_events: int = 1_000,
        sandbox: Sandbox | None = None,
        log: MemoryLog | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.log = log or MemoryLog(clock=self.clock)
        self.names = self.log.names
        self.partitions = partitions
        self._slice_events, self._sandbox = slice_events, sandbox
        create_topics(self.log, partitions=partitions)
        self.processor = self.processor_on(self.log)

    def processor_on(self, log: Log, *, slot: str = "0") -> Processor:
        processor = Processor(
            log=log,
            clock=self.clock,
            entropy=SameSeed(),
            slot=slot,
            slice_events=self._slice_events,
            sandbox=self._sandbox,
        )
        processor.step(timeout_seconds=0)  # the snapshots are read; the next one reads the rest, and opens
        return processor

    def restart(self) -> None:
        """Forget the processor as if it had been killed, and start another in its slot."""
        self.processor = self.processor_on(self.log)

    # ---- what comes in

    def deploy(self, state_machine: str, definition: Json) -> str:
        """Return the revision."""
        workflow, message = deployment(
            self.names, state_machine=state_machine, definition=definition, type="STANDARD", now=self.clock.now()
        )
        self.write(message)
        return workflow.revision

    def send(self, *commands: c.AnyCommand, as_json: bool = False) -> None:
        for command in commands:
            value = encode_command_json(command) if as_json else encode_command(command)
            self.send_bytes(value, key=command.execution_id.encode(), headers=JSON if as_json else ())

    def send_bytes(
        self, value: bytes | None, *, key: bytes | None, headers: Headers = (), partition: int | None = None
    ) -> None:
        self.write(Message(topic=self.names.commands, key=key, value=value, headers=headers, partition=partition))

    def write(self, message: Message) -> None:
        outbox = self.log.outbox()
        outbox.send([message])
        outbox.close()

    def start(self, execution_id: str, input: Json = None, **fields: str) -> None:
        self.send(c.StartExecution(execution_id=execution_id, input=input, **fields))  # type: ignore[arg-type]  # those that are strings

    # ---- time

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.processor.step(timeout_seconds=0)

    def settle(self) -> None:
        """Step until nothing moves any more."""
        still = 0
        while still < 3:
            before = self._moving()
            self.step()
            still = still + 1 if before == self._moving() else 0

    def _moving(self) -> tuple[object, ...]:
        reader = self.log.reader()
        ends = [reader.end(topic, p) for topic in self.names.all for p in range(reader.partitions(topic) or 0)]
        return self.processor, self.processor.partitions, dict(self.processor.counts), ends

    def advance(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def answer(self, output: Json = None) -> None:
        """Complete every task that is not resolved, in the order of their tokens, and settle."""
        for task in self.tasks():
            self.send(c.CompleteTask(execution_id=task.execution_id, token=task.token, output=output))
        self.settle()

    def fire(self, *kinds: TimerKind) -> None:
        """Fire every timer (of these kinds) that is not resolved, in the order of their ids, when the last is due, and
        settle."""
        timers = [timer for timer in self.timers() if not kinds or timer.kind in kinds]
        due = max((timer.due for timer in timers), default=self.clock.now())
        self.advance(max(0, due - self.clock.now()) / 1000)
        for timer in timers:
            self.send(c.FireTimer(execution_id=timer.execution_id, timer_id=timer.timer_id))
        self.settle()

    # ---- what is on the topics

    def events(self, execution_id: str) -> tuple[e.AnyEvent, ...]:
        """Return all of its events, from the partition of its id."""
        partition = partition_of(execution_id.encode(), self.partitions)
        found = [
            event
            for record in self.records(self.names.events, partition)
            for event in decode_events(record.value or b"")
            if event.execution_id == execution_id
        ]
        assert [event.sequence for event in found] == list(range(len(found)))
        return tuple(found)

    def types(self, execution_id: str) -> list[str]:
        return [type(event).__name__ for event in self.events(execution_id)]

    def histories(self) -> dict[str, tuple[e.AnyEvent, ...]]:
        """Return every execution's events."""
        ids = {
            event.execution_id
            for record in self.records(self.names.events)
            for event in decode_events(record.value or b"")
        }
        return {id: self.events(id) for id in sorted(ids)}

    def records(self, topic: str, partition: int | None = None) -> list[Record]:
        reader = self.log.reader()
        count = reader.partitions(topic) or 0
        chosen = range(count) if partition is None else (partition,)
        return [record for number in chosen for record in reader.read(topic, number)]

    def table(self, topic: str) -> dict[bytes, bytes]:
        """Return what a compacted topic comes to: the last value of every key that has no tombstone."""
        rows: dict[bytes, bytes] = {}
        for record in self.records(topic):
            assert record.key is not None
            if record.value is None:
                rows.pop(record.key, None)
            else:
                rows[record.key] = record.value
        return rows

    def tasks(self) -> list[Task]:
        rows = {key.decode(): decode_task(value) for key, value in self.table(self.names.tasks).items()}
        assert all(key == task.token for key, task in rows.items())
        return [rows[key] for key in sorted(rows)]

    def timers(self) -> list[Timer]:
        rows = {key.decode(): decode_timer(value) for key, value in self.table(self.names.timers).items()}
        assert all(key == timer.timer_id for key, timer in rows.items())
        return [rows[key] for key in sorted(rows)]

    def rejections(self) -> list[Rejection]:
        return [decode_rejection(record.value or b"") for record in self.records(self.names.rejections)]

    def reasons(self) -> list[tuple[str, str]]:
        """Return who was refused, and why, in short."""
        return [(rejection.type, rejection.reason) for rejection in self.rejections()]

    def replies(self, topic: str | None = None) -> list[Reply]:
        return [decode_reply(record.value or b"") for record in self.records(topic or self.names.replies)]

    def dead_letters(self) -> list[Record]:
        return self.records(self.names.dead_letters)

    def counts(self) -> dict[str, int]:
        """Return what the processor counted, transactions and events apart."""
        counts: Counter[str] = Counter(self.processor.counts)
        del counts["transactions"], counts["events"]
        return dict(counts)


def scheduled(world: World, execution_id: str) -> e.TaskScheduled:
    """Return the last task an execution asked for."""
    return [event for event in world.events(execution_id) if isinstance(event, e.TaskScheduled)][-1]


def now_of(world: World) -> Millis:
    return world.clock.now()
