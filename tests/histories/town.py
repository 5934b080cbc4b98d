"""The log that a set is made of: a processor over a memory log, one partition, and a clock that the plays set.

Nothing is drawn but from one seed, so the same code gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from processor.adapters.clock import ManualClock, SeededEntropy
from processor.adapters.memory import MemoryLog
from processor.engine.definitions import deployment
from processor.engine.encoding import decode_events, decode_task, decode_timer, encode_command, encode_command_json
from processor.engine.partitions import Partition
from processor.engine.ports import Message, Record
from processor.engine.processor import DEADLY_FROM, Processor
from processor.engine.topics_setup import create_topics
from processor.model import commands as c
from processor.model import events as e
from processor.model.events import MachineType
from processor.model.ids import Millis, TimerKind
from processor.model.json import Json
from processor.model.records import Task, Timer
from tests.properties.replay import Given
from tests.scenarios.scenario import definition_of, load_tables
from tests.scenarios.world import ID, orders
from tests.scenarios.world import World as Scene

SEED = 20260101
MOST_TEXT = 40_000
"""Characters of a scenario's events and commands: those at the limits of sizes would take megabytes, and show no other
event."""


class Town:
    def __init__(self, log: MemoryLog | None = None) -> None:
        self.clock = ManualClock()
        self.log = log or MemoryLog(clock=self.clock)
        self.names = self.log.names
        if log is None:
            create_topics(self.log, partitions=1)
        self._entropy = SeededEntropy(SEED)
        self._reader, self._outbox = self.log.reader(), self.log.outbox()
        self.begin()

    def begin(self) -> None:
        """Start a processor in place of the one there was, which comes back no more."""
        self.processor = Processor(log=self.log, clock=self.clock, entropy=self._entropy)
        self.settle()

    def end(self) -> None:
        """Stop the processor as SIGTERM does: what is open has a snapshot then."""
        self.processor.run(lambda: True)
        self.processor.close()

    # ---- what comes in

    def deploy(
        self, machine: str, definition: Json, *, type: MachineType = "STANDARD", retention: timedelta | None = None
    ) -> str:
        """Return the revision."""
        kept = None if retention is None else retention // timedelta(milliseconds=1)
        workflow, message = deployment(
            self.names,
            state_machine=machine,
            definition=definition,
            type=type,
            now=self.clock.now(),
            retention_ms=kept,
        )
        self.write(message)
        return workflow.revision

    def send(self, *commands: c.AnyCommand, as_json: bool = False) -> None:
        """Send them one after the other, each when the one before is done."""
        for command in commands:
            self.write_command(command, as_json=as_json)
            self.settle()

    def write_command(self, command: c.AnyCommand, *, as_json: bool = False) -> None:
        value = encode_command_json(command) if as_json else encode_command(command)
        headers = (("content-type", b"application/json"),) if as_json else ()
        key = command.execution_id.encode()
        self.write(Message(topic=self.names.commands, key=key, value=value, headers=headers))

    def write(self, message: Message) -> None:
        self._outbox.send([message])

    def settle(self) -> None:
        """Step until nothing moves any more: a slice, or a command that waits, may need several."""
        still = 0
        while still < 2:
            before = self._moving()
            self.processor.step(timeout_seconds=0)
            still = still + 1 if before == self._moving() else 0

    def _moving(self) -> tuple[object, ...]:
        written = [self._reader.end(topic, 0) for topic in (self.names.events, self.names.rejections)]
        return self.processor.partitions, self.processor.ready, dict(self.processor.counts), written

    def advance(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def until(self, time: Millis) -> None:
        self.clock.advance(timedelta(milliseconds=max(0, time - self.clock.now())))

    # ---- who answers

    def complete(self, id: str, state: str, output: Json = None) -> None:
        self.send(c.CompleteTask.of(self.scheduled(id, state), output))

    def fail(self, id: str, state: str, error: str | None = None, cause: str | None = None) -> None:
        self.send(c.FailTask.of(self.scheduled(id, state), error=error, cause=cause))

    def fire(self, id: str, kind: TimerKind) -> None:
        """Fire the timer of that kind when it is due."""
        [timer] = [timer for timer in self.timers() if (timer.execution_id, timer.kind) == (id, kind)]
        self.until(timer.due)
        self.send(c.FireTimer(execution_id=id, timer_id=timer.timer_id, issuer="timers"))

    def scheduled(self, id: str, state: str) -> e.TaskScheduled:
        """Return the last task that the state has asked for."""
        return [event for event in self.events(id) if isinstance(event, e.TaskScheduled) and event.state == state][-1]

    def of_deaths(self, command: c.AnyCommand) -> None:
        """Let the command be what three processes have died of."""
        self._partition.attempts = DEADLY_FROM
        self.send(command)

    @property
    def _partition(self) -> Partition:
        return self.processor._partitions[0]

    # ---- what is there

    def records(self, topic: str) -> list[Record]:
        return list(self._reader.read(topic, 0))

    def events(self, id: str) -> list[e.AnyEvent]:
        found = (
            event
            for record in self.records(self.names.events)
            if record.value is not None and (record.key or b"").startswith(f"{id}#".encode())
            for event in decode_events(record.value)
        )
        return list(found)

    def tasks(self) -> list[Task]:
        return [decode_task(value) for value in self._table(self.names.tasks)]

    def timers(self) -> list[Timer]:
        return [decode_timer(value) for value in self._table(self.names.timers)]

    def _table(self, topic: str) -> list[bytes]:
        rows = {record.key: record.value for record in self.records(topic)}
        return [value for _, value in sorted(rows.items(), key=lambda row: row[0] or b"") if value is not None]


def perform_scenarios(town: Town, *, stems: Sequence[str] | None = None) -> None:
    """Let every scenario that is not too large happen, each in a machine of its own name."""
    for stem, table in load_tables():
        if stems is not None and stem not in stems:
            continue
        for number, scenario in enumerate(table.scenarios):
            if scenario.quota is not None:  # a number of tests, not of definitions
                continue
            definition = definition_of(table, scenario)
            scene = Scene(scenario, definition).run(orders(scenario)[0])
            if sum(len(repr(one)) for one in (*scene.events, *scene.given)) > MOST_TEXT:
                continue
            machine = f"{stem}-{number:03}"
            town.deploy(machine, definition, type=scenario.type)
            _perform(town, f"{machine}:1", scenario.input, scene.given)


def _perform(town: Town, id: str, input: Json, given: Sequence[Given]) -> None:
    began = town.clock.now()
    town.send(c.StartExecution(execution_id=id, input=input, issuer="scenarios"))
    for one in given:
        town.until(Millis(began + one.now))
        town.send(_addressed(one.command, id))


def _addressed(command: c.AnyCommand, id: str) -> c.AnyCommand:
    """The scenario's command, sent to another execution than the one of its own world."""
    named = {
        name: value.replace(ID, id, 1)
        for name in ("execution_id", "token", "timer_id")
        if isinstance(value := getattr(command, name, None), str) and value.startswith(ID)
    }
    return replace(command, **named)
