"""How many failures a Map's fields say that it tolerates."""

from __future__ import annotations

from processor.interpreter.turn import Turn
from processor.model.definition import MapState

MAX_TOLERATED = 2**31 - 1
"""What an event holds; no Map has so many items."""


def tolerance(turn: Turn, state: MapState) -> tuple[int | None, float | None]:
    """Return the count and the percentage, None for what is not written. Raises StateFailure."""
    count, percentage = state.tolerated_count, state.tolerated_percentage
    if callable(count):
        evaluated = count(turn.prepared(), turn)
        assert isinstance(evaluated, int)
        count = evaluated
    if callable(percentage):
        evaluated = percentage(turn.prepared(), turn)
        assert isinstance(evaluated, int | float)
        percentage = evaluated
    return None if count is None else min(count, MAX_TOLERATED), percentage


def check_tolerance(turn: Turn, state: MapState) -> None:
    """Raise StateFailure where what a field gives is no such number."""
    tolerance(turn, state)
