"""What is started, who answers, and what must have come of it, whatever went wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import replace

from processor.engine.definitions import deployment
from processor.engine.encoding import (
    decode_closed,
    decode_events,
    decode_rejection,
    decode_task,
    decode_timer,
    encode_command,
    encode_definition_record,
)
from processor.engine.topics import PARTITIONS_KEY, TopicNames, partition_of
from processor.model import commands as c
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.json import Json
from processor.model.records import PartitionCount
from tests.simulation.broker import Broker, Entry, Place
from tests.simulation.scheduler import Scheduler

NAMES = TopicNames(prefix="s.")
PARTITIONS = 2
BEGAN = Millis(1_767_225_600_000)
"""2026: no count or size in an event is as large as a time."""


def _task(name: str, **more: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": name, **({"End": True} if "Next" not in more else {}), **more}


_FAN: dict[str, Json] = {
    "Type": "Map",
    "ItemProcessor": {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}},
}
MACHINES: dict[str, Json] = {
    "chain": {"StartAt": "First", "States": {"First": _task("work", Next="Second"), "Second": _task("work")}},
    # Long: goes on over several transactions.
    "fan": {"StartAt": "Each", "States": {"Each": {**_FAN, "Next": "After"}, "After": _task("work")}},
    "rest": {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 2, "End": True}}},
    # Fails, and is redriven.
    "again": {"StartAt": "Work", "States": {"Work": _task("fails")}},
    # Nobody answers: one is stopped, another stays open.
    "open": {"StartAt": "Work", "States": {"Work": _task("nobody")}},
}
STARTS: dict[str, Json] = {
    "chain:1": 1,
    "chain:2": 2,
    "fan:1": [1, 2, 3, 4],
    "fan:2": [5, 6],
    "rest:1": None,
    "again:1": None,
    "again:2": None,
    "open:stopped": None,
    "open:1": "left",
}
FAILURES = {"again:1": 1, "again:2": 2}
"""How often each fails: twice, so that a redrive that comes again finds one that has failed."""
LEFT_OPEN = frozenset(("open:1",))
STOPPED = "open:stopped"


@cache
def definitions() -> tuple[tuple[bytes | None, bytes | None], ...]:
    """Keys and values of the records of the definitions topic."""
    found: list[tuple[bytes | None, bytes | None]] = [
        (PARTITIONS_KEY, encode_definition_record(PartitionCount(partitions=PARTITIONS)))
    ]
    for name, definition in MACHINES.items():
        _, message = deployment(NAMES, state_machine=name, definition=definition, type="STANDARD", now=BEGAN)
        found.append((message.key, message.value))
    return tuple(found)


class Workload:
    """Sends the starts, and answers what it sees committed: sometimes twice, sometimes late."""

    def __init__(self, broker: Broker, *, disturbed: bool) -> None:
        self._broker, self._disturbed = broker, disturbed
        self._scheduler: Scheduler = broker.scheduler
        self._next: dict[Place, int] = defaultdict(int)
        self._commands = 0
        self._failed: Counter[str] = Counter()
        self.planned = 0  # commands on their way
        self.ended: Counter[str] = Counter()

    def begin(self) -> None:
        for key, value in definitions():
            self._broker.append((NAMES.definitions, 0), key, value)
        for place, partition in self._broker.partitions.items():
            if place[0] in (NAMES.tasks, NAMES.timers, NAMES.closed):
                partition.heard.append(lambda place=place: self._read(place))  # type: ignore[misc]
        for id, input in STARTS.items():
            self._send(c.StartExecution(execution_id=id, input=input), within=2.0)

    @property
    def finished(self) -> bool:
        return (
            not self.planned
            and self.ended.keys() >= STARTS.keys() - LEFT_OPEN
            and all(self.ended[id] == 1 + failures for id, failures in FAILURES.items())
        )

    def _send(self, command: c.AnyCommand, *, within: float = 0.05) -> None:
        self._commands += 1
        value = encode_command(replace(command, command_id=f"c{self._commands}"))
        key, chance = command.execution_id.encode(), self._scheduler.chance
        place = (NAMES.commands, partition_of(key, PARTITIONS))
        copies = 1 + (self._disturbed and chance.random() < 0.15)
        for _ in range(copies):
            late = self._disturbed and chance.random() < 0.1
            self.planned += 1
            self._scheduler.at(chance.random() * (8.0 if late else within), lambda: self._arrive(place, key, value))

    def _arrive(self, place: Place, key: bytes, value: bytes) -> None:
        self.planned -= 1
        offset = self._broker.append(place, key, value)
        self._scheduler.note(f"command {place[1]}/{offset} for {key.decode()}")

    def _read(self, place: Place) -> None:
        partition = self._broker.partitions[place]
        while self._next[place] < partition.last_stable:
            entry = partition.entries[self._next[place]]
            self._next[place] += 1
            if not entry.marker and (entry.run is None or entry.run.state == "committed") and entry.value is not None:
                self._answer(place[0], entry.value)

    def _answer(self, topic: str, value: bytes) -> None:
        if topic == NAMES.closed:
            closed = decode_closed(value)
            id = closed.execution_id
            self.ended[id] += 1
            if closed.status == "FAILED":
                self._send(c.RedriveExecution(execution_id=id))
        elif topic == NAMES.timers:
            timer = decode_timer(value)
            due = (timer.due - BEGAN) / 1000 - self._scheduler.now
            self._scheduler.at(
                max(0.0, due), lambda: self._send(c.FireTimer(execution_id=timer.execution_id, timer_id=timer.timer_id))
            )
        else:
            task = decode_task(value)
            if task.resource == "work":
                self._send(c.CompleteTask(execution_id=task.execution_id, token=task.token, output=task.state))
            elif task.resource == "fails":
                if self._failed[task.execution_id] == FAILURES[task.execution_id]:
                    self._send(c.CompleteTask(execution_id=task.execution_id, token=task.token, output="again"))
                else:
                    self._failed[task.execution_id] += 1
                    self._send(c.FailTask(execution_id=task.execution_id, token=task.token, error="First"))
            elif task.execution_id == STOPPED:
                self._send(c.StopExecution(execution_id=STOPPED, error="Stopped"), within=1.0)


# ---- afterwards


def committed(broker: Broker, topic: str, partition: int) -> Iterator[tuple[int, Entry]]:
    for offset, entry in enumerate(broker.partitions[topic, partition].entries):
        if not entry.marker and (entry.run is None or entry.run.state == "committed"):
            yield offset, entry


def ahead(entry: Entry, place: tuple[int, int]) -> bool:
    """Whether what a command came to was committed while one before it waited: it comes again if the owner dies, and
    is then refused, never applied again."""
    assert entry.run is not None
    offset, *_ = entry.run.transaction.offsets.get(place[0], (place[1] + 1,))
    return offset <= place[1]


def histories(broker: Broker) -> dict[str, list[e.AnyEvent]]:
    """Every execution's committed events, as they stand in the log."""
    found: dict[str, list[e.AnyEvent]] = defaultdict(list)
    for partition in range(PARTITIONS):
        for _, entry in committed(broker, NAMES.events, partition):
            for event in decode_events(entry.value or b""):
                found[event.execution_id].append(event)
    return found


def timeless(events: Sequence[e.AnyEvent]) -> list[Any]:
    """What does not depend on when it happened, nor on what offset the command had."""
    return [
        _without_times({**msgspec.to_builtins(event), "caused_by": event.caused_by.type, "is": type(event).__name__})
        for event in events
    ]


def _without_times(value: Any) -> Any:
    match value:
        case dict():
            return {k: _without_times(v) for k, v in value.items()}
        case list() | tuple():
            return [_without_times(v) for v in value]
        case int() if value >= BEGAN:
            return "time"
        case _:
            return value


def broken(broker: Broker, expected: dict[str, list[Any]], *, lost: bool, went_back: bool) -> list[str]:
    """What does not hold of the log: one line per violation. `lost`: after the loss of a committed offset what was
    refused may be refused once more, for events do not name it. `went_back`: where the offset did, what was applied
    may come again, and be refused."""
    found: list[str] = []
    all_of = histories(broker)
    for id in sorted(STARTS.keys() | all_of.keys()):
        events = all_of.get(id, [])
        if [event.sequence for event in events] != list(range(len(events))):
            found.append(f"{id}: sequences are {[event.sequence for event in events]}")
        elif timeless(events) != expected.get(id):
            found.append(f"{id}: is {[type(event).__name__ for event in events]}")
    applied: set[tuple[int, int]] = set()
    refused: Counter[tuple[int, int]] = Counter()
    for partition in range(PARTITIONS):
        for _, entry in committed(broker, NAMES.events, partition):
            offset = decode_events(entry.value or b"")[0].caused_by.offset
            if offset is not None and not ahead(entry, (partition, offset)):
                applied.add((partition, offset))
    for partition in range(PARTITIONS):
        for _, entry in committed(broker, NAMES.rejections, partition):
            rejection = decode_rejection(entry.value or b"")
            place = rejection.partition, rejection.offset
            refused[place] += not ahead(entry, place)
            if place in applied and not went_back:
                found.append(
                    f"command {place} of {rejection.execution_id} was applied, and refused: {rejection.detail}"
                )
        if any(True for _ in committed(broker, NAMES.dead_letters, partition)):
            found.append(f"dead letters in partition {partition}")
    if not (lost or went_back):
        found += [f"command {place} was refused {n} times" for place, n in refused.items() if n > 1]
    for partition in range(PARTITIONS):
        end = broker.partitions[NAMES.commands, partition].high_watermark
        offset = broker.group.offsets.get(partition, (0, "", 0))[0]
        if offset != end:
            found.append(f"commands[{partition}] is committed to {offset}, and ends at {end}")
    return found
