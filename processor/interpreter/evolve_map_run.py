"""How a distributed Map's run folds: what a reader brings, children that fail, what a writer says, its end."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from processor.interpreter.children import EXCEEDED, failure_record
from processor.interpreter.evolve_containers import below, cut, iterations_of, kept, members
from processor.interpreter.folding import put, put_also
from processor.interpreter.item_reader import source_of
from processor.model import events as e
from processor.model.execution import (
    FILLING,
    RUNNING,
    Execution,
    Failed,
    Filling,
    Iterations,
    MapRun,
    Pending,
    Phase,
    Running,
    Scope,
)
from processor.model.json import Json, json_bytes


def is_of_run(execution: Execution, event: e.TaskSubmitted | e.TaskSucceeded) -> bool:
    """Whether it answers an ItemReader's or a ResultWriter's task."""
    phase = execution.scopes[event.scope].phase
    return isinstance(phase, Pending) and phase.kind in ("ITEM_READER", "RESULT_WRITER")


def run_answered(execution: Execution, event: e.TaskSubmitted | e.TaskSucceeded) -> Execution:
    scope = execution.scopes[event.scope]
    task = scope.phase
    assert isinstance(task, Pending)
    run = run_of(scope)
    match event:
        case e.TaskSubmitted():
            if task.kind == "ITEM_READER":
                run = replace(run, pages=(*run.pages, event.output))
            return put(execution, event, _with_run(replace(scope, phase=replace(task, submitted=True)), run), aws=0)
        case e.TaskSucceeded():
            if task.kind == "ITEM_READER":
                after = _read(scope, (*run.pages, event.output))
            else:
                after = replace(_with_run(scope, replace(run, written=True, output=event.output)), phase=FILLING)
            return put(execution, event, after, aws=0)
        case _:
            assert_never(event)


def _read(scope: Scope, pages: tuple[Json, ...]) -> Scope:
    """All pages are there: objects' members have keys, where all pages are objects."""
    items: list[Json] = []
    keys: list[str] = []
    for page in pages:
        names, values = members(page)
        items += values
        keys += names or ()
    children = replace(
        iterations_of(scope),
        items=items,
        keys=keys if keys and len(keys) == len(items) else None,
        run=replace(run_of(scope), pages=(), read=True),
    )
    return replace(scope, children=children, phase=_phase(children))


def reading(execution: Execution, event: e.TaskScheduled, pending: Pending) -> Execution:
    """An ItemReader's task: where it reads is what its items say their source is."""
    scope = execution.scopes[event.scope]
    children = replace(iterations_of(scope), source=source_of(event.resource, event.arguments))
    return put(execution, event, replace(scope, children=children, phase=pending), aws=0)


def run_started(execution: Execution, event: e.MapRunStarted) -> Execution:
    return put(execution, event, _with_run(execution.scopes[event.scope], MapRun(id=event.map_run)), aws=1)


def run_ended(execution: Execution, event: e.MapRunSucceeded | e.MapRunFailed | e.MapRunAborted) -> Execution:
    scope = execution.scopes[event.scope]
    scope = _with_run(scope, replace(run_of(scope), ended=True))
    match event:
        case e.MapRunSucceeded():
            pass
        case e.MapRunFailed():
            scope = replace(scope, phase=Failed(event.error, event.cause), cut_from=None)
        case e.MapRunAborted():
            scope = replace(scope, phase=cut(scope.phase))
        case _:
            assert_never(event)
    return put(execution, event, scope, aws=1)


def run_redriven(execution: Execution, event: e.MapRunRedriven) -> Execution:
    scope = execution.scopes[event.scope]
    return put(execution, event, _with_run(scope, replace(run_of(scope), ended=False)), aws=1)


def child_failed(execution: Execution, event: e.MapIterationFailed) -> Execution:
    """A child's failure is its own, and one more of those that the Map may tolerate."""
    container, index = event.scope[:-1], event.scope[-1]
    scope = execution.scopes[event.scope]
    assert scope.child is not None
    for key in below(execution, event.scope):
        inner = execution.scopes[key]
        if inner.phase.runnable:
            execution = put_also(execution, key, replace(inner, phase=cut(inner.phase)))
    execution = put(execution, event, replace(scope, phase=cut(scope.phase)), aws=1)
    parent = execution.scopes[container]
    children = iterations_of(parent)
    record = failure_record(execution, event)
    children = replace(
        children,
        running=children.running - 1,
        failures=children.failures.set(index, None if children.dropped else record),
        failure_bytes=children.failure_bytes + len(json_bytes(record)),
        failed=children.failed + scope.child.items,
    )
    return put_also(execution, container, _after_failure(parent, kept(children)))


def _after_failure(parent: Scope, children: Iterations) -> Scope:
    """Where too many have failed, the rest is as good as cut, whatever commands come between two slices."""
    assert isinstance(parent.phase, (Filling, Running))
    if children.exceeds_tolerance:
        return replace(parent, children=children, phase=EXCEEDED, cut_from=0)
    return replace(parent, children=children, phase=_phase(children))


def _phase(children: Iterations) -> Phase:
    return FILLING if children.has_work else RUNNING


def run_of(scope: Scope) -> MapRun:
    run = iterations_of(scope).run
    assert run is not None
    return run


def _with_run(scope: Scope, run: MapRun) -> Scope:
    return replace(scope, children=replace(iterations_of(scope), run=run))
