"""next_event(execution): the one event that follows from the folded state alone, or none.

Nothing is held between two events but the state, so a log cut anywhere continues as if it had not been. The lowest
runnable scope goes first, a container before its children.
"""

from __future__ import annotations

from typing import assert_never

from processor.interpreter.context import child_root
from processor.interpreter.entropy import draw, fraction
from processor.interpreter.evolve import ABORTABLE
from processor.interpreter.jsonata import EvaluationFailed
from processor.interpreter.quota import child_quota, within_quota
from processor.interpreter.retry import (
    RUNTIME,
    TIMEOUT,
    handlers,
    matching_catcher,
    matching_retrier,
    retry_delay_ms,
)
from processor.interpreter.states.containers import fill, run_map, run_parallel
from processor.interpreter.states.distributed import end_of_child, has_open_run
from processor.interpreter.states.simple import run_choice, run_fail, run_pass, run_succeed, run_wait
from processor.interpreter.states.task import run_task
from processor.interpreter.turn import BareFailure, Turn, as_failed, envelope_of, exit_by, exit_with
from processor.model import events as e
from processor.model.definition import (
    AnyState,
    ChoiceState,
    FailState,
    MapState,
    ParallelState,
    PassState,
    StateFailure,
    SucceedState,
    TaskState,
    WaitState,
)
from processor.model.execution import (
    Branches,
    Cut,
    Ended,
    Entered,
    Execution,
    Failed,
    Filling,
    Iterations,
    Next,
    Pending,
    Retrying,
    Running,
    Scope,
    Succeeded,
    Waiting,
)
from processor.model.ids import TOP, Millis, ScopeKey
from processor.model.json import Json

_TYPES: dict[type, e.StateType] = {
    PassState: "Pass",
    TaskState: "Task",
    ChoiceState: "Choice",
    WaitState: "Wait",
    SucceedState: "Succeed",
    FailState: "Fail",
    ParallelState: "Parallel",
    MapState: "Map",
}

MAX_LOCATION_LENGTH = 1_000
"""Ours: names of fields are of any length, and an event must fit a record."""


def next_event(execution: Execution) -> e.AnyEvent | None:
    """Return what comes next without a command; None where the execution rests, is closed or quarantined."""
    event = _following(execution)
    return None if event is None else within_quota(execution, event)


def _following(execution: Execution) -> e.AnyEvent | None:
    key = execution.runnable.first
    if key is None or execution.status != "RUNNING" or execution.quarantined is not None:
        return None
    scope = execution.scopes[key]
    phase = scope.phase
    if isinstance(phase, Next):  # it and Entered are all but every event's; matched by a pattern they cost more
        if scope.silent and (failed := child_quota(execution, scope)) is not None:
            return _break_off(turn_of(execution, key, scope), failed)
        return _enter(execution, key, phase.state)
    if isinstance(phase, (Entered, Succeeded, Filling)):
        turn = turn_of(execution, key, scope)
        given = evaluate(turn)
        return handle(turn, given) if isinstance(given, Failed) else given
    assert not isinstance(phase, (Waiting, Retrying, Pending, Running, Cut)), f"{key} rests and is listed as runnable"
    match phase:
        case Ended():
            return _end(execution, key, scope)
        case Failed():
            return handle(turn_of(execution, key, scope), phase)
        case _:
            assert_never(phase)


def turn_of(execution: Execution, key: ScopeKey, scope: Scope) -> Turn:
    """Return the turn of the state that `scope` is in."""
    return Turn(execution, key, scope, execution.workflow.states[scope.state])


def evaluate(turn: Turn) -> e.AnyEvent | Failed:
    """Return the event of the state's own code, or how the state failed."""
    try:
        return _go_on(turn, turn.state)
    except StateFailure as failure:
        return failure_of(turn, failure)


def _go_on(turn: Turn, state: AnyState) -> e.AnyEvent | Failed:
    phase = turn.scope.phase
    if isinstance(phase, Succeeded):
        return exit_with(turn, phase.result)
    if isinstance(phase, Filling):
        return fill(turn)
    match state:
        case PassState():
            return run_pass(turn, state)
        case TaskState():
            return run_task(turn, state)
        case ChoiceState():
            return run_choice(turn, state)
        case WaitState():
            return run_wait(turn, state)
        case SucceedState():
            return run_succeed(turn, state)
        case FailState():
            return run_fail(turn, state)
        case ParallelState():
            return run_parallel(turn, state)
        case MapState():
            return run_map(turn, state)
        case _:
            assert_never(state)


def failure_of(turn: Turn, failure: StateFailure) -> e.EvaluationFailed | Failed:
    """Return what the failure leads to: one of JSONata is told by an event before it is handled."""
    failed = failed_of(turn, failure)
    if not isinstance(failure, EvaluationFailed):
        return failed
    error, cause = failure.error, failed.cause or ""
    return e.EvaluationFailed(
        **turn.envelope(),
        error=error,
        cause=cause,
        location=failure.location and failure.location[:MAX_LOCATION_LENGTH],
    )


def failed_of(turn: Turn, failure: StateFailure) -> Failed:
    """AWS opens the causes of what it found out itself with the state and the id of its StateEntered."""
    if isinstance(failure, BareFailure):
        return as_failed(failure.error, failure.cause)
    where = f"the state '{turn.scope.state}' (entered at the event id #{turn.scope.entered_id})"
    return as_failed(failure.error, f"An error occurred while executing {where}. {failure.cause}")


def _enter(execution: Execution, key: ScopeKey, name: str) -> e.StateEntered:
    # Written out, as in exit_by: by way of a dict the envelope of these two costs twice as much.
    return e.StateEntered(
        execution_id=execution.started.execution_id,
        sequence=execution.sequence,
        time=execution.time,
        caused_by=execution.caused_by,
        scope=key,
        state=name,
        type=_TYPES[type(execution.workflow.states[name])],
    )


def _end(execution: Execution, key: ScopeKey, scope: Scope) -> e.AnyEvent:
    """Only the top and iterations come here: a branch's value goes to its Parallel with its last exit."""
    if key == TOP:
        return e.ExecutionSucceeded(**envelope_of(execution, TOP, ""), output=scope.value)
    if scope.child is not None:
        return end_of_child(execution, key)
    return e.MapIterationSucceeded(**envelope_of(execution, key, execution.scopes[key[:-1]].state))


# ---- failures


def handle(turn: Turn, failed: Failed) -> e.AnyEvent:
    """Return the next event that a failure of the turn's state leads to: what is cut first, then the end of a
    distributed Map's run, then Retry, then the container's own failure, then Catch, then the enclosing container or the
    execution."""
    if has_open_run(turn.scope):
        cut = _next_cut(turn.execution, turn.key, failing=None)
        return cut or e.MapRunFailed(**turn.envelope(), error=failed.error, cause=failed.cause)
    if failed.error == RUNTIME:
        return _break_off(turn, failed)
    if isinstance(turn.scope.phase, Filling) or failed.cutting:
        # Its own failure, while children run. Where a child's brought it here, all were cut before that was told.
        cut = _next_cut(turn.execution, turn.key, failing=None)
        if cut is not None:
            return cut
    return _resolve(turn, failed)


def _resolve(turn: Turn, failed: Failed) -> e.AnyEvent:
    retriers, catchers = handlers(turn.state)
    container = isinstance(turn.state, (ParallelState, MapState))
    if failed.final:
        return _pass_up(turn, failed)
    if not (container and failed.reported):
        index = matching_retrier(retriers, failed, attempts=turn.scope.attempts)
        if index is not None:
            return _retry(turn, failed, index)
        if container:
            return _report(turn, failed)
    index = matching_catcher(catchers, failed)
    if index is not None:
        return _catch(turn, failed, index)
    return _pass_up(turn, failed)


def _retry(turn: Turn, failed: Failed, index: int) -> e.RetryScheduled:
    retrier = handlers(turn.state)[0][index]
    scope, execution = turn.scope, turn.execution
    attempt = (scope.attempts[index] if index < len(scope.attempts) else 0) + 1
    jitter = 0.0
    if retrier.jitter:
        seed = execution.started.seed
        jitter = fraction(draw(seed, scope=turn.key, visit=scope.visit, attempt=scope.retry_count, number=0))
    delay_ms = retry_delay_ms(retrier, attempt=attempt, jitter=jitter)
    return e.RetryScheduled(
        **turn.envelope(),
        attempt=attempt,
        retrier=index,
        error=failed.error,
        cause=failed.cause,
        due=Millis(execution.time + delay_ms),
    )


def _report(turn: Turn, failed: Failed) -> e.AnyEvent:
    if isinstance(turn.state, ParallelState):
        return e.ParallelFailed(**turn.envelope(), error=failed.error, cause=failed.cause)
    return e.MapFailed(**turn.envelope(), error=failed.error, cause=failed.cause)


def _catch(turn: Turn, failed: Failed, index: int) -> e.AnyEvent:
    catcher = handlers(turn.state)[1][index]
    # Both fields are always there. Recorded: what FailTask leaves out is null; a timeout's cause, which its event does
    # not have, is empty (docs/decisions/0031).
    cause = "" if failed.error == TIMEOUT and failed.cause is None else failed.cause
    error_output: Json = {"Error": failed.error, "Cause": cause}
    try:
        return exit_by(turn, catcher, error_output, catcher=index)
    except StateFailure as failure:
        # What goes wrong in a Catch is not caught by another of the same state.
        again = failure_of(turn, failure)
        if not isinstance(again, Failed):
            return again
        return _break_off(turn, again) if again.error == RUNTIME else _pass_up(turn, again)


def _pass_up(turn: Turn, failed: Failed) -> e.AnyEvent:
    """Uncaught: the execution fails, or the container the scope is in, after its other children were cut."""
    execution, key, scope = turn.execution, turn.key, turn.scope
    if key == TOP or scope.child is not None:
        return _break_off(turn, failed)
    container = key[:-1]
    cut = _next_cut(execution, container, failing=key[-1])
    if cut is not None:
        return cut
    if scope.type == "Task" and not scope.aborted:
        return e.StateAborted(**turn.envelope())
    parent = turn_of(execution, container, execution.scopes[container])
    if isinstance(parent.scope.children, Iterations):
        envelope = turn.envelope()
        envelope["state"] = parent.scope.state
        return e.MapIterationFailed(**envelope, error=failed.error, cause=failed.cause)
    return _resolve(parent, Failed(failed.error, failed.cause))


def _break_off(turn: Turn, failed: Failed) -> e.AnyEvent:
    """Return the failure of the execution at once, or of the child execution that the scope is in, after what else runs
    in that was cut: the execution goes on, and would wait for it."""
    execution, key = turn.execution, turn.key
    root = child_root(execution, key)
    if root is None:
        return e.ExecutionFailed(**envelope_of(execution, TOP, ""), error=failed.error, cause=failed.cause)
    if isinstance(turn.scope.phase, Filling):
        cut = _next_cut(execution, key, failing=None)
        if cut is not None:
            return cut
    for depth in range(len(key) - 1, len(root) - 1, -1):
        cut = _next_cut(execution, key[:depth], failing=key[depth])
        if cut is not None:
            return cut
    envelope = envelope_of(execution, root, execution.scopes[root[:-1]].state)
    return e.MapIterationFailed(**envelope, error=failed.error, cause=failed.cause)


def _next_cut(execution: Execution, container: ScopeKey, *, failing: int | None) -> e.AnyEvent | None:
    """Return the next event that cuts a child of a container which fails, in the order of their indexes; None when
    all are cut. Children without an event of their own (a Pass, a Choice) are stilled by the container's."""
    scope = execution.scopes[container]
    children = scope.children
    assert children is not None
    for index in range(scope.cut_from or 0, children.started):
        key = (*container, index)
        child = execution.scopes.get(key)
        if child is None or index == failing or (isinstance(children, Iterations) and index in children.failures):
            continue
        event = _cut(execution, key, child, iteration=not isinstance(children, Branches))
        if event is not None:
            return event
    return None


def _cut(execution: Execution, key: ScopeKey, child: Scope, *, iteration: bool) -> e.AnyEvent | None:
    if iteration and not isinstance(child.phase, Cut):
        name = execution.scopes[key[:-1]].state
        return e.MapIterationAborted(**envelope_of(execution, key, name))
    if child.children is not None:
        event = _next_cut(execution, key, failing=None)
        if event is not None:
            return event
        if has_open_run(child):
            return e.MapRunAborted(**envelope_of(execution, key, child.state))
    if child.type in ABORTABLE and not child.aborted:
        return e.StateAborted(**envelope_of(execution, key, child.state))
    return None
