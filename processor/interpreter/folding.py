"""What every event does to an execution: counters, its scope, and the order of what is runnable."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from processor.model import events as e
from processor.model.execution import Execution, Phase, Scope
from processor.model.ids import ScopeKey
from processor.model.json import Json, json_bytes
from processor.model.runnable import Runnable


def on(execution: Execution, event: e.Event, *, aws: int) -> Execution:
    """The counters after an event that changes no scope."""
    return replace(
        execution,
        sequence=event.sequence + 1,
        aws_events=execution.aws_events + aws,
        time=event.time,
        caused_by=event.caused_by,
    )


def put(execution: Execution, event: e.Event, scope: Scope, *, aws: int) -> Execution:
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


def turned(execution: Execution, event: e.Event, phase: Phase, *, aws: int) -> Execution:
    return put(execution, event, replace(execution.scopes[event.scope], phase=phase), aws=aws)


def assigned(execution: Execution, scope: Scope, values: Mapping[str, Json]) -> tuple[Execution, Scope]:
    """Return both with the variables that the scope has assigned, and their sizes counted."""
    added = growth(scope, values)
    after = replace(scope, variables=scope.variables.update(values), variable_bytes=scope.variable_bytes + added)
    return replace(execution, variable_bytes=execution.variable_bytes + added), after


def growth(scope: Scope, values: Mapping[str, Json]) -> int:
    """Return by how many bytes of JSON the scope's variables grow with these: those that they replace count no more."""
    added = 0
    for name, value in values.items():
        added += len(json_bytes(value))
        if name in scope.variables:
            added -= len(json_bytes(scope.variables[name]))
    return added


def _noted(runnable: Runnable, key: ScopeKey, phase: Phase) -> Runnable:
    return runnable.added(key) if phase.runnable else runnable.removed(key)


def put_also(execution: Execution, key: ScopeKey, scope: Scope) -> Execution:
    """As put, for a further scope of the same event."""
    return replace(
        execution,
        scopes=execution.scopes.set(key, scope),
        runnable=_noted(execution.runnable, key, scope.phase),
    )
