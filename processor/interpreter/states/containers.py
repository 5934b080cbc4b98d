"""Parallel and Map: start their branches and iterations, and end when those have.

What a distributed Map does besides, before its first iteration and after its last, is in `distributed.py`.
"""

from __future__ import annotations

from processor.interpreter.context import MapItem
from processor.interpreter.evolve_containers import joined
from processor.interpreter.states.distributed import batch, map_result, run_event
from processor.interpreter.states.tolerance import check_tolerance, tolerance
from processor.interpreter.turn import MAX_PAYLOAD_BYTES, DataLimitExceeded, Turn
from processor.model import events as e
from processor.model.definition import MapState, ParallelState, StateFailure
from processor.model.execution import Branches, Iterations
from processor.model.json import Json

MAX_INLINE_CONCURRENCY = 40
"""What AWS documents for inline Map states, whatever MaxConcurrency says."""

MAX_DISTRIBUTED_CONCURRENCY = 1_000
"""AWS runs 10,000 children at once where MaxConcurrency sets no limit. Here they run inside the execution, and each
that runs is part of its state: so a tenth of them."""


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
    """Return the Map's start. Recorded: MaxConcurrency is evaluated before it, what is tolerated after it."""
    prepared = turn.prepared()
    max_concurrency = _max_concurrency(turn, state, prepared)
    items, own = _items(turn, state, prepared)
    count, percentage = _tolerance_if_valid(turn, state)
    return e.MapStarted(
        **turn.envelope(),
        attempt=turn.scope.retry_count,
        length=len(items),
        mode=state.mode,
        items=items if own else None,
        first=state.first,
        max_concurrency=max_concurrency,
        tolerated_count=count,
        tolerated_percentage=percentage,
    )


def _items(turn: Turn, state: MapState, prepared: Json) -> tuple[list[Json] | dict[str, Json], bool]:
    """Return the items, and whether they are others than the state's input. Recorded: beside an ItemReader, whose
    items are yet to come, ItemsPath is not evaluated at all."""
    if state.reader is not None:
        return [], True
    items = turn.bounded(state.items(prepared, turn)) if state.items is not None else state.check(prepared)
    assert isinstance(items, (list, dict))
    return items, state.prepare is not None or state.items is not None


def _max_concurrency(turn: Turn, state: MapState, prepared: Json) -> int:
    written = state.max_concurrency
    if callable(written):
        evaluated = written(prepared, turn)
        assert isinstance(evaluated, int)
        written = evaluated
    most = MAX_INLINE_CONCURRENCY if state.mode == "INLINE" else MAX_DISTRIBUTED_CONCURRENCY
    return max(min(written, most) or most, -1)  # of a negative number an event holds that it is one


def _tolerance_if_valid(turn: Turn, state: MapState) -> tuple[int | None, float | None]:
    """What is not valid fails the state after its start: `fill` finds it again."""
    try:
        return tolerance(turn, state)
    except StateFailure:
        return None, None


def fill(turn: Turn) -> e.AnyEvent:
    """Return the next iteration's start, the container's end, or what a distributed Map does around them. Only called
    where there is one of these."""
    children = turn.scope.children
    assert children is not None
    if isinstance(children, Branches):
        _check_size(turn, children)
        return e.ParallelSucceeded(**turn.envelope())
    state = turn.state
    assert isinstance(state, MapState)
    if children.mode == "DISTRIBUTED":
        event = run_event(turn, state, children)
        if event is not None:
            return event
    elif children.next_index == 0:
        check_tolerance(turn, state)
    if children.next_item < len(children.items):
        return _start_iteration(turn, state, children)
    if state.writer is not None:
        return map_result(turn, state.writer, children)
    _check_size(turn, children)
    return e.MapSucceeded(**turn.envelope())


def _start_iteration(turn: Turn, state: MapState, iterations: Iterations) -> e.AnyEvent:
    envelope = turn.envelope()
    envelope["scope"] = (*turn.key, iterations.next_index)
    if state.batcher is not None:
        items, value = batch(
            turn, state.batcher, lambda index: _selected(turn, state, iterations, index)[1], iterations
        )
        return e.MapIterationStarted(**envelope, has_input=True, input=value, items=items)
    made, value = _selected(turn, state, iterations, iterations.next_item)
    return e.MapIterationStarted(**envelope, has_input=made, input=value if made else None)


def _selected(turn: Turn, state: MapState, iterations: Iterations, index: int) -> tuple[bool, Json]:
    """Return whether the item's value is a new one, and the value: the ItemSelector's, or the member of an object with
    its key, or the item."""
    value = iterations.items[index]
    key = None if iterations.keys is None else iterations.keys[index]
    if state.selector is not None:
        return True, turn.select(MapItem(index, value, key, iterations.source), state.selector)
    return (False, value) if key is None else (True, {"Key": key, "Value": value})


def _check_size(turn: Turn, children: Branches | Iterations) -> None:
    """Whether the array of results is too large is known before it is joined, and without those that were dropped."""
    if children.joined_bytes > MAX_PAYLOAD_BYTES:
        raise DataLimitExceeded(turn.scope.state)
    turn.bounded(joined(children))
