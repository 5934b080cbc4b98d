"""Constants of JSONata states where expressions may stand too: their types and ranges, in AWS's words.

Measured by cdk-preflight with ValidateStateMachineDefinition: pf-sfn-asl-numeric-ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import ConfigDict, Field

from processor.errors import Diagnostic
from processor.interpreter.jsonata_template import NO_EXPRESSION, is_expression
from processor.interpreter.validation.query_language import FIELDS
from processor.interpreter.validation.shapes import check_shape, schema_fault
from processor.interpreter.validation.walk import Object, objects_in, states_in
from processor.interpreter.written import PositiveSeconds, Seconds, Written


class _Constants(Written):
    model_config = ConfigDict(extra="ignore")

    timeout_seconds: PositiveSeconds = 1
    heartbeat_seconds: PositiveSeconds = 1
    seconds: Seconds = 0
    timestamp: str = ""
    max_concurrency: Annotated[int, Field(ge=0)] = 0
    error: str = ""
    cause: str = ""


def check_constants(definition: Object) -> Iterator[Diagnostic]:
    """Yield every constant that its field does not take. None of them is said of a place with other faults."""
    for state in states_in(definition):
        if state.language != "JSONata":
            continue
        own = FIELDS.get(state.type, frozenset()) & _NAMES
        constants = {name: value for name, value in state.fields.items() if name in own}
        known = {
            name: value for name, value in constants.items() if not (isinstance(value, str) and is_expression(value))
        }
        yield from check_shape(_Constants, known, state.pointer)
        if state.type == "Choice":
            for rule, at in objects_in(state.fields, "Choices", state.pointer):
                yield from _check_condition(rule, f"{at}/Condition")


def _check_condition(rule: Object, pointer: str) -> Iterator[Diagnostic]:
    condition = rule.get("Condition", True)
    if not isinstance(condition, bool | str):
        yield schema_fault(pointer, "Expected value of type [STRING]")
    elif isinstance(condition, str) and not is_expression(condition):
        yield schema_fault(pointer, NO_EXPRESSION)


_NAMES = {str(field.alias) for field in _Constants.model_fields.values()} - {"Comment"}
