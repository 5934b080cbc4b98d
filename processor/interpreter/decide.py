"""decide(execution, command) → the command's own event, or why there is none.

The own event is the fact that the command brings; what follows from it is next_event's. Everything here is a function
of the folded state, the command and `now`.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace
from orjson import JSONEncodeError

from processor.errors import InvalidCommand
from processor.interpreter.evolve_map_run import run_of
from processor.interpreter.quota import within_quota
from processor.interpreter.redrive import redrive
from processor.interpreter.refused import Refused
from processor.interpreter.retry import DATA_LIMIT_EXCEEDED, TIMEOUT
from processor.interpreter.states.simple import end_wait
from processor.interpreter.step import evaluate, failure_of, handle, turn_of
from processor.interpreter.turn import MAX_PAYLOAD_BYTES, DataLimitExceeded, Envelope, Turn, envelope_of
from processor.model import commands as c
from processor.model import events as e
from processor.model.definition import StateFailure, TaskState
from processor.model.execution import Cut, Execution, Failed, Pending, Retrying, Scope, Waiting
from processor.model.ids import Millis, ScopeKey, TimerKind, parse_task_token, parse_timer_id
from processor.model.json import Json, json_bytes


class Nothing(Struct, frozen=True):
    """The command applies and there is nothing to record: a heartbeat too soon after the last, a heartbeat's timer
    that one recorded since has put off."""


Decision: TypeAlias = e.AnyEvent | Refused | Nothing


def decide(execution: Execution, command: c.AnyCommand, *, now: Millis, cause: e.Cause) -> Decision:
    """Return the command's own event, written at `now`."""
    acting = replace(execution, time=now, caused_by=cause)
    decision = _decided(acting, command)
    return decision if isinstance(decision, (Refused, Nothing)) else within_quota(acting, decision)


def _decided(acting: Execution, command: c.AnyCommand) -> Decision:
    try:
        _check_addressee(acting, command)
        match command:
            case c.CompleteTask() | c.FailTask() | c.SubmitTask() | c.HeartbeatTask():
                return _answer(acting, command)
            case c.FireTimer():
                return _fire(acting, command)
            case c.StopExecution():
                return _stop(acting, command)
            case c.StartExecution():
                return Refused("ExecutionAlreadyExists", f"{command.execution_id} was started before")
            case c.RedriveExecution():
                return redrive(acting)
            case c.ReleaseExecution():
                return _release(acting)
            case c.PurgeExecution():
                detail = "only an ended execution can be purged, and by a processor"
                return Refused("ExecutionNotPurgeable", f"{command.execution_id} is {acting.status}: {detail}")
            case _:
                assert_never(command)
    except InvalidCommand as fault:
        return Refused("InvalidCommand", str(fault))


def _check_addressee(execution: Execution, command: c.AnyCommand) -> None:
    """Raise InvalidCommand for a command of another execution, or with another's token or timer: scopes and sequences
    are alike in all executions of a definition."""
    if command.execution_id != execution.execution_id:
        rule = f"must be {execution.execution_id}, the execution it is applied to"
        raise InvalidCommand(where="execution_id", rule=rule, value=command.execution_id)
    c.check_command(command)


# ---- tasks


def _answer(execution: Execution, command: c.CompleteTask | c.FailTask | c.SubmitTask | c.HeartbeatTask) -> Decision:
    _, key, sequence = parse_task_token(command.token)
    scope = _live(execution, key)
    if scope is None or not isinstance(scope.phase, Pending) or scope.phase.sequence != sequence:
        return Refused("TaskNotPending", f"no task waits for the token {command.token}")
    envelope = envelope_of(execution, key, scope.state)
    match command:
        case c.CompleteTask():
            if scope.phase.kind == "ITEM_READER":
                return _page(execution, scope, envelope, command)
            return _within_limit(execution, scope, envelope, command.output) or e.TaskSucceeded(
                **envelope, output=command.output
            )
        case c.FailTask():
            c.check_lengths(command)
            error = _OWN_ERRORS.get(scope.phase.kind) if command.error is None else command.error
            return e.TaskFailed(**envelope, error=error, cause=command.cause)
        case c.SubmitTask():
            if scope.phase.kind == "ITEM_READER":
                return _page(execution, scope, envelope, command)
            if scope.phase.submitted:
                return Refused("TaskNotPending", f"the task of token {command.token} was submitted before")
            return _within_limit(execution, scope, envelope, command.output) or e.TaskSubmitted(
                **envelope, output=command.output
            )
        case c.HeartbeatTask():
            return _heartbeat(execution, scope.phase, envelope, command)
        case _:
            assert_never(command)


_OWN_ERRORS: dict[e.TaskKind, str] = {
    "ITEM_READER": "States.ItemReaderFailed",
    "RESULT_WRITER": "States.ResultWriterFailed",
}
"""What AWS calls the failure of one of these, whatever its reason."""


def _page(execution: Execution, scope: Scope, envelope: Envelope, command: c.SubmitTask | c.CompleteTask) -> Decision:
    """Items that a reader brings. Its executor may be run twice, so pages are numbered: one that is there is refused.

    Raises InvalidCommand where the output is no page, or a page further on than the next.
    """
    expected = len(run_of(scope).pages)
    match command.output:
        case {"Page": int(number), "Items": list() | dict() as items, **others} if not others:
            pass
        case list() as items if isinstance(command, c.CompleteTask) and expected == 0:
            number = 0
        case other:
            rule = 'must be {"Page": <number>, "Items": <array, or object of key to item>}, or all items as an array'
            raise InvalidCommand(where="output", rule=rule, value=other)
    if number > expected:
        raise InvalidCommand(where="output", rule=f"must be page {expected}, the next one", value=number)
    if number < expected:
        return Refused("TaskNotPending", f"page {number} of the task of token {command.token} was brought before")
    failed = _within_limit(execution, scope, envelope, items)
    if failed is not None:
        return failed
    if isinstance(command, c.CompleteTask):
        return e.TaskSucceeded(**envelope, output=items)
    return e.TaskSubmitted(**envelope, output=items)


def _within_limit(execution: Execution, scope: Scope, envelope: Envelope, output: Json) -> e.TaskFailed | None:
    """A result that is too large is a failure of the task, by the resource's name as AWS has it there."""
    try:
        size = len(json_bytes(output))
    except JSONEncodeError as fault:  # what came over a log was JSON; what a caller gives need not be
        raise InvalidCommand(where="output", rule="must be JSON", value=str(fault)) from None
    if size <= MAX_PAYLOAD_BYTES:
        return None
    state = execution.workflow.states[scope.state]
    resource = state.resource if isinstance(state, TaskState) else None
    what = (resource.resource_type or resource.resource) if resource else scope.state
    return e.TaskFailed(**envelope, error=DATA_LIMIT_EXCEEDED, cause=DataLimitExceeded(what).cause)


def _heartbeat(execution: Execution, task: Pending, envelope: Envelope, command: c.HeartbeatTask) -> Decision:
    if task.kind == "ACTIVITY" and not task.started:
        return e.TaskStarted(**envelope, worker=command.worker)
    if task.heartbeat_seconds is None:
        return Nothing()
    # At most three records per interval, however often the worker calls.
    if task.last_heartbeat is not None and execution.time - task.last_heartbeat < task.heartbeat_seconds * 1000 // 3:
        return Nothing()
    return e.TaskHeartbeatRecorded(**envelope, detail=command.detail)


def _live(execution: Execution, key: ScopeKey) -> Scope | None:
    """The scope at `key`, unless the execution has ended or it is cut, or going to be, with a scope around it.

    A container that has begun to be cut may have spent its slice: what it still holds is as good as cut, for with
    another result its counters would let it end, or start what the failure would then miss.
    """
    if execution.closed:
        return None
    scope = execution.scopes.get(key)
    around = (execution.scopes.get(key[:depth]) for depth in range(len(key)))
    doomed = any(outer is None or isinstance(outer.phase, Cut) or outer.cut_from is not None for outer in around)
    return None if doomed else scope


# ---- timers


def timer_due(execution: Execution, timer_id: str) -> Millis | None:
    """Return when the timer is due as things stand; None where nothing waits for it.

    A heartbeat's is counted from when the task was scheduled, or a worker has taken the activity; after the first
    heartbeat from the last one recorded, plus the third of an interval in which further ones are not recorded, so that
    a worker which calls in time is never timed out.
    """
    _, key, sequence, kind = parse_timer_id(timer_id)
    if kind == "execution":
        own = sequence == execution.timer_sequence and key == () and not execution.closed
        return execution.timeout_at if own else None
    scope = _live(execution, key)
    return _due(scope.phase, sequence, kind) if scope is not None else None


def _due(phase: object, sequence: int, kind: TimerKind) -> Millis | None:
    match phase, kind:
        case (Waiting(sequence=s, due=due), "wait") | (Retrying(sequence=s, due=due), "retry") if s == sequence:
            return due
        case (Pending(sequence=s) as task, "timeout") if s == sequence:
            return task.timeout_at
        case (Pending(sequence=s) as task, "heartbeat") if s == sequence:
            if task.last_heartbeat is None or task.heartbeat_seconds is None:
                return task.heartbeat_at
            return Millis(task.last_heartbeat + task.heartbeat_seconds * 1000 * 4 // 3)
        case _:
            return None


def _fire(execution: Execution, command: c.FireTimer) -> Decision:
    _, key, _, kind = parse_timer_id(command.timer_id)
    due = timer_due(execution, command.timer_id)
    if due is None:
        return Refused("TimerNotPending", f"nothing waits for the timer {command.timer_id}")
    if execution.quarantined is not None:
        return Refused("ExecutionQuarantined", f"{execution.execution_id} is quarantined; its timers fire on release")
    if kind == "execution":
        return e.ExecutionTimedOut(**envelope_of(execution, (), ""))  # recorded: neither error nor cause
    scope = execution.scopes[key]
    match kind:
        case "wait":
            return _end_wait(execution, key, scope)
        case "retry":
            return _retry(execution, key, scope)
        case "timeout":
            return e.TaskTimedOut(**envelope_of(execution, key, scope.state), error=TIMEOUT)
        case "heartbeat":
            # A timer applies whatever the clock says. Only one that has been put off since is early, and set again.
            task = scope.phase
            put_off = isinstance(task, Pending) and (task.started or task.last_heartbeat is not None)
            if put_off and execution.time < due:
                return Nothing()
            return e.TaskTimedOut(**envelope_of(execution, key, scope.state), error=TIMEOUT, heartbeat=True)
        case _:
            assert_never(kind)


def _end_wait(execution: Execution, key: ScopeKey, scope: Scope) -> e.AnyEvent:
    turn = turn_of(execution, key, scope)
    try:
        return end_wait(turn)
    except StateFailure as failure:
        failed = failure_of(turn, failure)
        return _failure_told(turn, failed) if isinstance(failed, Failed) else failed


def _retry(execution: Execution, key: ScopeKey, scope: Scope) -> e.AnyEvent:
    """The state is evaluated anew."""
    turn = turn_of(execution, key, scope)
    given = evaluate(turn)
    return _failure_told(turn, given) if isinstance(given, Failed) else given


def _failure_told(turn: Turn, failed: Failed) -> e.AnyEvent:
    """Return the event of a state that rested and fails now. Where what follows is no event of its own, as when other
    scopes are cut first, the fact that it failed precedes it: nothing else would tell it after a cut."""
    event = handle(turn, failed)
    if isinstance(event, e.ExecutionFailed) or (event.scope == turn.key and not isinstance(event, e.StateAborted)):
        return event
    return e.TaskFailed(**turn.envelope(), error=failed.error, cause=failed.cause)


# ---- the execution


def _release(execution: Execution) -> Decision:
    if execution.quarantined is None:
        return Refused("ExecutionNotQuarantined", f"{execution.execution_id} is not in quarantine")
    return e.ExecutionReleased(**envelope_of(execution, (), ""))


def _stop(execution: Execution, command: c.StopExecution) -> Decision:
    if execution.closed:
        return Refused("ExecutionEnded", f"{execution.execution_id} is {execution.status}")
    c.check_lengths(command)
    return e.ExecutionAborted(**envelope_of(execution, (), ""), error=command.error, cause=command.cause)
