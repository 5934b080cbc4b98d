"""Parallel and Map: start their branches and iterations, and end when those have."""

from __future__ import annotations

from processor.interpreter.evolve_containers import joined
from processor.interpreter.turn import MAX_PAYLOAD_BYTES, DataLimitExceeded, Turn
from processor.model import events as e
from processor.model.definition import MapState, ParallelState
from processor.model.execution import Branches, Iterations
from processor.model.json import Json

MAX_INLINE_CONCURRENCY = 40
"""What AWS documents for inline Map states, whatever MaxConcurrency says."""


def run_parallel(turn: Turn, state: ParallelState) -> e.AnyEvent:
    has_input = state.prepare is not None
    return e.ParallelStarted(
        **turn.envelope(),
        attempt=turn.scope.retry_count,
        has_input=has_input,
        input=turn.prepared() if has_input else None,
        first=state.branches,
    )


def run_map(turn: Turn, state: MapState) -> e.AnyEvent:
    prepared = turn.prepared()
    items = state.check(prepared) if state.items is None else turn.bounded(state.items(prepared, turn))
    assert isinstance(items, list)
    own = state.prepare is not None or state.items is not None
    return e.MapStarted(
        **turn.envelope(),
        attempt=turn.scope.retry_count,
        length=len(items),
        mode=state.mode,
        items=items if own else None,
        first=state.first,
        max_concurrency=_max_concurrency(turn, state, prepared),
    )


def _max_concurrency(turn: Turn, state: MapState, prepared: Json) -> int:
    written = state.max_concurrency
    if callable(written):
        evaluated = written(prepared, turn)
        assert isinstance(evaluated, int)
        written = evaluated
    return min(written, MAX_INLINE_CONCURRENCY) or MAX_INLINE_CONCURRENCY


def fill(turn: Turn) -> e.AnyEvent:
    """Return the next iteration's start, or the container's end. Only called where there is one of the two."""
    children = turn.scope.children
    assert children is not None
    if isinstance(children, Iterations) and children.next_index < len(children.items):
        return _start_iteration(turn, children)
    _check_size(turn, children)
    if isinstance(children, Branches):
        return e.ParallelSucceeded(**turn.envelope())
    return e.MapSucceeded(**turn.envelope())


def _start_iteration(turn: Turn, iterations: Iterations) -> e.AnyEvent:
    state, index = turn.state, iterations.next_index
    assert isinstance(state, MapState)
    selected: Json = None
    if state.selector is not None:
        selecting = Turn(turn.execution, turn.key, turn.scope, state, item=(index, iterations.items[index]))
        selected = selecting.bounded(state.selector(selecting.prepared(), selecting))
    envelope = turn.envelope()
    envelope["scope"] = (*turn.key, index)
    return e.MapIterationStarted(**envelope, has_input=state.selector is not None, input=selected)


def _check_size(turn: Turn, children: Branches | Iterations) -> None:
    """The array of results, with commas and brackets. Whether it is too large is known before it is joined."""
    if children.result_bytes + children.started + 1 > MAX_PAYLOAD_BYTES:
        raise DataLimitExceeded(turn.scope.state)
    turn.bounded(joined(children))
