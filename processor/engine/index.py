"""Events → the records of timers and tasks: set when something begins to wait, a tombstone when it is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from processor.engine.encoding import encode_task, encode_timer
from processor.engine.ports import Message
from processor.engine.topics import TopicNames
from processor.model import events as e
from processor.model.commands import timers_set_by, token_of
from processor.model.definition import TaskState
from processor.model.execution import Execution, Pending, Retrying, Scope, Waiting
from processor.model.ids import Millis, ScopeKey, TimerKind, task_token, timer_id
from processor.model.records import Task, Timer

_SETTING = frozenset((e.WaitStarted, e.RetryScheduled, e.TaskScheduled, e.ExecutionStarted, e.ExecutionRedriven))
"""Events that may begin a wait."""


def task_of(event: e.TaskScheduled) -> Task:
    """Return the record that asks for the task's work; all of it stands in the event."""
    return Task(
        token=token_of(event),
        execution_id=event.execution_id,
        state=event.state,
        kind=event.kind,
        resource_type=event.resource_type,
        resource=event.resource,
        region=event.region,
        attempt=event.attempt,
        arguments=event.arguments,
        role=event.role,
        timeout_at=event.timeout_at,
        heartbeat_seconds=event.heartbeat_seconds,
        scheduled_at=event.time,
    )


class Index:
    """Makes the messages for one set of topics."""

    def __init__(self, names: TopicNames) -> None:
        self._names = names

    def changes(
        self, before: Execution | None, event: e.AnyEvent, after: Execution, *, partition: int
    ) -> Iterable[Message]:
        """Return what `event`, which led from `before` to `after`, sets and resolves."""
        # Asked of every event, and of most there is nothing to say.
        if type(event) not in _SETTING and not after.closed:
            scope = before.scopes.get(event.scope) if before is not None else None
            if scope is None or scope.phase.runnable:
                return ()
        return self._changes(before, event, after, partition)

    def _changes(
        self, before: Execution | None, event: e.AnyEvent, after: Execution, partition: int
    ) -> Iterator[Message]:
        if before is not None:
            yield from self._resolved(before, event, after, partition)
        for kind in timers_set_by(event):
            yield self.timer(event, kind, _due(event, kind), partition=partition)
        match event:
            case e.TaskScheduled():
                yield self._task(event)
            case e.TaskSubmitted() if before is not None and _calls_back(after, event):
                # Nothing is left for a worker to do: whoever got the token completes the task.
                pending = before.scopes[event.scope].phase
                assert isinstance(pending, Pending)
                yield self._task_tombstone(task_token(event.execution_id, event.scope, pending.sequence))

    def timer(self, event: e.AnyEvent, kind: TimerKind, due: Millis, *, partition: int) -> Message:
        return self.timer_record(
            Timer(
                timer_id=timer_id(event.execution_id, event.scope, event.sequence, kind),
                execution_id=event.execution_id,
                scope=event.scope,
                sequence=event.sequence,
                kind=kind,
                due=due,
                state=event.state,
            ),
            partition=partition,
        )

    def timer_record(self, timer: Timer, *, partition: int) -> Message:
        return Message(
            topic=self._names.timers, key=timer.timer_id.encode(), value=encode_timer(timer), partition=partition
        )

    def timer_tombstone(self, id: str, *, partition: int) -> Message:
        return Message(topic=self._names.timers, key=id.encode(), value=None, partition=partition)

    def _task(self, event: e.TaskScheduled) -> Message:
        task = task_of(event)
        return Message(topic=self._names.tasks, key=task.token.encode(), value=encode_task(task))

    def _task_tombstone(self, token: str) -> Message:
        return Message(topic=self._names.tasks, key=token.encode(), value=None)

    def _resolved(self, before: Execution, event: e.AnyEvent, after: Execution, partition: int) -> Iterator[Message]:
        if after.closed:
            if before.timeout_at is not None:
                id = timer_id(before.execution_id, (), before.timer_sequence, "execution")
                yield self.timer_tombstone(id, partition=partition)
            for key, scope in before.scopes.items():
                yield from self._tombstones(before.execution_id, key, scope, partition)
            return
        scope_before = before.scopes.get(event.scope)
        if scope_before is None:
            return
        scope_after = after.scopes.get(event.scope)
        if scope_after is None or _sequence(scope_after) != _sequence(scope_before):
            yield from self._tombstones(before.execution_id, event.scope, scope_before, partition)

    def _tombstones(self, execution_id: str, key: ScopeKey, scope: Scope, partition: int) -> Iterator[Message]:
        match scope.phase:
            case Waiting(sequence=sequence):
                yield self.timer_tombstone(timer_id(execution_id, key, sequence, "wait"), partition=partition)
            case Retrying(sequence=sequence):
                yield self.timer_tombstone(timer_id(execution_id, key, sequence, "retry"), partition=partition)
            case Pending(sequence=sequence) as task:
                yield self._task_tombstone(task_token(execution_id, key, sequence))
                if task.timeout_at is not None:
                    id = timer_id(execution_id, key, sequence, "timeout")
                    yield self.timer_tombstone(id, partition=partition)
                if task.heartbeat_at is not None:
                    id = timer_id(execution_id, key, sequence, "heartbeat")
                    yield self.timer_tombstone(id, partition=partition)


def _calls_back(execution: Execution, event: e.TaskSubmitted) -> bool:
    state = execution.workflow.states[event.state]
    return isinstance(state, TaskState) and state.resource.pattern == "WAIT_FOR_TOKEN"


def _sequence(scope: Scope) -> int | None:
    """Of the event that set what the scope waits for."""
    phase = scope.phase
    return phase.sequence if isinstance(phase, (Waiting, Retrying, Pending)) else None


def _due(event: e.AnyEvent, kind: TimerKind) -> Millis:
    match event:
        case e.WaitStarted(due=due) | e.RetryScheduled(due=due):
            return due
        case e.TaskScheduled(timeout_at=due) if kind == "timeout" and due is not None:
            return due
        case e.TaskScheduled(heartbeat_at=due) if kind == "heartbeat" and due is not None:
            return due
        case e.ExecutionStarted(timeout_at=due) | e.ExecutionRedriven(timeout_at=due) if due is not None:
            return due
        case _:
            raise AssertionError(f"{type(event).__name__} sets no {kind} timer")
