"""What AWS's static analysis warns of, and takes all the same: texts that look like paths where none is evaluated.

Codes, words and places are those of the example in AWS's API reference, ValidateStateMachineDefinition; the word for
an intrinsic function, and what is nested deeper, are by analogy.
"""

from __future__ import annotations

from collections.abc import Iterator

from processor.errors import AslCode, Diagnostic
from processor.interpreter.paths import PathFault, compile_path
from processor.interpreter.templates import compile_expression, pointer_to
from processor.interpreter.validation.walk import Object, State, rules_in, states_in
from processor.model.json import Json

_TEMPLATES = ("Parameters", "ResultSelector", "ItemSelector", "Assign")
_TWINS = ("StringEquals", "StringLessThan", "StringGreaterThan", "StringLessThanEquals", "StringGreaterThanEquals")


def check_warnings(definition: Object) -> Iterator[Diagnostic]:
    """Yield what is probably not meant as it is written. Only JSONPath has such fields."""
    for state in states_in(definition):
        if state.language == "JSONPath":
            yield from _check_state(state)


def _check_state(state: State) -> Iterator[Diagnostic]:
    fields, pointer = state.fields, state.pointer
    for field in _TEMPLATES:
        if field in fields:
            yield from _check_template(fields[field], pointer_to(pointer, field))
    if state.type == "Pass" and "Result" in fields:
        yield from _check_result("Result", fields["Result"], pointer_to(pointer, "Result"))
    if state.type == "Fail":
        yield from _check_twins(fields, ("Error", "Cause"), pointer)
    if state.type == "Choice":
        for rule, at in rules_in(fields, pointer):
            yield from _check_twins(rule, _TWINS, at)


def _check_template(template: Json, pointer: str) -> Iterator[Diagnostic]:
    match template:
        case dict():
            for name, value in template.items():
                if isinstance(value, str) and not name.endswith(".$") and (kind := _looks_like(value)):
                    use = f"Instead of '{name}', use '{name}.$' to evaluate it as {kind} at runtime."
                    message = f"The value of '{name}' looks like {kind}. {use}"
                    yield _warning("NO_DOLLAR", pointer, message)
                yield from _check_template(value, pointer_to(pointer, name))
        case list():
            for index, value in enumerate(template):
                yield from _check_template(value, pointer_to(pointer, index))
        case _:
            pass


def _check_result(name: str, value: Json, pointer: str) -> Iterator[Diagnostic]:
    """`pointer`: of the object that holds the name, or of Result itself."""
    match value:
        case str() if _looks_like(value):
            instead = (
                "Instead of 'Result', use 'Parameters' to evaluate it as a JSONPath or Intrinsic Function at runtime."
            )
            message = (
                f"The value of '{name}' will not evaluate as a JSONPath or Intrinsic Function at runtime. {instead}"
            )
            yield _warning("PASS_RESULT_IS_STATIC", pointer, message)
        case dict():
            for inner, member in value.items():
                at = pointer if isinstance(member, str) else pointer_to(pointer, inner)
                yield from _check_result(inner, member, at)
        case list():
            for index, member in enumerate(value):
                yield from _check_result(name, member, pointer_to(pointer, index))
        case _:
            pass


def _check_twins(fields: Object, names: tuple[str, ...], pointer: str) -> Iterator[Diagnostic]:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and _is_path(value):
            use = f"Instead of '{name}', use '{name}Path' to evaluate it as a JSONPath at runtime."
            message = f"The value of '{name}' looks like a JSONPath. {use}"
            yield _warning("NO_PATH", pointer_to(pointer, name), message)


def _looks_like(text: str) -> str | None:
    if _is_path(text):
        return "a JSONPath"
    return "an Intrinsic Function" if text.startswith("States.") and _is_expression(text) else None


def _is_path(text: str) -> bool:
    if text != "$" and not text.startswith(("$.", "$[", "$$")):
        return False
    try:
        compile_path(text, field="")
    except PathFault:
        return False
    return True


def _is_expression(text: str) -> bool:
    try:
        compile_expression(text, field="", pointer="")
    except PathFault:
        return False
    return True


def _warning(code: AslCode, pointer: str, message: str) -> Diagnostic:
    return Diagnostic(pointer=pointer, code=code, message=message, severity="WARNING")
