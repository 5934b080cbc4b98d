"""Events → AWS's GetExecutionHistory: types, ids, previousEventId, details. Needs no definition.

1. Each event is folded; before and after tell its inputs, its state's type and which AWS ids it takes.
2. `_rendered` makes its AWS events, `_Chains` says what each points at: every scope has a chain of ids, `last` is the
   one the next event points at. The rules are those of the event model, found in recorded executions; what no recording
   shows (cut siblings of concurrent iterations, ExecutionAborted, ExecutionTimedOut, ExecutionRedriven) is by analogy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias, assert_never

from processor.interpreter.context import ARN_PREFIX
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.retry import TIMEOUT
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Execution, Iterations, Pending, Scope, Succeeded
from processor.model.ids import TOP, ScopeKey
from processor.model.json import Json, render_json

HistoryEvent: TypeAlias = dict[str, Json]
"""id, previousEventId, timestamp (seconds since the epoch), type, and the details under AWS's name for them."""

REGION = "us-east-1"
_WHOLE: Json = {"truncated": False}
_Details: TypeAlias = dict[str, Json]
_Rendered: TypeAlias = tuple[str, str | None, _Details]
"""(type, the name its details go by, the details)"""


def render_history(events: Iterable[e.AnyEvent]) -> list[HistoryEvent]:
    """Return what GetExecutionHistory answers for these events, the first ones of an execution.

    A prefix of the events gives a prefix of the answer.
    """
    history: list[HistoryEvent] = []
    execution: Execution | None = None
    chains = _Chains()
    for event in events:
        before = execution
        if isinstance(event, e.ExecutionStarted):
            before = execution = begin(_unknown(event), event)
            first = 1
        else:
            assert before is not None, "a history begins with ExecutionStarted"
            first = before.aws_events + 1
            execution = evolve(before, event)
        silent = _is_silent(before, execution, event)
        rendered = [] if silent else list(_rendered(before, event, chains))
        for id, (kind, details_name, details) in enumerate(rendered, first):
            made: HistoryEvent = {
                "timestamp": event.time / 1000,
                "type": kind,
                "id": id,
                "previousEventId": chains.point(before, event, id),
            }
            if details_name is not None:
                made[f"{details_name}EventDetails"] = {k: v for k, v in details.items() if v is not None}
            history.append(made)
        if not rendered and not silent:
            chains.note(before, event)
    return history


def _unknown(event: e.ExecutionStarted) -> Workflow:
    """Evolve reads no definition."""
    hash = event.definition_hash
    return Workflow(definition=None, type=event.type, definition_hash=hash, first=event.first, states={})


def _is_silent(before: Execution, after: Execution, event: e.AnyEvent) -> bool:
    """Whether it happens under a distributed Map, where AWS's history of the parent shows nothing."""
    scope = before.scopes.get(event.scope) or after.scopes.get(event.scope)
    return scope is not None and scope.silent


# ---- what points at what


class _Chains:
    """Of each scope the id its next event points at; of containers also what their iterations' starts point at."""

    def __init__(self) -> None:
        self.last: dict[ScopeKey, int] = {TOP: 0}
        self.scheduled: dict[ScopeKey, e.TaskScheduled] = {}
        self._started: dict[ScopeKey, int] = {}  # …StateStarted of a container
        self._freed: dict[ScopeKey, list[int]] = {}  # what starts in freed slots point at
        self._ended: dict[ScopeKey, int] = {}  # what …StateSucceeded points at
        self._runs: dict[ScopeKey, int] = {}  # MapRunStarted of a distributed Map

    def point(self, before: Execution, event: e.AnyEvent, id: int) -> int:
        """Return the previousEventId of the event's AWS event `id`, and move on."""
        key = event.scope
        match event:
            case e.ExecutionStarted():
                return 0
            case e.MapIterationStarted():
                return self._iteration_started(key, id)
            case e.MapIterationSucceeded():
                container, previous = key[:-1], self.last[key]
                self._ended[container] = id
                self._freed[container].append(previous)
                return previous
            case e.MapSucceeded() if key in self._runs:
                # The exit points at the run's start: recorded since June 2024, before that at its end.
                previous, self.last[key] = self.last[key], self._runs.pop(key)
                return previous
            case e.ParallelSucceeded() | e.MapSucceeded():
                # The exit points at the same: the join itself is on nobody's chain.
                self.last[key] = self._ended.get(key, self._started[key])
                return self.last[key]
            case e.StateAborted() | e.MapIterationAborted():
                return self.last[_failing(before, event)]
            case e.MapIterationFailed():
                self.last[key[:-1]] = self.last[key]
                return self.last[key]
            case e.ExecutionFailed():
                previous, self.last[TOP] = self.last[_failing(before, event)], id
                return previous
            case e.ExecutionTimedOut():
                self.last[key] = id
                return 0  # second-hand: measured on AWS in August 2026 (floci pull request 2782)
            case _:
                return self._others(before, event, id)

    def note(self, before: Execution, event: e.AnyEvent) -> None:
        """An event that AWS does not have. A container's retry points at where its branch failed."""
        if isinstance(event, e.RetryScheduled):
            self.last[event.scope] = self.last[_failing(before, event)]

    def _others(self, before: Execution, event: e.AnyEvent, id: int) -> int:
        key = event.scope
        if isinstance(event, (e.ParallelFailed, e.MapFailed)):
            self.last[key] = self.last[_failing(before, event)]
        previous, self.last[key] = self.last[key], id
        match event:
            case e.ParallelStarted():
                self._open(key, id)
                for index in range(len(event.first)):
                    self.last[(*key, index)] = id
            case e.MapStarted():
                self._open(key, id)
            case e.MapRunStarted():
                self._runs[key] = id
            case e.StateExited() if event.next is None and key:
                self._branch_ended(before, key, id)
            case _:
                pass
        return previous

    def _open(self, key: ScopeKey, id: int) -> None:
        self._started[key] = id
        self._freed[key] = []
        self._ended.pop(key, None)
        self._runs.pop(key, None)

    def _branch_ended(self, before: Execution, key: ScopeKey, id: int) -> None:
        if not isinstance(before.scopes[key[:-1]].children, Iterations):
            self._ended[key[:-1]] = id

    def _iteration_started(self, key: ScopeKey, id: int) -> int:
        container = key[:-1]
        freed = self._freed[container]
        previous = freed.pop(0) if freed else self._started[container]
        self.last[key] = id
        return previous


def _failing(before: Execution, event: e.AnyEvent) -> ScopeKey:
    """The scope whose failure is being carried out: the one whose turn it is."""
    first = before.runnable.first
    return event.scope if first is None else first


# ---- the events


def _rendered(before: Execution, event: e.AnyEvent, chains: _Chains) -> Iterator[_Rendered]:
    match event:
        case e.StateEntered():
            value = before.scopes[event.scope].value
            yield f"{event.type}StateEntered", "stateEntered", {"name": event.state, **_payload("input", value)}
        case e.StateExited():
            yield _exited(before.scopes[event.scope], event)
        case e.StateAborted():
            yield f"{before.scopes[event.scope].type}StateAborted", None, {}
        case e.EvaluationFailed():
            details: _Details = {"error": event.error, "cause": event.cause, "location": event.location}
            yield "EvaluationFailed", "evaluationFailed", {**details, "state": event.state}
        case e.RetryScheduled() | e.WaitStarted() | e.TaskHeartbeatRecorded():
            pass
        case e.ExecutionQuarantined() | e.ExecutionReleased():
            pass
        case e.TaskScheduled():
            chains.scheduled[event.scope] = event
            yield from _scheduled(event)
        case e.TaskStarted():
            yield "ActivityStarted", "activityStarted", {"workerName": event.worker}
        case e.TaskSubmitted() | e.TaskSucceeded() | e.TaskFailed() | e.TaskTimedOut():
            if isinstance(before.scopes[event.scope].phase, Pending):  # else AWS was asked for nothing
                yield from _answered(chains.scheduled[event.scope], event)
        case e.ParallelStarted():
            yield "ParallelStateStarted", None, {}
        case e.ParallelSucceeded():
            yield "ParallelStateSucceeded", None, {}
        case e.ParallelFailed():
            yield "ParallelStateFailed", None, {}
        case e.MapStarted():
            yield "MapStateStarted", "mapStateStarted", {"length": event.length}
        case e.MapSucceeded():
            yield "MapStateSucceeded", None, {}
        case e.MapFailed():
            yield "MapStateFailed", None, {}
        case e.MapIterationStarted() | e.MapIterationSucceeded() | e.MapIterationFailed() | e.MapIterationAborted():
            kind = type(event).__name__
            yield kind, f"m{kind[1:]}", {"name": event.state, "index": event.scope[-1]}
        case e.MapRunStarted() | e.MapRunSucceeded() | e.MapRunFailed() | e.MapRunAborted() | e.MapRunRedriven():
            yield _map_run(event)
        case _:
            yield _of_execution(event)


def _exited(scope: Scope, event: e.StateExited) -> _Rendered:
    match event.output_of:
        case "VALUE":
            output = event.output
        case "INPUT":
            output = scope.value
        case "RESULT":
            assert isinstance(scope.phase, Succeeded)
            output = scope.phase.result
        case _:
            assert_never(event.output_of)
    details: _Details = {"name": event.state, **_payload("output", output)}
    if event.assigned is not None:
        details["assignedVariables"] = {name: render_json(value) for name, value in event.assigned.items()}
        details["assignedVariablesDetails"] = _WHOLE
    return f"{scope.type}StateExited", "stateExited", details


def _payload(name: str, value: Json) -> _Details:
    return {name: render_json(value), f"{name}Details": _WHOLE}


# ---- tasks


def _scheduled(event: e.TaskScheduled) -> Iterator[_Rendered]:
    """AWS writes Scheduled and Started side by side for all but activities, which a worker starts."""
    timeouts: _Details = {"timeoutInSeconds": event.timeout_seconds, "heartbeatInSeconds": event.heartbeat_seconds}
    credentials: _Details = {"taskCredentials": None if event.role is None else {"roleArn": event.role}}
    resource: _Details = {"resourceType": event.resource_type, "resource": event.resource}
    arguments = _payload("input", event.arguments)
    match event.kind:
        case "LAMBDA":
            timeout = {"timeoutInSeconds": event.timeout_seconds}
            details = {"resource": event.resource, **arguments, **timeout, **credentials}
            yield "LambdaFunctionScheduled", "lambdaFunctionScheduled", details
            yield "LambdaFunctionStarted", None, {}
        case "SERVICE":
            parameters = {"region": event.region or REGION, "parameters": arguments["input"]}
            yield "TaskScheduled", "taskScheduled", {**resource, **parameters, **timeouts, **credentials}
            yield "TaskStarted", "taskStarted", resource
        case "ACTIVITY":
            yield "ActivityScheduled", "activityScheduled", {"resource": event.resource, **arguments, **timeouts}
        case "ITEM_READER" | "RESULT_WRITER":
            pass
        case _:
            assert_never(event.kind)


def _answered(
    asked: e.TaskScheduled, event: e.TaskSubmitted | e.TaskSucceeded | e.TaskFailed | e.TaskTimedOut
) -> Iterator[_Rendered]:
    details: _Details
    match event:
        case e.TaskSubmitted() | e.TaskSucceeded():
            details = _payload("output", event.output)
        case e.TaskFailed() | e.TaskTimedOut():
            details = {"error": event.error, "cause": event.cause}
        case _:
            assert_never(event)
    what = type(event).__name__.removeprefix("Task")
    match asked.kind:
        case "LAMBDA":
            yield f"LambdaFunction{what}", f"lambdaFunction{what}", details
        case "ACTIVITY":
            yield f"Activity{what}", f"activity{what}", details
        case "SERVICE":
            resource: _Details = {"resourceType": asked.resource_type, "resource": asked.resource}
            yield f"Task{what}", f"task{what}", {**resource, **details}
        case "ITEM_READER" | "RESULT_WRITER":
            pass
        case _:
            assert_never(asked.kind)


# ---- map runs and the execution


def _map_run(
    event: e.MapRunStarted | e.MapRunSucceeded | e.MapRunFailed | e.MapRunAborted | e.MapRunRedriven,
) -> _Rendered:
    match event:
        case e.MapRunStarted():
            return "MapRunStarted", "mapRunStarted", {"mapRunArn": _map_run_arn(event.map_run)}
        case e.MapRunSucceeded():
            return "MapRunSucceeded", None, {}
        case e.MapRunFailed():
            return "MapRunFailed", "mapRunFailed", {"error": event.error, "cause": event.cause}
        case e.MapRunAborted():
            return "MapRunAborted", None, {}
        case e.MapRunRedriven():
            details: _Details = {"mapRunArn": _map_run_arn(event.map_run), "redriveCount": event.redrive_count}
            return "MapRunRedriven", "mapRunRedriven", details
        case _:
            assert_never(event)


def _map_run_arn(id: str) -> str:
    return f"{ARN_PREFIX}:mapRun:{id}"


def _of_execution(
    event: e.ExecutionStarted
    | e.ExecutionSucceeded
    | e.ExecutionFailed
    | e.ExecutionTimedOut
    | e.ExecutionAborted
    | e.ExecutionRedriven,
) -> _Rendered:
    match event:
        case e.ExecutionStarted():
            machine = f"{ARN_PREFIX}:stateMachine:{event.state_machine}"
            details: _Details = {
                **_payload("input", event.input),
                "roleArn": event.role or "",
                "stateMachineAliasArn": None if event.alias is None else f"{machine}:{event.alias}",
                "stateMachineVersionArn": None if event.version is None else f"{machine}:{event.version}",
            }
            return "ExecutionStarted", "executionStarted", details
        case e.ExecutionSucceeded():
            return "ExecutionSucceeded", "executionSucceeded", _payload("output", event.output)
        case e.ExecutionTimedOut():
            # The outcome of an execution that timed out has neither error nor cause (recorded); its event has an
            # error (second-hand, as above).
            details = {"error": event.error or TIMEOUT, "cause": event.cause}
            return "ExecutionTimedOut", "executionTimedOut", details
        case e.ExecutionFailed() | e.ExecutionAborted():
            kind = type(event).__name__
            return kind, f"e{kind[1:]}", {"error": event.error, "cause": event.cause}
        case e.ExecutionRedriven():
            return "ExecutionRedriven", "executionRedriven", {"redriveCount": event.redrive_count}
        case _:
            assert_never(event)
