"""evolve(execution, event) → execution: the only way state comes about.

It evaluates nothing and reads no definition; every computed value is in the event. The scope whose turn it is, the
lowest runnable one, is called the acting scope: a StateAborted in it is the failing state's own, any other cuts a
sibling.
"""

from __future__ import annotations

from typing import assert_never

from immutables import Map
from msgspec.structs import replace

from processor.interpreter.evolve_containers import (
    branch_ended,
    container_failed,
    container_succeeded,
    cut,
    cut_up_to,
    is_iteration,
    iteration_broke_off,
    iteration_started,
    iteration_succeeded,
    map_started,
    parallel_started,
    stilled,
    without_children,
)
from processor.interpreter.evolve_map_run import (
    child_failed,
    is_of_run,
    reading,
    run_answered,
    run_ended,
    run_redriven,
    run_started,
)
from processor.interpreter.folding import assigned, on, put, put_also, turned
from processor.interpreter.retry import DATA_LIMIT_EXCEEDED
from processor.interpreter.turn import MAX_PAYLOAD_BYTES
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import (
    ENDED,
    ENTERED,
    FILLING,
    RUNNING,
    Branches,
    Children,
    Cut,
    Ended,
    Execution,
    Failed,
    Filling,
    Iterations,
    Next,
    Pending,
    Phase,
    Prepared,
    Retrying,
    Scope,
    Succeeded,
    Waiting,
)
from processor.model.ids import TOP, Millis
from processor.model.runnable import NONE_RUNNABLE, Runnable

ABORTABLE = frozenset(("Task", "Wait", "Parallel", "Map"))
"""AWS has a StateAborted event for these types alone (API reference, HistoryEvent, "type")."""


def begin(workflow: Workflow, event: e.ExecutionStarted) -> Execution:
    """Return the execution that its first event makes."""
    top = Scope(value=event.input, phase=Next(event.first))
    return Execution(
        workflow=workflow,
        started=event,
        sequence=event.sequence + 1,
        aws_events=1,
        time=event.time,
        caused_by=event.caused_by,
        scopes=Map({TOP: top}),
        runnable=Runnable([TOP]),
        timeout_at=event.timeout_at,
        timer_sequence=event.sequence,
    )


def evolve(execution: Execution, event: e.AnyEvent) -> Execution:
    """Return the execution after `event`, which must be its next one."""
    match event:
        case e.StateEntered():
            return _entered(execution, event)
        case e.StateExited():
            return _exited(execution, event)
        case e.TaskScheduled():
            if event.kind == "ITEM_READER":
                return reading(execution, event, _pending(event))
            return turned(execution, event, _pending(event), aws=_TASK_SCHEDULED[event.kind])
        case e.TaskSubmitted() | e.TaskSucceeded() if is_of_run(execution, event):
            return run_answered(execution, event)
        case e.TaskSucceeded():
            return turned(execution, event, Succeeded(event.output), aws=_task_event(execution, event))
        case e.MapIterationStarted():
            return iteration_started(execution, event)
        case e.MapIterationSucceeded():
            return iteration_succeeded(execution, event)
        case e.WaitStarted():
            return turned(execution, event, Waiting(sequence=event.sequence, due=event.due), aws=0)
        case e.RetryScheduled():
            return _retry_scheduled(execution, event)
        case e.TaskFailed():
            failed = Failed(event.error, event.cause)
            return turned(execution, event, failed, aws=_task_event(execution, event))
        case e.TaskTimedOut():
            failed = Failed(event.error, event.cause, heartbeat=event.heartbeat)
            return turned(execution, event, failed, aws=_task_event(execution, event))
        case e.EvaluationFailed():
            return _evaluation_failed(execution, event)
        case e.TaskStarted() | e.TaskSubmitted() | e.TaskHeartbeatRecorded():
            return _progressed(execution, event)
        case e.StateAborted():
            return _state_aborted(execution, event)
        case e.ParallelStarted():
            return parallel_started(execution, event)
        case e.MapStarted():
            return map_started(execution, event)
        case e.ParallelSucceeded() | e.MapSucceeded():
            return container_succeeded(execution, event)
        case e.MapIterationFailed() if execution.scopes[event.scope].child is not None:
            return child_failed(execution, event)
        case e.MapIterationFailed() | e.MapIterationAborted():
            return iteration_broke_off(execution, event)
        case e.ParallelFailed() | e.MapFailed():
            return container_failed(execution, event)
        case e.MapRunStarted():
            return run_started(execution, event)
        case e.MapRunSucceeded() | e.MapRunFailed() | e.MapRunAborted():
            return run_ended(execution, event)
        case e.MapRunRedriven():
            return run_redriven(execution, event)
        case _:
            return _of_execution(execution, event)


# ---- any state


def _entered(execution: Execution, event: e.StateEntered) -> Execution:
    scope = execution.scopes[event.scope]
    entered = Scope(
        value=scope.value,
        phase=ENTERED,
        state=event.state,
        type=event.type,
        visit=scope.visit + 1,
        entered_id=execution.aws_events + 1,
        entered_time=event.time,
        silent=scope.silent,
        variables=scope.variables,
        variable_bytes=scope.variable_bytes,
        child=scope.child,
    )
    return put(execution, event, entered, aws=1)


def _exited(execution: Execution, event: e.StateExited) -> Execution:
    scope = execution.scopes[event.scope]
    match event.output_of:
        case "VALUE":
            value = event.output
        case "INPUT":
            value = scope.value
        case "RESULT":
            # only a state that had a result hands it on; a Pass without one hands on its input
            assert isinstance(scope.phase, Succeeded)
            value = scope.phase.result
        case _:
            assert_never(event.output_of)
    if scope.children is not None:
        execution = without_children(execution, event.scope)
    after = Scope(
        value=value,
        phase=Next(event.next) if event.next is not None else ENDED,
        state=event.state,
        visit=scope.visit,
        silent=scope.silent,
        variables=scope.variables,
        variable_bytes=scope.variable_bytes,
        child=scope.child,
    )
    if event.assigned:
        execution, after = assigned(execution, after, event.assigned)
    if event.next is None and event.scope and not is_iteration(execution, event.scope):
        return branch_ended(execution, event, after)
    return put(execution, event, after, aws=1)


def _evaluation_failed(execution: Execution, event: e.EvaluationFailed) -> Execution:
    """What failed before is being caught, so it was the Catch that failed. Children that run are cut next."""
    scope = execution.scopes[event.scope]
    filling = isinstance(scope.phase, Filling)
    final = isinstance(scope.phase, Failed)
    failed = Failed(event.error, event.cause, cutting=filling, final=final)
    # From here on no child takes an answer, whatever comes between two slices.
    after = replace(scope, phase=failed, cut_from=0 if filling else scope.cut_from)
    return put(execution, event, after, aws=1)


def _retry_scheduled(execution: Execution, event: e.RetryScheduled) -> Execution:
    scope = execution.scopes[event.scope]
    attempts = [*scope.attempts, *(0 for _ in range(event.retrier + 1 - len(scope.attempts)))]
    attempts[event.retrier] = event.attempt
    waiting = replace(
        scope,
        phase=Retrying(sequence=event.sequence, due=event.due),
        attempts=tuple(attempts),
        retry_count=scope.retry_count + 1,
        cut_from=None,
        aborted=False,
    )
    return put(stilled(execution, event.scope), event, waiting, aws=0)


def _state_aborted(execution: Execution, event: e.StateAborted) -> Execution:
    scope = execution.scopes[event.scope]
    if execution.runnable.first == event.scope:  # the failing state itself: what it failed of stays to be handled
        return put(execution, event, replace(scope, aborted=True), aws=1)
    after = put(execution, event, replace(scope, aborted=True, phase=cut(scope.phase)), aws=1)
    return cut_up_to(after, event.scope)


# ---- Task


_TASK_SCHEDULED: dict[e.TaskKind, int] = {
    "LAMBDA": 2,
    "SERVICE": 2,
    "ACTIVITY": 1,
    "ITEM_READER": 0,
    "RESULT_WRITER": 0,
}
"""AWS writes Scheduled and Started side by side for all but activities, and nothing for readers and writers."""


def _pending(event: e.TaskScheduled) -> Pending:
    return Pending(
        sequence=event.sequence,
        kind=event.kind,
        timeout_at=event.timeout_at,
        heartbeat_seconds=event.heartbeat_seconds,
        heartbeat_at=event.heartbeat_at,
    )


def _task_event(execution: Execution, event: e.Event) -> int:
    """How many AWS events an answer to a task renders to: none where none was asked for, as when a Wait's end fails, or
    a state that was to be tried again before its task is scheduled."""
    phase = execution.scopes[event.scope].phase
    return _TASK_SCHEDULED[phase.kind] and 1 if isinstance(phase, Pending) else 0


def _progressed(execution: Execution, event: e.TaskStarted | e.TaskSubmitted | e.TaskHeartbeatRecorded) -> Execution:
    scope = execution.scopes[event.scope]
    pending = scope.phase
    assert isinstance(pending, Pending)
    match event:
        case e.TaskStarted():
            seconds = pending.heartbeat_seconds
            due = None if seconds is None else Millis(event.time + seconds * 1000)
            after, aws = replace(pending, started=True, heartbeat_at=due), 1
        case e.TaskSubmitted():
            after, aws = replace(pending, submitted=True), _task_event(execution, event)
        case e.TaskHeartbeatRecorded():
            after, aws = replace(pending, last_heartbeat=event.time), 0
        case _:
            assert_never(event)
    return put(execution, event, replace(scope, phase=after), aws=aws)


# ---- the execution itself


def _of_execution(
    execution: Execution,
    event: e.ExecutionStarted
    | e.ExecutionSucceeded
    | e.ExecutionFailed
    | e.ExecutionTimedOut
    | e.ExecutionAborted
    | e.ExecutionRedriven
    | e.ExecutionQuarantined
    | e.ExecutionReleased,
) -> Execution:
    match event:
        case e.ExecutionSucceeded():
            done = on(execution, event, aws=1)
            ended = replace(done, status="SUCCEEDED", output=event.output, variable_bytes=0)
            return replace(ended, scopes=Map(), runnable=NONE_RUNNABLE)
        case e.ExecutionFailed():
            return _closed(execution, event, "FAILED")
        case e.ExecutionTimedOut():
            return _closed(execution, event, "TIMED_OUT")
        case e.ExecutionAborted():
            return _closed(execution, event, "ABORTED")
        case e.ExecutionQuarantined():
            return replace(on(execution, event, aws=0), quarantined=event.reason)
        case e.ExecutionReleased():
            return replace(on(execution, event, aws=0), quarantined=None)
        case e.ExecutionRedriven():
            return _redriven(execution, event)
        case e.ExecutionStarted():
            raise ValueError(f"{event.execution_id}: started twice")
        case _:
            assert_never(event)


def _closed(
    execution: Execution,
    event: e.ExecutionFailed | e.ExecutionTimedOut | e.ExecutionAborted,
    status: str,
) -> Execution:
    """The scopes stay, for a redrive."""
    closed = on(execution, event, aws=1)
    return replace(closed, status=status, error=event.error, cause=event.cause, runnable=NONE_RUNNABLE)


def _redriven(execution: Execution, event: e.ExecutionRedriven) -> Execution:
    """What ended stays; every state that was open is evaluated again, its attempts forgotten."""
    opened = replace(
        on(execution, event, aws=1),
        status="RUNNING",
        error=None,
        cause=None,
        quarantined=None,
        timeout_at=event.timeout_at,
        timer_sequence=event.sequence,
        redrive_count=event.redrive_count,
        redrive_time=event.time,
    )
    for key, scope in execution.scopes.items():
        opened = put_also(opened, key, _reopened(scope))
    return opened


def _runs_again(scope: Scope, children: Children) -> bool:
    """Whether a container of which all has ended is run again as a whole: it came to more than a state may hold.

    Source: AWS Developer Guide, "Redrive behavior of individual states".
    """
    failed = isinstance(scope.phase, Failed) and scope.phase.error == DATA_LIMIT_EXCEEDED
    return children.all_ended and (failed or children.joined_bytes > MAX_PAYLOAD_BYTES)


def _reopened(scope: Scope) -> Scope:
    phase: Phase = scope.phase
    children = scope.children
    if children is not None and _runs_again(scope, children):
        phase, children = ENTERED, None
    elif isinstance(children, Iterations):
        children = replace(
            children,
            running=children.next_index - children.ended,
            failures=Map(),
            failure_bytes=0,
            failed=0,
            prepared=Prepared(),  # the context object tells of the redrive
        )
        phase = FILLING if children.has_work else RUNNING
    elif isinstance(children, Branches):
        phase = FILLING if children.all_ended else RUNNING
    elif isinstance(phase, Cut) and phase.before is not None:
        phase = phase.before
    elif not isinstance(phase, (Next, Ended)):
        phase = ENTERED
    return replace(scope, phase=phase, children=children, attempts=(), retry_count=0, cut_from=None, aborted=False)
