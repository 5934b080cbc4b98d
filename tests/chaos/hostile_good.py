"""The good commands: who starts executions at a fixed rate, answers their tasks, and sees when they end.

In one thread. What each must come to is told twice: its output by arithmetic here, its history by the interpreter,
which runs it by itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from confluent_kafka import Message

from processor.engine.encoding import decode_closed, decode_task, decode_timer, encode_command, encode_command_json
from processor.engine.topics import TopicNames
from processor.interpreter.interpreter import Continued, resume, start
from processor.interpreter.parse import parse
from processor.model import commands as c
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.ids import Millis
from processor.model.json import Json
from tests.chaos.check import without_times
from tests.chaos.town import clients

_CHAIN: dict[str, Json] = {
    **{
        f"S{n}": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": f"S{n + 1}"}
        for n in range(1, 6)
    },
    "S6": {"Type": "Pass", "End": True},
}
_ITEM: Json = {
    "StartAt": "Add",
    "States": {
        "Add": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($, 1)"}, "OutputPath": "$.n", "End": True}
    },
}


def _task(resource: str, **more: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": resource, **more}


MACHINES: dict[str, Json] = {
    "chain": {"StartAt": "S1", "States": _CHAIN},
    "stray": {"StartAt": "S1", "States": _CHAIN},  # of starts that go to the wrong partition
    "fan": {"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": _ITEM, "End": True}}},
    "work": {"StartAt": "One", "States": {"One": _task("work", Next="Two"), "Two": _task("work", End=True)}},
    "held": {"StartAt": "One", "States": {"One": _task("work", Next="Two"), "Two": _task("held", End=True)}},
    "nap": {"StartAt": "Nap", "States": {"Nap": {"Type": "Wait", "Seconds": 86_400, "End": True}}},
}
MIX = ("chain", "fan", "work")
FAN = 12


def input_of(machine: str, number: int) -> Json:
    return [number * 100 + i for i in range(FAN)] if machine == "fan" else {"n": number}


def output_of(machine: str, number: int) -> Json:
    match machine:
        case "chain" | "stray":
            return {"n": number + 5}
        case "fan":
            return [number * 100 + i + 1 for i in range(FAN)]
        case "work" | "held":
            return {"n": number * 4}
        case _:
            return {"n": number}


def answer_to(arguments: Json) -> Json:
    assert isinstance(arguments, dict) and isinstance(arguments["n"], int)
    return {"n": arguments["n"] * 2}


@cache
def _workflow(machine: str) -> Workflow:
    return parse(MACHINES[machine])


def history_of(machine: str, number: int) -> list[Any]:
    """What the interpreter makes of it, as `plain` tells it."""
    id, now = f"{machine}:{number}", Millis(1_767_225_600_000)
    outcome: Any = start(_workflow(machine), input_of(machine, number), execution_id=id, now=now)
    events = list(outcome.events)
    while isinstance(outcome, Continued):
        match events[-1]:
            case e.TaskScheduled(arguments=arguments) as asked:
                outcome = resume(outcome.execution, c.CompleteTask.of(asked, answer_to(arguments)), now=now)
            case waits:
                outcome = resume(outcome.execution, c.FireTimer.of(waits), now=now)
        events += outcome.events
    return plain(events)


def plain(events: Sequence[e.AnyEvent]) -> list[Any]:
    """What does not depend on when it happened, what was drawn, and which command it came of; of that its type."""
    return [
        without_times(
            msgspec.to_builtins(event) | {"caused_by": event.caused_by.type, "is": type(event).__name__, "seed": None}
        )
        for event in events
    ]


class Good:
    """`sent`: commands by what becomes of them; `ended`: when each execution was seen to end, monotonic seconds."""

    def __init__(self, bootstrap: str, names: TopicNames, *, partitions: int, seed: int) -> None:
        self._names, self._chance = names, random.Random(seed)
        self._producer, self._consumer = clients(bootstrap, names, partitions=partitions, group=names.prefix + "good")
        self.started: set[str] = set()
        self.ended: dict[str, float] = {}
        self.held: dict[str, tuple[str, ...]] = {}  # tokens of its tasks, the last one not answered
        self.timers: dict[str, str] = {}  # by execution, those set and not resolved
        self.completed = 0
        self.undelivered = 0

    def close(self) -> None:
        self._consumer.close()

    def start(self, machine: str, number: int) -> None:
        id = f"{machine}:{number}"
        self.started.add(id)
        self._send(c.StartExecution(execution_id=id, input=input_of(machine, number)))

    def run(self, numbers: range, *, rate: float, patience_seconds: float = 120.0) -> list[float]:
        """Start one of each number, so many a second, and return how long each took to its end, in seconds, from when
        it was due to be started. Raises TimeoutError where some do not end."""
        began = time.monotonic()
        due = {f"{MIX[number % len(MIX)]}:{number}": began + n / rate for n, number in enumerate(numbers)}
        waiting = list(due.items())[::-1]
        while waiting or due.keys() - self.ended.keys():
            while waiting and waiting[-1][1] <= time.monotonic():
                machine, _, number = waiting.pop()[0].partition(":")
                self.start(machine, int(number))
            self.look()
            if time.monotonic() - began > len(due) / rate + patience_seconds:
                left = sorted(due.keys() - self.ended.keys())
                raise TimeoutError(f"{len(left)} of the good ones have not ended, as {left[:10]}")
        return [self.ended[id] - at for id, at in due.items()]

    def look(self) -> None:
        """Answer what there is to be answered; wait for it 5 ms at most."""
        self._producer.poll(0)
        first = self._consumer.poll(0.005)
        if first is not None:
            for message in (first, *self._consumer.consume(500, 0)):
                if message.error() is None:
                    self._heard(message)

    def release(self) -> None:
        """Answer the tasks that were held, and fire the timers: of those executions that wait for nothing else."""
        for id, (*_, token) in self.held.items():
            self._complete(id, token, answer_to({"n": int(id.partition(":")[2]) * 2}))
        for id, timer in self.timers.items():
            self._send(c.FireTimer(execution_id=id, timer_id=timer))
            self.completed += 1

    def _heard(self, message: Message) -> None:
        topic, value = message.topic(), message.value()
        if topic == self._names.timers:
            key = (message.key() or b"").decode(errors="replace")
            if value is not None:
                timer = decode_timer(value)
                self.timers[timer.execution_id] = timer.timer_id
            elif self.timers.get(key.partition("#")[0]) == key:
                del self.timers[key.partition("#")[0]]
        elif value is None:
            return
        elif topic == self._names.closed:
            self.ended.setdefault(decode_closed(value).execution_id, time.monotonic())
        else:
            task = decode_task(value)
            if task.execution_id.startswith("held:"):
                self.held[task.execution_id] = (*self.held.get(task.execution_id, ()), task.token)
            if task.resource == "work":
                self._complete(task.execution_id, task.token, answer_to(task.arguments))

    def _complete(self, id: str, token: str, arguments: Json) -> None:
        self._send(c.CompleteTask(execution_id=id, token=token, output=arguments))
        self.completed += 1

    def _send(self, command: c.AnyCommand) -> None:
        as_json = self._chance.random() < 0.3
        self._producer.produce(
            self._names.commands,
            key=command.execution_id.encode(),
            value=encode_command_json(command) if as_json else encode_command(command),
            headers=[("content-type", b"application/json")] if as_json else [],
            on_delivery=self._delivered,
        )

    def _delivered(self, error: object, _: Message) -> None:
        self.undelivered += error is not None
