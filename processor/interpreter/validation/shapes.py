"""One object of a definition against the shape it must have: fields, types, ranges, in AWS's words.

Recorded: `These fields are required: […]`, `Value cannot be empty`. The others were measured by others with
ValidateStateMachineDefinition: cdk-preflight, pf-sfn-asl-numeric-ranges and -state-fields; floci issue 2968.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from processor.errors import SCHEMA, Diagnostic
from processor.interpreter.templates import pointer_to
from processor.interpreter.validation.walk import Object
from processor.model.json import Json, render_json

_NULLABLE = frozenset({"InputPath", "OutputPath", "ResultPath", "Result", "Output", "Arguments"})
_TYPE_NAMES = {
    "string_type": "[STRING]",
    "int_type": "Integer",
    "float_type": "[NUMBER]",
    "bool_type": "[BOOLEAN]",
    "list_type": "[ARRAY]",
    "dict_type": "[OBJECT]",
    "model_type": "[OBJECT]",
    "model_attributes_type": "[OBJECT]",
}
_LIMITS = {
    "greater_than_equal": ("Minimum", "ge"),
    "less_than_equal": ("Maximum", "le"),
}
_EMPTY = ("too_short", "string_too_short")
_QUOTED = re.compile(r"'([^']*)'")


def check_shape(model: type[BaseModel], written: Object, pointer: str) -> Iterator[Diagnostic]:
    """Yield every field that is missing, not supported, or not of its type and range."""
    faults: list[ErrorDetails] = []
    try:
        model.model_validate(written)
    except ValidationError as invalid:
        faults = invalid.errors(include_url=False, include_context=True)
    required: dict[str, list[str]] = {}
    for fault in faults:
        *inside, field = fault["loc"]
        if fault["type"] == "missing":
            required.setdefault(pointer_to(pointer, *inside), []).append(str(field))
    for at, names in required.items():
        yield schema_fault(at, f"These fields are required: [{', '.join(names)}]")
    for fault in faults:
        *inside, field = fault["loc"]
        if fault["type"] == "extra_forbidden":
            yield unsupported(pointer_to(pointer, *inside), str(field))
        elif fault["type"] != "missing":
            told = None if fault["type"] in _EMPTY else shown(fault["input"])
            yield schema_fault(pointer_to(pointer, *fault["loc"]), _worded(fault), found=told)
    known = {field.alias for field in model.model_fields.values()}
    for name, value in written.items():
        if value is None and name in known and name not in _NULLABLE:
            yield schema_fault(pointer_to(pointer, name), "Value cannot be null")


def schema_fault(pointer: str, message: str, *, found: str | None = None) -> Diagnostic:
    return Diagnostic(pointer=pointer, code=SCHEMA, message=message, found=found)


def unsupported(pointer: str, field: str) -> Diagnostic:
    """Return the fault of an object that has a field it may not have; AWS places it at the object."""
    message = f"Field '{field}' is not supported"
    return Diagnostic(pointer=pointer, code=SCHEMA, message=message, field=pointer_to(pointer, field))


def not_an_object(pointer: str, value: Json) -> Diagnostic:
    return schema_fault(pointer, "Expected value of type [OBJECT]", found=shown(value))


def none_of(pointer: str, allowed: tuple[str, ...], value: Json) -> Diagnostic:
    message = f"Value should be one of the following: [{', '.join(allowed)}]"
    return schema_fault(pointer, message, found=shown(value))


def _worded(fault: ErrorDetails) -> str:
    kind, limits = fault["type"], fault.get("ctx", {})
    if kind in _TYPE_NAMES:
        return f"Expected value of type {_TYPE_NAMES[kind]}"
    if kind in _EMPTY:
        return "Value cannot be empty"
    if kind == "literal_error":
        return f"Value should be one of the following: [{', '.join(_QUOTED.findall(limits['expected']))}]"
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"{words} value is {limits[limit]}"
    return fault["msg"].replace("Input should be", "Value should be")


def shown(value: Json) -> str:
    text = render_json(value)
    return text if len(text) <= 80 else text[:79] + "…"
