"""What a scope's variables are by the documentation, told apart from how the interpreter folds them.

Source: Developer Guide, "Passing data between states with variables": inner scopes read outer variables, outer ones do
not see inner ones, scopes side by side do not see each other's, a distributed Map's children see none from outside.

Generated states tell what they read: payloads {by: the state's name, seen: {name: value}, there: {name: whether}}.
"""

from __future__ import annotations

from collections.abc import Sequence

from processor import (
    AnyEvent,
    MapIterationStarted,
    MapStarted,
    ParallelStarted,
    StateExited,
    TaskScheduled,
    Workflow,
)
from processor.interpreter.evolve import begin, evolve
from processor.model.events import ExecutionStarted
from processor.model.execution import Execution
from processor.model.ids import TOP, ScopeKey
from processor.model.json import Json, json_bytes

Values = dict[str, Json]


class VariablesBroken(AssertionError):
    """A scope has, or a state read, other variables than it should."""


def check_variables(workflow: Workflow, events: Sequence[AnyEvent]) -> None:
    """Check the variables of each scope after each event, and whatever states tell of what they read."""
    first = events[0]
    assert isinstance(first, ExecutionStarted)
    execution = begin(workflow, first)
    seen: dict[ScopeKey, Values] = {TOP: {}}
    own: dict[ScopeKey, Values] = {TOP: {}}
    cut_off: set[ScopeKey] = set()  # containers whose children see nothing from outside
    for event in events[1:]:
        _check_told(event, seen)
        opened: list[ScopeKey] = []
        match event:
            case StateExited():
                seen[event.scope] |= event.assigned or {}
                own[event.scope] |= event.assigned or {}
            case ParallelStarted():
                cut_off.discard(event.scope)
                opened = [(*event.scope, index) for index in range(len(event.first))]
            case MapStarted():
                (cut_off.add if event.mode == "DISTRIBUTED" else cut_off.discard)(event.scope)
            case MapIterationStarted():
                opened = [event.scope]
            case _:
                pass
        for key in opened:
            seen[key] = {} if key[:-1] in cut_off else dict(seen[key[:-1]])
            own[key] = {}
        execution = evolve(execution, event)
        _check_scopes(execution, event, seen, own)


def _check_scopes(
    execution: Execution, event: AnyEvent, seen: dict[ScopeKey, Values], own: dict[ScopeKey, Values]
) -> None:
    for key, scope in execution.scopes.items():
        if dict(scope.variables) != seen[key]:
            raise VariablesBroken(f"after {event}, scope {key}: {dict(scope.variables)}, should be {seen[key]}")
    size = sum(len(json_bytes(value)) for key in execution.scopes for value in own[key].values())
    if execution.variable_bytes != size:
        raise VariablesBroken(f"after {event}: {execution.variable_bytes} bytes, should be {size}")


def _check_told(event: AnyEvent, seen: dict[ScopeKey, Values]) -> None:
    match event:
        case TaskScheduled(arguments=dict(payload)) | ParallelStarted(input=dict(payload)):
            pass
        case _:
            return
    if payload.get("by") != event.state:  # handed on from another state
        return
    values = seen[event.scope]
    told, there = payload["seen"], payload.get("there", {})
    assert isinstance(told, dict) and isinstance(there, dict)
    if told != {name: values.get(name) for name in told} or there != {name: name in values for name in there}:
        raise VariablesBroken(f"{event.state} in {event.scope} read {told}, {there}; there are {values}")
