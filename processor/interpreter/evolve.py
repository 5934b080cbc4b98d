"""evolve(execution, event) → execution: the only way state comes about.

It evaluates nothing and reads no definition; every computed value is in the event. The scope whose turn it is, the
lowest runnable one, is called the acting scope: a StateAborted in it is the failing state's own, any other cuts a
sibling.
"""

from __future__ import annotations

from bisect import insort
from typing import assert_never

from immutables import Map
from msgspec.structs import replace

from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import (
    ENDED,
    ENTERED,
    FILLING,
    RUNNING,
    Branches,
    Cut,
    Ended,
    Execution,
    Failed,
    Filling,
    Iterations,
    Next,
    Pending,
    Phase,
    Retrying,
    Running,
    Scope,
    Succeeded,
    Waiting,
)
from processor.model.ids import TOP, ScopeKey
from processor.model.json import Json, json_bytes

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
        runnable=(TOP,),
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
            return _turned(execution, event, _pending(event), aws=_TASK_SCHEDULED[event.kind])
        case e.TaskSucceeded():
            return _turned(execution, event, Succeeded(event.output), aws=_task_event(execution, event))
        case e.MapIterationStarted():
            return _iteration_started(execution, event)
        case e.MapIterationSucceeded():
            return _iteration_succeeded(execution, event)
        case e.WaitStarted():
            return _turned(execution, event, Waiting(sequence=event.sequence, due=event.due), aws=0)
        case e.RetryScheduled():
            return _retry_scheduled(execution, event)
        case e.TaskFailed():
            failed = Failed(event.error, event.cause)
            return _turned(execution, event, failed, aws=_task_event(execution, event))
        case e.TaskTimedOut():
            failed = Failed(event.error, event.cause, heartbeat=event.heartbeat)
            return _turned(execution, event, failed, aws=_task_event(execution, event))
        case e.EvaluationFailed():
            return _turned(execution, event, Failed(event.error, event.cause), aws=1)
        case e.TaskStarted() | e.TaskSubmitted() | e.TaskHeartbeatRecorded():
            return _progressed(execution, event)
        case e.StateAborted():
            return _state_aborted(execution, event)
        case e.ParallelStarted():
            return _parallel_started(execution, event)
        case e.MapStarted():
            return _map_started(execution, event)
        case e.ParallelSucceeded() | e.MapSucceeded():
            return _container_succeeded(execution, event)
        case e.MapIterationFailed() | e.MapIterationAborted():
            return _iteration_broke_off(execution, event)
        case e.ParallelFailed() | e.MapFailed():
            return _container_failed(execution, event)
        case e.MapRunStarted() | e.MapRunSucceeded() | e.MapRunFailed() | e.MapRunAborted() | e.MapRunRedriven():
            return _on(execution, event, aws=1)
        case _:
            return _of_execution(execution, event)


# ---- envelope and runnable scopes


def _on(execution: Execution, event: e.Event, *, aws: int) -> Execution:
    """The counters after an event that changes no scope."""
    return replace(
        execution,
        sequence=event.sequence + 1,
        aws_events=execution.aws_events + aws,
        time=event.time,
        caused_by=event.caused_by,
    )


def _put(execution: Execution, event: e.Event, scope: Scope, *, aws: int) -> Execution:
    """The counters, and `scope` in the event's place."""
    key = event.scope
    return replace(
        execution,
        sequence=event.sequence + 1,
        aws_events=execution.aws_events + (0 if scope.silent else aws),
        time=event.time,
        caused_by=event.caused_by,
        scopes=execution.scopes.set(key, scope),
        runnable=_noted(execution.runnable, key, scope.phase),
    )


def _turned(execution: Execution, event: e.Event, phase: Phase, *, aws: int) -> Execution:
    return _put(execution, event, replace(execution.scopes[event.scope], phase=phase), aws=aws)


def _noted(runnable: tuple[ScopeKey, ...], key: ScopeKey, phase: Phase) -> tuple[ScopeKey, ...]:
    """Keep `runnable` the sorted tuple of scopes whose phase is runnable. It is short: at most 40 iterations of an
    inline Map run at once, so a tuple beats a heap, and equal states have equal tuples."""
    if phase.runnable:
        if key in runnable:
            return runnable
        if not runnable:
            return (key,)
        grown = [*runnable]
        insort(grown, key)
        return tuple(grown)
    if runnable == (key,):
        return ()
    return tuple(k for k in runnable if k != key) if key in runnable else runnable


def _set(execution: Execution, key: ScopeKey, scope: Scope) -> Execution:
    """As _put, for a further scope of the same event."""
    return replace(
        execution,
        scopes=execution.scopes.set(key, scope),
        runnable=_noted(execution.runnable, key, scope.phase),
    )


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
    )
    return _put(execution, event, entered, aws=1)


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
        execution = _without_children(execution, event.scope)
    after = Scope(
        value=value,
        phase=Next(event.next) if event.next is not None else ENDED,
        state=event.state,
        visit=scope.visit,
        silent=scope.silent,
    )
    if event.next is None and event.scope and not _is_iteration(execution, event.scope):
        return _branch_ended(execution, event, after)
    return _put(execution, event, after, aws=1)


def _branch_ended(execution: Execution, event: e.StateExited, branch: Scope) -> Execution:
    """A branch has no event for its end: its value goes to the Parallel, which goes on after the last one."""
    container, index = event.scope[:-1], event.scope[-1]
    execution = _on(execution, event, aws=0 if branch.silent else 1)
    execution = replace(
        execution,
        scopes=execution.scopes.delete(event.scope),
        runnable=tuple(k for k in execution.runnable if k != event.scope),
    )
    parent = execution.scopes[container]
    assert isinstance(parent.children, Branches)
    children = replace(
        parent.children,
        results=parent.children.results.set(index, branch.value),
        result_bytes=parent.children.result_bytes + len(json_bytes(branch.value)),
    )
    phase: Phase = parent.phase
    if isinstance(phase, Running) and len(children.results) == children.count:
        phase = FILLING
    return _set(execution, container, replace(parent, children=children, phase=phase))


def _retry_scheduled(execution: Execution, event: e.RetryScheduled) -> Execution:
    scope = execution.scopes[event.scope]
    attempts = [*scope.attempts, *(0 for _ in range(event.retrier + 1 - len(scope.attempts)))]
    attempts[event.retrier] = event.attempt
    waiting = replace(
        scope,
        phase=Retrying(sequence=event.sequence, due=event.due),
        attempts=tuple(attempts),
        retry_count=scope.retry_count + 1,
        cut_from=0,
        aborted=False,
    )
    return _put(_stilled(execution, event.scope), event, waiting, aws=0)


def _state_aborted(execution: Execution, event: e.StateAborted) -> Execution:
    scope = execution.scopes[event.scope]
    if execution.runnable[0] == event.scope:  # the failing state itself: what it failed of stays to be handled
        return _put(execution, event, replace(scope, aborted=True), aws=1)
    cut = _put(execution, event, replace(scope, aborted=True, phase=_cut(scope.phase)), aws=1)
    return _cut_up_to(cut, event.scope)


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
    """How many AWS events an answer to a task renders to. A Retrying scope failed before it was scheduled again."""
    phase = execution.scopes[event.scope].phase
    return _TASK_SCHEDULED[phase.kind] and 1 if isinstance(phase, Pending) else 1


def _progressed(execution: Execution, event: e.TaskStarted | e.TaskSubmitted | e.TaskHeartbeatRecorded) -> Execution:
    scope = execution.scopes[event.scope]
    pending = scope.phase
    assert isinstance(pending, Pending)
    match event:
        case e.TaskStarted():
            after, aws = replace(pending, started=True, last_heartbeat=event.time), 1
        case e.TaskSubmitted():
            after, aws = replace(pending, submitted=True), _task_event(execution, event)
        case e.TaskHeartbeatRecorded():
            after, aws = replace(pending, last_heartbeat=event.time), 0
        case _:
            assert_never(event)
    return _put(execution, event, replace(scope, phase=after), aws=aws)


# ---- Parallel and Map


def _parallel_started(execution: Execution, event: e.ParallelStarted) -> Execution:
    key = event.scope
    execution = _without_children(execution, key)
    scope = execution.scopes[key]
    value = event.input if event.has_input else scope.value
    parent = replace(scope, phase=RUNNING, children=Branches(count=len(event.first)), cut_from=0, aborted=False)
    execution = _put(execution, event, parent, aws=1)
    with execution.scopes.mutate() as scopes:
        for index, first in enumerate(event.first):
            scopes.set((*key, index), Scope(value=value, phase=Next(first), silent=scope.silent))
        opened = scopes.finish()
    branches = ((*key, index) for index in range(len(event.first)))
    return replace(execution, scopes=opened, runnable=tuple(sorted((*execution.runnable, *branches))))


def _map_started(execution: Execution, event: e.MapStarted) -> Execution:
    execution = _without_children(execution, event.scope)
    scope = execution.scopes[event.scope]
    items = event.items if event.items is not None else scope.value
    assert isinstance(items, list)
    children = Iterations(items=items, mode=event.mode, first=event.first, max_concurrency=event.max_concurrency)
    started = replace(scope, phase=FILLING, children=children, cut_from=0, aborted=False)
    return _put(execution, event, started, aws=1)


def _iteration_started(execution: Execution, event: e.MapIterationStarted) -> Execution:
    container, index = event.scope[:-1], event.scope[-1]
    parent = execution.scopes[container]
    children = _iterations(parent)
    silent = parent.silent or children.mode == "DISTRIBUTED"
    scope = Scope(
        value=event.input if event.has_input else children.items[index], phase=Next(children.first), silent=silent
    )
    children = replace(children, next_index=index + 1, running=children.running + 1)
    return _set(_put(execution, event, scope, aws=1), container, _with_iterations(parent, children))


def _iteration_succeeded(execution: Execution, event: e.MapIterationSucceeded) -> Execution:
    container, index = event.scope[:-1], event.scope[-1]
    scope = execution.scopes[event.scope]
    parent = execution.scopes[container]
    children = _iterations(parent)
    value = event.output if event.has_output else scope.value
    execution = _on(execution, event, aws=0 if scope.silent else 1)
    execution = replace(
        execution,
        scopes=execution.scopes.delete(event.scope),
        runnable=tuple(k for k in execution.runnable if k != event.scope),
    )
    children = replace(
        children,
        running=children.running - 1,
        results=children.results.set(index, value),
        result_bytes=children.result_bytes + len(json_bytes(value)),
    )
    return _set(execution, container, _with_iterations(parent, children))


def _iteration_broke_off(execution: Execution, event: e.MapIterationFailed | e.MapIterationAborted) -> Execution:
    container = event.scope[:-1]
    scope = execution.scopes[event.scope]
    execution = _put(execution, event, replace(scope, phase=_cut(scope.phase)), aws=1)
    parent = execution.scopes[container]
    children = _iterations(parent)
    children = replace(children, running=children.running - 1)
    match event:
        case e.MapIterationFailed():
            children = replace(children, failed=children.failed + 1)
            after = replace(parent, children=children, phase=Failed(event.error, event.cause))
            return _set(_stilled(execution, container), container, after)
        case e.MapIterationAborted():
            return _cut_up_to(_set(execution, container, replace(parent, children=children)), event.scope)
        case _:
            assert_never(event)


def _container_succeeded(execution: Execution, event: e.ParallelSucceeded | e.MapSucceeded) -> Execution:
    scope = execution.scopes[event.scope]
    children = scope.children
    assert children is not None
    result = event.output if isinstance(event, e.MapSucceeded) and event.has_output else joined(children)
    return _put(execution, event, replace(scope, phase=Succeeded(result)), aws=1)


def joined(children: Branches | Iterations) -> Json:
    """Return the array of results, by index."""
    return [children.results[index] for index in range(children.started)]


def _container_failed(execution: Execution, event: e.ParallelFailed | e.MapFailed) -> Execution:
    scope = execution.scopes[event.scope]
    failed = replace(scope, phase=Failed(event.error, event.cause, reported=True), cut_from=0)
    return _put(_stilled(execution, event.scope), event, failed, aws=1)


def _is_iteration(execution: Execution, key: ScopeKey) -> bool:
    return isinstance(execution.scopes[key[:-1]].children, Iterations)


def _iterations(scope: Scope) -> Iterations:
    assert isinstance(scope.children, Iterations)
    return scope.children


def _with_iterations(parent: Scope, children: Iterations) -> Scope:
    """The phase follows from the counters, except while the Map fails."""
    phase: Phase = parent.phase
    if isinstance(phase, (Filling, Running)):
        phase = FILLING if children.has_work else RUNNING
    return replace(parent, children=children, phase=phase)


def _cut_up_to(execution: Execution, key: ScopeKey) -> Execution:
    container = key[:-1]
    parent = execution.scopes[container]
    return _set(execution, container, replace(parent, cut_from=key[-1]))


def _stilled(execution: Execution, container: ScopeKey) -> Execution:
    """No scope below `container` goes on any more; they are kept for a redrive."""
    depth = len(container)
    below = [k for k in execution.runnable if len(k) > depth and k[:depth] == container]
    for key in below:
        scope = execution.scopes[key]
        execution = _set(execution, key, replace(scope, phase=_cut(scope.phase)))
    return execution


def _cut(phase: Phase) -> Cut:
    match phase:
        case Cut():
            return phase
        case Next() | Ended():
            return Cut(phase)
        case _:
            return Cut()


def _without_children(execution: Execution, key: ScopeKey) -> Execution:
    """Drop all scopes below `key`. After a success there are none left, and nothing is searched."""
    scope = execution.scopes[key]
    children = scope.children
    if children is None or (isinstance(children, Iterations) and len(children.results) == children.next_index):
        return execution
    doomed: list[ScopeKey] = []
    parents = [key]
    while parents:
        parent = parents.pop()
        below = execution.scopes[parent].children
        if below is None:
            continue
        found = [k for k in ((*parent, i) for i in range(below.started)) if k in execution.scopes]
        doomed += found
        parents += found
    with execution.scopes.mutate() as scopes:
        for k in doomed:
            del scopes[k]
        left = scopes.finish()
    gone = frozenset(doomed)
    return replace(execution, scopes=left, runnable=tuple(k for k in execution.runnable if k not in gone))


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
            done = _on(execution, event, aws=1)
            return replace(done, status="SUCCEEDED", output=event.output, scopes=Map(), runnable=())
        case e.ExecutionFailed():
            return _closed(execution, event, "FAILED")
        case e.ExecutionTimedOut():
            return _closed(execution, event, "TIMED_OUT")
        case e.ExecutionAborted():
            return _closed(execution, event, "ABORTED")
        case e.ExecutionQuarantined():
            return replace(_on(execution, event, aws=0), quarantined=event.reason)
        case e.ExecutionReleased():
            return replace(_on(execution, event, aws=0), quarantined=None)
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
    closed = _on(execution, event, aws=1)
    return replace(closed, status=status, error=event.error, cause=event.cause, runnable=())


def _redriven(execution: Execution, event: e.ExecutionRedriven) -> Execution:
    """What ended stays; every state that was open is evaluated again, its attempts forgotten."""
    opened = replace(
        _on(execution, event, aws=1),
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
        opened = _set(opened, key, _reopened(scope))
    return opened


def _reopened(scope: Scope) -> Scope:
    phase: Phase = scope.phase
    children = scope.children
    if isinstance(children, Iterations):
        running = children.next_index - len(children.results)
        children = replace(children, running=running, failed=0)
        phase = FILLING if children.has_work else RUNNING
    elif isinstance(children, Branches):
        phase = FILLING if len(children.results) == children.count else RUNNING
    elif isinstance(phase, Cut) and phase.before is not None:
        phase = phase.before
    elif not isinstance(phase, (Next, Ended)):
        phase = ENTERED
    return replace(scope, phase=phase, children=children, attempts=(), retry_count=0, cut_from=0, aborted=False)
