"""One execution in virtual time: the interpreter alone, driven by answers to its tasks and by a clock that jumps.

The same functions that a processor calls decide and fold every event; no log, no thread, no waiting. Time stands still
while anything can be done without it: tasks are answered in the order in which they were scheduled, and only where none
is left the timer that is due first fires, at exactly the time when it is due (ties: the one set first). So equal
arguments and equal answers give equal events, and a Wait of a year takes as long as one of a second.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from processor.apps.client import write_command
from processor.apps.timers import ISSUER
from processor.errors import InvalidSettings
from processor.interpreter.decide import Nothing, timer_due
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.interpreter import cause_of, decided, first_event, steps
from processor.interpreter.refused import Refused
from processor.model import events as e
from processor.model.commands import AnyCommand, FireTimer, StartExecution, timers_set_by
from processor.model.definition import Workflow
from processor.model.execution import Execution, Pending
from processor.model.ids import Millis

MAX_EVENTS: Final = 100_000
"""Four times what AWS lets an execution write: more than that is a loop without an end."""
MAX_BATCH: Final = 1_000
"""Events handed on at a time, so that a loop without an end is seen while it runs."""

Batch: TypeAlias = tuple[e.AnyEvent, ...]
AnswerTask: TypeAlias = Callable[[e.TaskScheduled], Sequence[AnyCommand]]
"""Gives the commands that answer a task, in order; none: nobody does, and only its own timers go on with it."""


class VirtualExecution:
    def __init__(self, execution: Execution, started: e.ExecutionStarted, *, answer: AnswerTask) -> None:
        self.execution = execution
        self._started, self._answer = started, answer
        self._tasks: deque[e.TaskScheduled] = deque()
        self._timers: list[tuple[Millis, int, int, FireTimer]] = []

    def run(self) -> Iterator[Batch]:
        """Yield the events, in batches of one command's, to the execution's end.

        Raises InvalidSettings where it waits for what nobody gives, and where it has written MAX_EVENTS.
        """
        yield from self._followed_by(self._started)
        while not self.execution.closed:
            if self.execution.sequence >= MAX_EVENTS:
                raise self._stuck(f"has written {MAX_EVENTS} events and goes on: it seems to loop without end")
            if self._tasks:
                task = self._tasks.popleft()
                yield from self._answered(task)
            elif (timer := self._next_timer()) is not None:
                due, command = timer
                yield from self._applied(command, now=due)
            else:
                waiting = ", ".join(sorted({scope.state for scope in self.execution.scopes.values() if scope.state}))
                raise self._stuck(f"waits in {waiting} for what nobody gives")

    def _answered(self, task: e.TaskScheduled) -> Iterator[Batch]:
        """Give the task its answers, as long as it waits for one: it may be cut, or have timed out, before its turn
        (a worker would have seen its tombstone), and a page too large to be held ends it before the others."""
        if not _is_pending(self.execution, task):
            return
        for command in self._answer(task):
            yield from self._applied(command, now=self.execution.time)
            if not _is_pending(self.execution, task):
                return

    def _applied(self, command: AnyCommand, *, now: Millis) -> Iterator[Batch]:
        decision = decided(self.execution, command, now=now, offset=None)
        match decision:
            case Refused(_, detail):
                raise self._stuck(f"refused {type(command).__name__}: {detail}")
            case Nothing():
                return
            case event:
                self.execution = evolve(self.execution, event)
                yield from self._followed_by(event)

    def _followed_by(self, event: e.AnyEvent) -> Iterator[Batch]:
        """Yield the command's own event, which is folded already, and all that follows from it."""
        batch = [event]
        self._note(event)
        for following, execution in steps(self.execution):
            self.execution = execution
            batch.append(following)
            self._note(following)
            if len(batch) == MAX_BATCH:
                yield tuple(batch)
                batch.clear()
                if following.sequence >= MAX_EVENTS:
                    return
        if batch:
            yield tuple(batch)

    def _note(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.TaskScheduled):
            self._tasks.append(event)
        for number, kind in enumerate(timers_set_by(event)):
            command = FireTimer.of(event, kind)
            due = timer_due(self.execution, command.timer_id)
            if due is not None:
                timer = FireTimer(execution_id=command.execution_id, issuer=ISSUER, timer_id=command.timer_id)
                heapq.heappush(self._timers, (due, event.sequence, number, timer))

    def _next_timer(self) -> tuple[Millis, FireTimer] | None:
        """Take out the timer that is due first. One that is resolved is dropped, one put off goes back."""
        while self._timers:
            noted, sequence, number, command = heapq.heappop(self._timers)
            due = timer_due(self.execution, command.timer_id)
            if due == noted:
                return due, command
            if due is not None:
                heapq.heappush(self._timers, (due, sequence, number, command))
        return None

    def _stuck(self, rule: str) -> InvalidSettings:
        example = "--mocks MOCKS.json, or a TimeoutSeconds"
        return InvalidSettings(setting=f"the execution {self.execution.execution_id}", rule=rule, example=example)


def start_virtual(
    workflow: Workflow, command: StartExecution, *, now: Millis, seed: bytes, answer: AnswerTask
) -> VirtualExecution | Refused:
    """Return the execution, started at `now`, or why it cannot be. Raises InvalidCommand where no record can hold the
    command."""
    write_command(command)
    started = first_event(workflow, command, now=now, seed=seed, cause=cause_of(command, offset=None))
    if isinstance(started, Refused):
        return started
    return VirtualExecution(begin(workflow, started), started, answer=answer)


def _is_pending(execution: Execution, task: e.TaskScheduled) -> bool:
    scope = execution.scopes.get(task.scope)
    return scope is not None and isinstance(scope.phase, Pending) and scope.phase.sequence == task.sequence
