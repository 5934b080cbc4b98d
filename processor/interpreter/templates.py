"""Payload templates (Parameters, ResultSelector, ItemSelector, Credentials): in them `"x.$"` is a path or a call.

Compiled once; what holds neither path nor intrinsic function is shared by all that the template makes, never copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from processor.interpreter.intrinsics import compile_intrinsic, is_intrinsic
from processor.interpreter.paths import PathFault, compile_path
from processor.model.definition import Environment, Evaluate
from processor.model.json import Json, escaped

Report: TypeAlias = Callable[[str, str], None]
"""(JSON pointer, message): notes a fault of the definition."""


def pointer_to(pointer: str, *tokens: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of what the tokens name within `pointer`."""
    return pointer + "".join("/" + escaped(str(token)) for token in tokens)


def compile_expression(text: str, *, field: str, pointer: str) -> Evaluate:
    """Return what computes a field whose text may be a path or an intrinsic function. What a function draws depends
    on where it stands: `pointer` is the place of the object that holds the field.

    Raises PathFault.
    """
    if is_intrinsic(text):
        return compile_intrinsic(text, field=field, pointer=pointer)
    return compile_path(text, field=field).evaluate


def compile_template(template: Json, *, pointer: str, report: Report) -> Evaluate:
    """Return what makes the payload. Faults go to `report`; what is returned then is of no use."""
    made = _compile(template, pointer, report)
    return made if made is not None else _constant(template)


def _constant(value: Json) -> Evaluate:
    return lambda _value, _environment: value


def _compile(template: Json, pointer: str, report: Report) -> Evaluate | None:
    """Return None for a template without paths: a constant. Recursion is bounded by the depth of definitions."""
    match template:
        case dict():
            return _compile_object(template, pointer, report)
        case list():
            return _compile_array(template, pointer, report)
        case _:
            return None


def _compile_object(template: dict[str, Json], pointer: str, report: Report) -> Evaluate | None:
    skeleton: dict[str, Json] = {}
    computed: list[tuple[str, Evaluate]] = []
    for key, value in template.items():
        name = key.removesuffix(".$")
        if name in skeleton:
            report(pointer, f"The field '{name}' is given twice")
        skeleton[name] = value
        if name != key:
            computed.append((name, _compile_field(key, value, pointer, report)))
        elif (made := _compile(value, pointer_to(pointer, key), report)) is not None:
            computed.append((name, made))
    if not computed:
        return None
    fields = tuple(computed)

    def make(value: Json, environment: Environment) -> Json:
        made = skeleton.copy()
        for name, evaluate in fields:
            made[name] = evaluate(value, environment)
        return made

    return make


def _compile_field(key: str, value: Json, pointer: str, report: Report) -> Evaluate:
    """AWS places the fault of a `.$` field at the object that holds it: recorded for 'parsed.$'."""
    if isinstance(value, str):
        try:
            return compile_expression(value, field=key, pointer=pointer)
        except PathFault:
            pass
    report(pointer, f"The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call")
    return _constant(None)


def _compile_array(template: list[Json], pointer: str, report: Report) -> Evaluate | None:
    parts = [_compile(element, pointer_to(pointer, index), report) for index, element in enumerate(template)]
    computed = tuple((index, part) for index, part in enumerate(parts) if part is not None)
    if not computed:
        return None

    def make(value: Json, environment: Environment) -> Json:
        made = template.copy()
        for index, evaluate in computed:
            made[index] = evaluate(value, environment)
        return made

    return make
