"""What must hold of the topics once all is quiet, whatever went wrong before."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from processor.engine.encoding import decode_command, decode_events, decode_rejection, decode_task
from processor.engine.ports import Log, Record
from processor.interpreter.interpreter import recover
from processor.interpreter.parse import parse
from processor.model import commands as c
from processor.model import events as e
from tests.simulation.workload import MACHINES

_EPOCH_MS = 1_600_000_000_000


def timeless(id: str, events: Sequence[e.AnyEvent]) -> list[Any]:
    """What does not depend on when it happened, on the name, on what was drawn, nor on the command's offset."""
    found = []
    for event in events:
        fields = msgspec.to_builtins(event) | {"caused_by": event.caused_by.type, "is": type(event).__name__}
        found.append(without_times(json.loads(json.dumps(fields, default=repr).replace(id, "ID"))) | {"seed": None})
    return found


def without_times(value: Any) -> Any:
    match value:
        case dict():
            return {k: without_times(v) for k, v in value.items()}
        case list():
            return [without_times(v) for v in value]
        case int() if value >= _EPOCH_MS:
            return "time"
        case _:
            return value


class Topics:
    """All of a run's topics, read once."""

    def __init__(self, log: Log) -> None:
        names, reader = log.names, log.reader()
        try:
            count = reader.partitions(names.commands) or 0

            def records(topic: str) -> Iterator[tuple[int, Record]]:
                return ((p, record) for p in range(count) for record in reader.read(topic, p))

            self.histories: dict[str, list[e.AnyEvent]] = defaultdict(list)
            self.applied: dict[tuple[int, int], str] = {}
            for partition, record in records(names.events):
                for event in decode_events(record.value or b""):
                    self.histories[event.execution_id].append(event)
                    if event.caused_by.offset is not None:
                        self.applied[partition, event.caused_by.offset] = event.execution_id
            self.commands = {(p, r.offset): decode_command(r.value or b"") for p, r in records(names.commands)}
            rejections = [decode_rejection(r.value or b"") for _, r in records(names.rejections)]
            self.refused = Counter((r.partition, r.offset) for r in rejections)
            self.dead = [(p, r.offset) for p, r in records(names.dead_letters)]
            self.tokens: Mapping[str, str] = {
                task.token: task.execution_id
                for _, r in records(names.tasks)
                if r.value is not None
                for task in [decode_task(r.value)]
            }
        finally:
            reader.close()


def broken(topics: Topics, expected: Mapping[str, list[Any]], *, started: set[str]) -> list[str]:
    """One line for each thing that does not hold. `expected`: the history of a machine, by its name."""
    found: list[str] = []
    workflows = {name: parse(definition) for name, definition in MACHINES.items()}
    for id in sorted(started | topics.histories.keys()):
        events, machine = topics.histories.get(id, []), id.partition(":")[0]
        if [event.sequence for event in events] != list(range(len(events))):
            found.append(f"{id}: sequences are {[event.sequence for event in events]}")
            continue
        if timeless(id, events) != expected[machine]:
            found.append(f"{id}: is {[type(event).__name__ for event in events]}")
        folded = recover(workflows[machine], events).execution
        if folded is None or not folded.closed:
            found.append(f"{id}: has not ended")
        for event in events:
            if isinstance(event, e.TaskScheduled) and topics.tokens.get(c.token_of(event)) != id:
                found.append(f"{id}: its task {c.token_of(event)} was never requested")
    dealt_with: dict[tuple[str, str | None], bool] = defaultdict(bool)
    for place, command in topics.commands.items():
        applied = topics.applied.get(place)
        if applied not in (None, command.execution_id):
            found.append(f"command {place} of {command.execution_id} was applied to {applied}")
        # Copies are passed over in silence.
        dealt_with[command.execution_id, command.command_id] |= applied is not None or topics.refused[place] > 0
    # A timer that nothing waits for any more is passed over, too.
    timers = {(k.execution_id, k.command_id) for k in topics.commands.values() if isinstance(k, c.FireTimer)}
    found += [
        f"command {id} of {execution} was lost"
        for (execution, id), done in dealt_with.items()
        if not done and (execution, id) not in timers
    ]
    found += [f"a dead letter: {place}" for place in topics.dead]
    return found
