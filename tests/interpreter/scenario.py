"""What scenario tests are written with: a Run, told what the outside world does, and events built from short rows.

    run = Run({"StartAt": "A", …}, {"n": 1})
    assert run.complete("A", 5) == run.built((TaskSucceeded, (), "A", {"output": 5}), …)

`complete` and the like give the events of that one command; `built` makes the same events from (type, scope, state,
fields), with the envelope filled in from the run. Every Run is put through the replay check when its test has passed
(see conftest.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

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
    StopExecution,
    SubmitTask,
    TaskScheduled,
    parse,
    resume,
    start,
)
from processor.interpreter.history import render_history
from processor.interpreter.interpreter import cause_of
from processor.model.commands import AnyCommand, StartExecution, timers_set_by
from processor.model.events import Cause
from processor.model.execution import Execution
from processor.model.ids import ScopeKey, TimerKind
from tests.properties.replay import Given, check_every_prefix

Row: TypeAlias = "tuple[type[Any], ScopeKey, str] | tuple[type[Any], ScopeKey, str, Mapping[str, Any]]"

Fields: TypeAlias = Mapping[str, Any]
"""A definition, or a part of one, as tests write it."""

RUNS: list[Run] = []
"""Those of the test that runs; conftest.py checks and empties it."""


class Run:
    """One execution. `outcome` is the last command's, `events` all so far."""

    def __init__(
        self,
        definition: Fields,
        input: Any = None,
        *,
        context: Mapping[str, object] | None = None,
        seed: bytes = ZERO,
        now: int = EPOCH,
    ) -> None:
        self.workflow = parse(dict(definition))
        self.outcome: Outcome = start(self.workflow, input, context=context, seed=seed, now=Millis(now))
        assert not isinstance(self.outcome, Rejected), self.outcome
        self.events: tuple[AnyEvent, ...] = self.outcome.events
        self.given: list[Given] = []
        self._first = 0  # the sequence of the last command's first event
        self._cause = Cause()
        RUNS.append(self)

    @property
    def execution(self) -> Execution:
        assert self.outcome.execution is not None
        return self.outcome.execution

    @property
    def status(self) -> str:
        return self.execution.status

    # ---- the outside world

    def give(self, command: AnyCommand, *, now: int | None = None) -> tuple[AnyEvent, ...]:
        """Apply the command and return its events. `now` None: the last event's, or when the timer is due."""
        before = self.execution
        self.outcome = resume(before, command, now=None if now is None else Millis(now))
        if isinstance(self.outcome, Rejected):
            assert self.outcome.execution is before
        time = self.outcome.events[0].time if self.outcome.events else Millis(now if now is not None else before.time)
        self.given.append(Given(command=command, now=time))
        self._first = before.sequence
        self._cause = cause_of(command, offset=None)
        self.events += self.outcome.events
        return self.outcome.events

    def refused(self, command: AnyCommand, *, now: int | None = None) -> str:
        """Apply the command, which must be rejected, and return the reason."""
        assert self.give(command, now=now) == ()
        assert isinstance(self.outcome, Rejected), self.outcome
        return self.outcome.reason

    def complete(
        self, state: str, output: Any, *, scope: ScopeKey | None = None, now: int | None = None
    ) -> tuple[AnyEvent, ...]:
        return self.give(CompleteTask.of(self.task(state, scope), output), now=now)

    def fail(
        self,
        state: str,
        error: str | None = None,
        cause: str | None = None,
        *,
        scope: ScopeKey | None = None,
        now: int | None = None,
    ) -> tuple[AnyEvent, ...]:
        return self.give(FailTask.of(self.task(state, scope), error=error, cause=cause), now=now)

    def submit(self, state: str, output: Any, *, scope: ScopeKey | None = None) -> tuple[AnyEvent, ...]:
        return self.give(SubmitTask.of(self.task(state, scope), output))

    def heartbeat(
        self, state: str, *, scope: ScopeKey | None = None, now: int | None = None, worker: str | None = None
    ) -> tuple[AnyEvent, ...]:
        return self.give(HeartbeatTask.of(self.task(state, scope), worker=worker), now=now)

    def fire(
        self, kind: TimerKind, state: str = "", *, scope: ScopeKey | None = None, now: int | None = None
    ) -> tuple[AnyEvent, ...]:
        """Fire the latest timer of this kind that the state set."""
        return self.give(self.timer(kind, state, scope), now=now)

    def stop(self, error: str | None = None, cause: str | None = None) -> tuple[AnyEvent, ...]:
        return self.give(StopExecution(execution_id=self.execution.execution_id, error=error, cause=cause))

    # ---- what happened

    def task(self, state: str, scope: ScopeKey | None = None) -> TaskScheduled:
        """Return the latest TaskScheduled of the state."""
        return next(
            event
            for event in reversed(self.events)
            if isinstance(event, TaskScheduled) and event.state == state and scope in (None, event.scope)
        )

    def timer(self, kind: TimerKind, state: str = "", scope: ScopeKey | None = None) -> FireTimer:
        event = next(
            event
            for event in reversed(self.events)
            if kind in timers_set_by(event) and event.state == state and scope in (None, event.scope)
        )
        return FireTimer.of(event, kind)

    def built(self, *rows: Row) -> tuple[AnyEvent, ...]:
        """Return the events that the rows tell, with the envelope that those of the last command must have."""
        time = self.given[-1].now if self.given else self.events[0].time
        made = []
        for sequence, row in enumerate(rows, self._first):
            event_type, scope, state, *rest = row
            fields: Mapping[str, Any] = rest[0] if rest else {}
            made.append(
                event_type(
                    execution_id=self.execution.execution_id,
                    sequence=sequence,
                    time=time,
                    caused_by=self._cause,
                    scope=scope,
                    state=state,
                    **fields,
                )
            )
        return tuple(made)

    def check_replay(self) -> None:
        check_every_prefix(self.workflow, self.events, self.given)

    def check_history(self) -> None:
        check_history(self.execution, self.events)


def check_history(execution: Execution, events: Sequence[AnyEvent]) -> None:
    """Check that what the events render to has ids without a gap, as many as the execution counted, each pointing back
    to one before it; and that a prefix renders to a prefix."""
    history = render_history(events)
    assert [event["id"] for event in history] == list(range(1, execution.aws_events + 1))
    for event in history:
        id, previous = event["id"], event["previousEventId"]
        assert isinstance(id, int)
        assert isinstance(previous, int)
        assert (0 < previous < id) or (previous == 0 and (id <= 2 or event["type"] == "ExecutionTimedOut"))
    middle = len(events) // 2
    shorter = render_history(events[:middle])
    assert shorter == history[: len(shorter)]


def begun(run: Run) -> tuple[AnyEvent, ...]:
    """Return the events of the start but ExecutionStarted, which test_start.py checks; `built` counts from them."""
    run._first = 1
    return run.events[1:]


def told(events: Sequence[AnyEvent]) -> list[tuple[str, ScopeKey, str]]:
    """Return type, scope and state of each event, where a test is about order alone."""
    return [(type(event).__name__, event.scope, event.state) for event in events]


def task(name: str, next: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a Task state that asks for the work named like it; `next` None: it ends its scope."""
    leads: dict[str, Any] = {"End": True} if next is None else {"Next": next}
    return {"Type": "Task", "Resource": name.lower(), **leads, **fields}


def machine(start_at: str, states: Mapping[str, Fields], **fields: Any) -> dict[str, Any]:
    return {"StartAt": start_at, "States": dict(states), **fields}


def scope_of(name: str, state: Fields) -> dict[str, Any]:
    """Return a branch, an item processor or a machine of one state."""
    return {"StartAt": name, "States": {name: dict(state)}}


__all__ = [
    "RUNS",
    "Run",
    "StartExecution",
    "begun",
    "machine",
    "scope_of",
    "task",
    "told",
]
