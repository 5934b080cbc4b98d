"""How Parallel and Map fold: their children's scopes, what these came to, and what a failure cuts.

What a distributed Map has besides, its run, is in `evolve_map_run.py`.
"""

from __future__ import annotations

from typing import TypeVar, assert_never

from immutables import Map
from msgspec.structs import replace

from processor.interpreter.folding import on, put, put_also
from processor.interpreter.turn import MAX_PAYLOAD_BYTES
from processor.model import events as e
from processor.model.execution import (
    FILLING,
    NO_VARIABLES,
    RUNNING,
    Branches,
    Child,
    Cut,
    Ended,
    Execution,
    Failed,
    Filling,
    Iterations,
    Next,
    Phase,
    Running,
    Scope,
    Succeeded,
)
from processor.model.ids import ScopeKey
from processor.model.json import Json, json_bytes

C = TypeVar("C", bound=Branches | Iterations)


def branch_ended(execution: Execution, event: e.StateExited, branch: Scope) -> Execution:
    """A branch has no event for its end: its value goes to the Parallel, which goes on after the last one."""
    container, index = event.scope[:-1], event.scope[-1]
    execution = on(execution, event, aws=0 if branch.silent else 1)
    execution = replace(
        execution,
        scopes=execution.scopes.delete(event.scope),
        runnable=execution.runnable.removed(event.scope),
        variable_bytes=execution.variable_bytes - branch.variable_bytes,
    )
    parent = execution.scopes[container]
    assert isinstance(parent.children, Branches)
    children = kept(
        replace(
            parent.children,
            ended=parent.children.ended + 1,
            results=parent.children.results.set(index, branch.value),
            result_bytes=parent.children.result_bytes + len(json_bytes(branch.value)),
        )
    )
    phase: Phase = parent.phase
    if isinstance(phase, Running) and children.all_ended:
        phase = FILLING
    return put_also(execution, container, replace(parent, children=children, phase=phase))


def parallel_started(execution: Execution, event: e.ParallelStarted) -> Execution:
    key = event.scope
    execution = without_children(execution, key)
    scope = execution.scopes[key]
    value = event.input if event.has_input else scope.value
    parent = replace(scope, phase=RUNNING, children=Branches(count=len(event.first)), cut_from=None, aborted=False)
    execution = put(execution, event, parent, aws=1)
    with execution.scopes.mutate() as scopes:
        for index, first in enumerate(event.first):
            child = Scope(value=value, phase=Next(first), silent=scope.silent, variables=scope.variables)
            scopes.set((*key, index), child)
        opened = scopes.finish()
    runnable = execution.runnable
    for index in reversed(range(len(event.first))):
        runnable = runnable.added((*key, index))
    return replace(execution, scopes=opened, runnable=runnable)


def map_started(execution: Execution, event: e.MapStarted) -> Execution:
    execution = without_children(execution, event.scope)
    scope = execution.scopes[event.scope]
    keys, items = members(event.items if event.items is not None else scope.value)
    children = Iterations(
        items=items,
        keys=keys,
        mode=event.mode,
        first=event.first,
        max_concurrency=event.max_concurrency,
        tolerated_count=event.tolerated_count,
        tolerated_percentage=event.tolerated_percentage,
    )
    # Without a slot (a negative MaxConcurrencyPath) it has nothing to do, now or ever.
    phase: Phase = FILLING if children.has_work else RUNNING
    started = replace(scope, phase=phase, children=children, cut_from=None, aborted=False)
    return put(execution, event, started, aws=1)


def members(items: Json) -> tuple[list[str] | None, list[Json]]:
    """Return the keys, where `items` is an object, and the values."""
    if isinstance(items, dict):
        return list(items), list(items.values())
    assert isinstance(items, list)
    return None, items


def iteration_started(execution: Execution, event: e.MapIterationStarted) -> Execution:
    container, index = event.scope[:-1], event.scope[-1]
    parent = execution.scopes[container]
    children = iterations_of(parent)
    distributed = children.mode == "DISTRIBUTED"
    value = event.input if event.has_input else children.items[children.next_item]
    scope = Scope(
        value=value,
        phase=Next(children.first),
        silent=parent.silent or distributed,
        # "Distributed Map states can't currently reference variables in outer scopes" (Developer Guide).
        variables=NO_VARIABLES if distributed else parent.variables,
        child=Child(input=value, started=event.time, items=event.items) if distributed else None,
    )
    children = replace(
        children,
        next_index=index + 1,
        next_item=children.next_item + event.items,
        running=children.running + 1,
    )
    return put_also(put(execution, event, scope, aws=1), container, _with_iterations(parent, children))


def iteration_succeeded(execution: Execution, event: e.MapIterationSucceeded) -> Execution:
    container, index = event.scope[:-1], event.scope[-1]
    scope = execution.scopes[event.scope]
    parent = execution.scopes[container]
    children = iterations_of(parent)
    value = event.output if event.has_output else scope.value
    execution = on(execution, event, aws=0 if scope.silent else 1)
    execution = replace(
        execution,
        scopes=execution.scopes.delete(event.scope),
        runnable=execution.runnable.removed(event.scope),
        variable_bytes=execution.variable_bytes - scope.variable_bytes,
    )
    children = replace(
        children,
        running=children.running - 1,
        ended=children.ended + 1,
        results=children.results.set(index, value),
        result_bytes=children.result_bytes + len(json_bytes(value)),
    )
    return put_also(execution, container, _with_iterations(parent, kept(children)))


def iteration_broke_off(execution: Execution, event: e.MapIterationFailed | e.MapIterationAborted) -> Execution:
    container = event.scope[:-1]
    scope = execution.scopes[event.scope]
    execution = put(execution, event, replace(scope, phase=cut(scope.phase)), aws=1)
    parent = execution.scopes[container]
    children = iterations_of(parent)
    children = replace(children, running=children.running - 1)
    match event:
        case e.MapIterationFailed():
            children = replace(children, failed=children.failed + 1)
            after = replace(parent, children=children, phase=Failed(event.error, event.cause))
            return put_also(stilled(execution, container), container, after)
        case e.MapIterationAborted():
            return cut_up_to(put_also(execution, container, replace(parent, children=children)), event.scope)
        case _:
            assert_never(event)


def container_succeeded(execution: Execution, event: e.ParallelSucceeded | e.MapSucceeded) -> Execution:
    scope = execution.scopes[event.scope]
    children = scope.children
    assert children is not None
    result = event.output if isinstance(event, e.MapSucceeded) and event.has_output else joined(children)
    return put(execution, event, replace(scope, phase=Succeeded(result)), aws=1)


def kept(children: C) -> C:
    """Return them without their results if these are sure to exceed what a state may hold, whatever is still to come.
    Their count stays, and which of them failed."""
    if children.least_bytes <= MAX_PAYLOAD_BYTES:
        return children
    if isinstance(children, Iterations) and not children.dropped:
        children = replace(children, failures=Map(dict.fromkeys(children.failures)))
    return replace(children, results=Map(), dropped=True)


def joined(children: Branches | Iterations) -> Json:
    """Return the array of results, by index."""
    results = children.results
    if isinstance(children, Iterations) and children.failures:
        failures = children.failures
        return [results[index] if index in results else failures[index] for index in range(children.started)]
    return [results[index] for index in range(children.started)]


def container_failed(execution: Execution, event: e.ParallelFailed | e.MapFailed) -> Execution:
    scope = execution.scopes[event.scope]
    failed = replace(scope, phase=Failed(event.error, event.cause, reported=True), cut_from=None)
    return put(stilled(execution, event.scope), event, failed, aws=1)


def is_iteration(execution: Execution, key: ScopeKey) -> bool:
    return isinstance(execution.scopes[key[:-1]].children, Iterations)


def iterations_of(scope: Scope) -> Iterations:
    assert isinstance(scope.children, Iterations)
    return scope.children


def _with_iterations(parent: Scope, children: Iterations) -> Scope:
    """The phase follows from the counters: a Map that fails starts and ends no iterations."""
    assert isinstance(parent.phase, (Filling, Running))
    return replace(parent, children=children, phase=FILLING if children.has_work else RUNNING)


def cut_up_to(execution: Execution, key: ScopeKey) -> Execution:
    """From here on nothing else below the container goes on, whatever commands come between two slices."""
    container = key[:-1]
    parent = execution.scopes[container]
    return put_also(execution, container, replace(parent, cut_from=key[-1]))


def stilled(execution: Execution, container: ScopeKey) -> Execution:
    """No scope below `container` goes on any more; they are kept for a redrive."""
    depth = len(container)
    running = [k for k in execution.runnable if len(k) > depth and k[:depth] == container]
    for key in running:
        scope = execution.scopes[key]
        execution = put_also(execution, key, replace(scope, phase=cut(scope.phase)))
    return execution


def below(execution: Execution, key: ScopeKey) -> list[ScopeKey]:
    """Return all scopes below `key`: the cost is that of what it has started, not of the execution."""
    found: list[ScopeKey] = []
    parents = [key]
    while parents:
        parent = parents.pop()
        children = execution.scopes[parent].children
        if children is not None:
            inner = [k for k in ((*parent, i) for i in range(children.started)) if k in execution.scopes]
            found += inner
            parents += inner
    return found


def cut(phase: Phase) -> Cut:
    match phase:
        case Cut():
            return phase
        case Next() | Ended():
            return Cut(phase)
        case _:
            return Cut()


def without_children(execution: Execution, key: ScopeKey) -> Execution:
    """Drop all scopes below `key`. After a success there are none left, and nothing is searched."""
    children = execution.scopes[key].children
    if children is None or (isinstance(children, Iterations) and children.ended == children.next_index):
        return execution
    doomed = below(execution, key)
    with execution.scopes.mutate() as scopes:
        for k in doomed:
            del scopes[k]
        left = scopes.finish()
    runnable, variable_bytes = execution.runnable, execution.variable_bytes
    for k in doomed:
        runnable = runnable.removed(k)
        variable_bytes -= execution.scopes[k].variable_bytes
    return replace(execution, scopes=left, runnable=runnable, variable_bytes=variable_bytes)
