"""The values between the fields of a state on trial: what AWS's TestState calls inspectionData.

Which of them AWS tells depends on the type of the state and its query language, as recorded; INFO tells none, DEBUG and
TRACE the same, for only HTTP requests, which nobody makes here, tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from processor.interpreter.dataflow import Stages
from processor.interpreter.turn import Turn
from processor.model.definition import (
    Environment,
    Evaluate,
    MapState,
    ParallelState,
    PassState,
    State,
    StateFailure,
    TaskState,
)
from processor.model.json import Json

Value: TypeAlias = "Json | UnsetType"
"""UNSET: not told. A null is a value."""


class ErrorDetails(Struct, frozen=True, kw_only=True):
    """Which Catch took the error, or which Retry will; a retrier that has no attempts left has no interval."""

    catch_index: int | None = None
    retry_index: int | None = None
    retry_backoff_interval_seconds: int | None = None


class InspectionData(Struct, frozen=True, kw_only=True):
    """API reference, InspectionData. What the state did not come to is UNSET, or None."""

    input: Value = UNSET
    after_input_path: Value = UNSET
    after_parameters: Value = UNSET
    after_arguments: Value = UNSET
    after_items_path: Value = UNSET
    after_item_selector: Value = UNSET
    after_item_batcher: Value = UNSET
    after_items_pointer: Value = UNSET
    result: Value = UNSET
    after_result_selector: Value = UNSET
    after_result_path: Value = UNSET
    variables: Value = UNSET
    max_concurrency: int | None = None
    tolerated_failure_count: int | None = None
    tolerated_failure_percentage: float | None = None
    error_details: ErrorDetails | None = None


Anew: TypeAlias = Callable[[], Turn]
"""Gives a turn that has looked at nothing yet: looking on must not use up what the state itself may look at."""


def before_work(data: InspectionData, state: State, stages: Stages | None, anew: Anew) -> InspectionData:
    """Return `data` with what the state's fields make of its input, as far as that goes without a failure.

    `stages` None: the state is JSONata's, where only a Task's Arguments are told. A Pass with a Result does not look at
    its input; a Parallel tells nothing.
    """
    turn = anew()
    if stages is None:
        told = _attempt(turn.prepared) if isinstance(state, TaskState) else UNSET
        return replace(data, after_arguments=told)
    if isinstance(state, ParallelState) or (isinstance(state, PassState) and state.has_result):
        return data
    selected = _next(turn.scope.value, stages.input_path, turn)
    if not isinstance(state, TaskState | PassState):
        return replace(data, after_input_path=selected)
    return replace(data, after_input_path=selected, after_parameters=_next(selected, stages.template, turn))


def after_work(data: InspectionData, state: State, stages: Stages | None, result: Json, anew: Anew) -> InspectionData:
    """Return `data` with what the state's fields make of its result."""
    turn = anew()
    if isinstance(state, TaskState) or (isinstance(state, PassState) and state.has_result and stages is not None):
        data = replace(data, result=result)
    if stages is None or not isinstance(state, PassState | TaskState | MapState | ParallelState):
        return data
    selected = _next(result, stages.result_selector, turn)
    placed: Value = UNSET
    if not isinstance(selected, UnsetType):
        chosen = selected
        placed = _attempt(lambda: stages.result_path(turn.scope.value, chosen, turn)[1])
    return replace(data, after_result_selector=selected, after_result_path=placed)


def _next(value: Value, evaluate: Evaluate | None, environment: Environment) -> Value:
    if isinstance(value, UnsetType) or evaluate is None:
        return value
    return _attempt(lambda: evaluate(value, environment))


def _attempt(evaluate: Callable[[], Json]) -> Value:
    """What fails is not told; the state's own evaluation fails alike, and says why."""
    try:
        return evaluate()
    except StateFailure:
        return UNSET
