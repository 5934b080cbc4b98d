"""What expressions may read besides their input, for tests that evaluate one by itself."""

from __future__ import annotations

from processor.model.json import Json

CONTEXT: Json = {
    "Execution": {"Id": "arn:x", "Input": {"n": 1}},
    "Task": {"Token": "t"},
    "Map": {"Item": {"Index": 0, "Value": "v"}},
    "env": "staging",
}


class Surroundings:
    """An Environment whose context object is given."""

    def __init__(self, context: Json = CONTEXT) -> None:
        self.context = context


NOWHERE = Surroundings()
