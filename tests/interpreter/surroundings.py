"""What expressions may read besides their input, for tests that evaluate one by itself."""

from __future__ import annotations

from collections.abc import Mapping

from processor.model.definition import Budget
from processor.model.ids import EPOCH
from processor.model.json import Json

CONTEXT: Json = {
    "Execution": {"Id": "arn:x", "Input": {"n": 1}},
    "Task": {"Token": "t"},
    "Map": {"Item": {"Index": 0, "Value": "v"}},
    "env": "staging",
}


class Surroundings:
    """An Environment whose context object and variables are given; a draw is its number."""

    now = EPOCH

    def __init__(self, context: Json = CONTEXT, *, variables: Mapping[str, Json] | None = None) -> None:
        self.context = context
        self.variables = variables or {}
        self.visited = 0
        self.budget = Budget()

    def draw(self, number: int) -> bytes:
        return number.to_bytes(16, "big")


class _Nowhere(Surroundings):
    """Each evaluation by itself: it forgets what was looked at and spent."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, 0 if name == "visited" else value)

    def __getattribute__(self, name: str) -> object:
        return Budget() if name == "budget" else super().__getattribute__(name)


NOWHERE = _Nowhere()
