"""What is found in a definition as AWS's API tells it: ValidateStateMachineDefinition's answer, and the message of the
InvalidDefinition that CreateStateMachine raises.

Source: AWS's API reference; recorded answers of both calls; that a fault without a place is left without `location`,
and is `at null` in the message, was measured by others (floci issue 2735).
"""

from __future__ import annotations

from processor.errors import Diagnostic, InvalidDefinition, Severity
from processor.interpreter.parse import parse
from processor.interpreter.validation.reading import read_definition
from processor.model.events import MachineType
from processor.model.json import Json

MAX_RESULTS = 100

_NOWHERE = frozenset({"MISSING_END_STATE", "TOO_DEEPLY_NESTED"})


def validate_definition(
    definition: Json | bytes,
    *,
    type: MachineType = "STANDARD",
    max_results: int = MAX_RESULTS,
    severity: Severity = "ERROR",
) -> dict[str, Json]:
    """Return AWS's answer: {result, diagnostics, truncated}. Warnings are told with severity WARNING only, and never
    make the result FAIL; max_results 0 is 100. Raises nothing, whatever the definition is."""
    found = diagnostics_of(definition, type=type)
    told = [diagnostic for diagnostic in found if severity == "WARNING" or diagnostic.severity == "ERROR"]
    value = _value_of(definition)
    limit = max_results or MAX_RESULTS
    return {
        "result": "FAIL" if any(diagnostic.severity == "ERROR" for diagnostic in found) else "OK",
        "diagnostics": [_told(diagnostic, value) for diagnostic in told[:limit]],
        "truncated": len(told) > limit,
    }


def diagnostics_of(definition: Json | bytes, *, type: MachineType = "STANDARD") -> tuple[Diagnostic, ...]:
    """Return every fault and, after them, every warning."""
    try:
        return parse(definition, type=type).warnings
    except InvalidDefinition as invalid:
        return invalid.diagnostics


def refusal_message(invalid: InvalidDefinition, definition: Json | bytes) -> str:
    """Return the message with which CreateStateMachine refuses the definition."""
    value = _value_of(definition)
    faults = ", ".join(
        f"{fault.code}: {fault.message} at {location_of(fault, value) or 'null'}"
        for fault in invalid.diagnostics
        if fault.severity == "ERROR"
    )
    return f"Invalid State Machine Definition: '{faults}'"


def location_of(diagnostic: Diagnostic, definition: Json) -> str | None:
    """Return AWS's name of the place, `/States/C/Choices[0]/Next`; None where it tells none."""
    if diagnostic.location is not None:
        return diagnostic.location
    if diagnostic.code in _NOWHERE or not isinstance(definition, dict):
        return None
    location = ""
    value: Json = definition
    for token in diagnostic.pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            location += f"[{name}]"
            value = value[int(name)]
        else:
            location += f"/{name}"
            value = value.get(name) if isinstance(value, dict) else None
    return location or "/"


def _told(diagnostic: Diagnostic, definition: Json) -> Json:
    told: dict[str, Json] = {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
    }
    if (location := location_of(diagnostic, definition)) is not None:
        told["location"] = location
    return told


def _value_of(definition: Json | bytes) -> Json:
    try:
        return read_definition(definition)
    except InvalidDefinition:
        return None
