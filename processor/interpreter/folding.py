"""What every event does to an execution: counters, its scope, and the order of what is runnable."""

from __future__ import annotations

from bisect import insort

from msgspec.structs import replace

from processor.model import events as e
from processor.model.execution import Execution, Phase, Scope
from processor.model.ids import ScopeKey


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


def put_also(execution: Execution, key: ScopeKey, scope: Scope) -> Execution:
    """As _put, for a further scope of the same event."""
    return replace(
        execution,
        scopes=execution.scopes.set(key, scope),
        runnable=_noted(execution.runnable, key, scope.phase),
    )
