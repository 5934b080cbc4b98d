"""Runs a scenario: the outside world does what the scenario says, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import permutations
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from processor import (
    EPOCH,
    ZERO,
    AnyEvent,
    CompleteTask,
    FailTask,
    FireTimer,
    HeartbeatTask,
    Millis,
    Outcome,
    Rejected,
    StartExecution,
    StopExecution,
    SubmitTask,
    TaskScheduled,
    Workflow,
    parse,
    recover,
    resume,
    start,
)
from processor.engine.encoding import decode_events, encode_events
from processor.interpreter.decide import timer_due
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.history import render_history
from processor.model.commands import AnyCommand, timers_set_by
from processor.model.events import ExecutionStarted, RetryScheduled, TaskHeartbeatRecorded, WaitStarted
from processor.model.execution import Execution
from processor.model.ids import ScopeKey, TimerKind, parse_scope, render_scope
from tests.properties.replay import Given
from tests.scenarios.scenario import Scenario, Step

ID = "machine:name"
MOST_ORDERS = 24  # of steps that are independent of each other
MOST_SHOWN = 60  # events of one command

Between = Callable[[Workflow, Sequence[AnyEvent], Outcome], Outcome]
"""What is done to the outcome after each command: nothing, or a way over bytes."""


def straight(_workflow: Workflow, _events: Sequence[AnyEvent], outcome: Outcome) -> Outcome:
    return outcome


def recovered(workflow: Workflow, events: Sequence[AnyEvent], outcome: Outcome) -> Outcome:
    """As after a crash, from the bytes of all events so far; what was folded must be what was live."""
    batches: list[list[AnyEvent]] = []
    for event in events:
        if batches and (batches[-1][0].time, batches[-1][0].caused_by) == (event.time, event.caused_by):
            batches[-1].append(event)
        else:
            batches.append([event])
    stored = [record.value for batch in batches for record in encode_events(batch)]
    again = recover(workflow, [event for value in stored for event in decode_events(value)])
    assert again.execution == outcome.execution
    return again


class World:
    """One execution. `commands` holds the events that each command came to, the start first."""

    def __init__(self, scenario: Scenario, definition: dict[str, Any], between: Between = straight) -> None:
        self.scenario = scenario
        self.workflow = parse(definition, type=scenario.type)
        if scenario.quota is not None:
            self.workflow = replace(self.workflow, history_quota=scenario.quota)
        self.between = between
        seed = scenario.seed.encode().ljust(16, b"\0") if scenario.seed else ZERO
        self.outcome: Outcome = start(self.workflow, scenario.input, execution_id=ID, now=EPOCH, seed=seed)
        assert not isinstance(self.outcome, Rejected), self.outcome
        self.commands: list[tuple[AnyEvent, ...]] = [self.outcome.events]
        self.given: list[Given] = []
        self.outcome = between(self.workflow, self.events, self.outcome)

    @property
    def events(self) -> list[AnyEvent]:
        return [event for events in self.commands for event in events]

    @property
    def execution(self) -> Execution:
        assert self.outcome.execution is not None
        return self.outcome.execution

    def run(self, steps: Sequence[Step]) -> World:
        for step in steps:
            for _ in range(step.times):
                self._take(step)
        return self

    def answer(self) -> dict[str, Any]:
        """Return how it ended, as a scenario says it."""
        execution = self.execution
        output = execution.output if execution.status == "SUCCEEDED" else UNSET
        return {"status": execution.status, "output": output, "error": execution.error, "cause": execution.cause}

    # ---- steps

    def _take(self, step: Step) -> None:
        if step.until is not None:
            self._let_time_pass(Millis(round(step.until * 1000)))
            return
        self._give(step, self._command(step))
        if step.fail_and_retry is not None:
            event = next(e for e in reversed(self.events) if isinstance(e, RetryScheduled))
            assert event.state == (step.of or step.fail_and_retry), f"{step}: the retry is {event.state}'s"
            self._give(Step(fire="retry"), FireTimer.of(event))

    def _give(self, step: Step, command: AnyCommand) -> None:
        before = self.execution
        now = None if step.at is None else Millis(round(step.at * 1000))
        outcome = resume(before, command, now=now)
        if isinstance(outcome, Rejected):
            assert outcome.reason == step.refused, f"{step}: {outcome.reason}: {outcome.detail}"
        else:
            assert step.refused is None, f"{step} was taken"
            assert step.nothing == (outcome.events == ()), f"{step} came to {outcome.events}"
        if not outcome.events:
            assert outcome.execution == before
        time = outcome.events[0].time if outcome.events else (before.time if now is None else now)
        self.given.append(Given(command=command, now=time))
        if outcome.events:
            self.commands.append(outcome.events)
        self.outcome = self.between(self.workflow, self.events, outcome)

    def _command(self, step: Step) -> AnyCommand:
        match step:
            case Step(complete=str(state)):
                command: AnyCommand = CompleteTask.of(self._task(state, step), step.output)
            case Step(echo=str(state)):
                task = self._task(state, step)
                command = CompleteTask.of(task, task.arguments)
            case Step(submit=str(state)):
                command = SubmitTask.of(self._task(state, step), step.output)
            case Step(fail=str(state)) | Step(fail_and_retry=str(state)):
                command = FailTask.of(self._task(state, step), error=step.error, cause=step.cause)
            case Step(heartbeat=str(state)):
                command = HeartbeatTask.of(self._task(state, step), worker=step.worker)
            case Step(fire=str(kind)):
                command = self._timer(kind, step)
            case Step(stop=True):
                command = StopExecution(execution_id=ID, error=step.error, cause=step.cause)
            case Step(start=True):
                command = StartExecution(execution_id=ID, input=self.scenario.input)
            case _:
                raise AssertionError(f"{step} says nothing that can be done")
        return command if step.execution is None else replace(command, execution_id=step.execution)

    def _task(self, state: str, step: Step) -> TaskScheduled:
        asked = [e for e in self.events if isinstance(e, TaskScheduled) and _is_at(e, state, step)]
        assert asked, f"{step}: {state} has asked for nothing"
        return asked[-1 if step.attempt is None else step.attempt]

    def _timer(self, kind: TimerKind, step: Step) -> FireTimer:
        timers = [e for e in self.events if kind in timers_set_by(e) and _is_at(e, step.of, step)]
        assert timers, f"{step}: there is no such timer"
        return FireTimer.of(timers[-1 if step.attempt is None else step.attempt], kind)

    def _let_time_pass(self, end: Millis) -> None:
        while (timer := next(iter(sorted(self._due_by(end), key=lambda timer: timer[0])), None)) is not None:
            due, command = timer
            self._give(Step(fire="wait", at=due / 1000), command)

    def _due_by(self, end: Millis) -> Iterator[tuple[Millis, FireTimer]]:
        for event in self.events:
            for kind in timers_set_by(event):
                command = FireTimer.of(event, kind)
                due = timer_due(self.execution, command.timer_id)
                if due is not None and due <= end:
                    yield due, command


def _is_at(event: AnyEvent, state: str, step: Step) -> bool:
    scope: ScopeKey | None = None if step.scope is None else parse_scope(step.scope)
    return event.state == state and scope in (None, event.scope)


# ---- orders


def orders(scenario: Scenario) -> list[list[Step]]:
    """Return the steps in the order written, then with each group of independent ones in its other orders."""
    written = [step if isinstance(step, list) else [step] for step in scenario.world]
    found = [[step for group in written for step in group]]
    for index, group in enumerate(written):
        for other in list(permutations(group))[1:MOST_ORDERS]:
            found.append([step for part in (*written[:index], other, *written[index + 1 :]) for step in part])
    return found


# ---- the compact history


def compact(commands: Sequence[Sequence[AnyEvent]]) -> list[str]:
    """Return one text per command: every event of AWS's history as `id<previous Type State[scope] detail`, the pointer
    left out where it is the id before, and what AWS does not show (retries and waits set, heartbeats) without an id. A
    text begins with the time where that is not 0.

    ExecutionStarted, the same everywhere, is left out.
    """
    history = render_history([event for events in commands for event in events])
    told: list[str] = []
    execution: Execution | None = None
    for events in commands:
        parts: list[str] = []
        for event in events:
            before = 0 if execution is None else execution.aws_events
            if isinstance(event, ExecutionStarted):
                execution = begin(_no_definition(event), event)
                continue
            assert execution is not None
            execution = evolve(execution, event)
            parts += [_shown(shown, event) for shown in history[before : execution.aws_events]]
            parts += _internal(event)
        told.append((f"{events[0].time / 1000:g}s | " if events[0].time else "") + "; ".join(_shortened(parts)))
    return told


def _shortened(parts: list[str]) -> list[str]:
    """Of thousands of events the first and the last, and a digest of them all."""
    if len(parts) <= MOST_SHOWN:
        return parts
    digest = sha256("; ".join(parts).encode()).hexdigest()[:16]
    return [*parts[:10], f"… {len(parts) - 16} more, sha256 of all {digest} …", *parts[-6:]]


def _no_definition(event: ExecutionStarted) -> Workflow:
    return Workflow(definition=None, type=event.type, definition_hash=b"", first=event.first, states={})


def _shown(shown: dict[str, Any], event: AnyEvent) -> str:
    pointer = "" if shown["previousEventId"] == shown["id"] - 1 else f"<{shown['previousEventId']}"
    where = f"[{render_scope(event.scope)}]" if event.scope else ""
    details: dict[str, Any] = next((value for key, value in shown.items() if key.endswith("EventDetails")), {})
    words = [f"{shown['id']}{pointer}", shown["type"], f"{event.state}{where}"]
    words += [details["error"]] if "error" in details else []
    words += [f"of {details['length']}"] if "length" in details else []
    return " ".join(word for word in words if word)


def _internal(event: AnyEvent) -> list[str]:
    where = f"{event.state}[{render_scope(event.scope)}]" if event.scope else event.state
    match event:
        case RetryScheduled():
            return [f"RetryScheduled {where} retrier {event.retrier} attempt {event.attempt} due {event.due / 1000:g}s"]
        case TaskHeartbeatRecorded():
            return [f"TaskHeartbeatRecorded {where}"]
        case WaitStarted():
            return [f"WaitStarted {where} due {event.due / 1000:g}s"]
        case _:
            return []


__all__ = ["World", "compact", "orders", "recovered", "straight"]
