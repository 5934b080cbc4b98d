"""The rules of a Choice state: 39 comparison operators, And, Or and Not, compiled to predicates.

A value of another type than the operator's is no match, never a failure (recorded for every type). A Variable that is
not there fails the state, save for IsPresent.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TypeAlias

from processor.interpreter.intrinsics_java import compare_texts
from processor.interpreter.paths import Missing, Path, PathFault, compile_path
from processor.interpreter.paths_values import MAX_VISITS, is_number
from processor.interpreter.templates import Report, pointer_to
from processor.interpreter.timestamps import is_timestamp, parse_nanoseconds
from processor.model.definition import Environment, Predicate, StateFailure
from processor.model.json import Json, render_json

Read: TypeAlias = Callable[[Json], object]
"""What a comparison compares: the value as the operator's type reads it, None where it is of another type."""
Relation: TypeAlias = Callable[..., bool]
"""Of two operands that were read as the same type."""

MAX_DEPTH = 64  # And, Or and Not within each other
_SEARCHED_A_VISIT = 64  # characters of a text that a pattern is looked for in: 1 ns each, at worst
_COMPARED_A_VISIT = 512  # characters that two texts have to be equal in: 0.6 ns each, at worst


def _number(value: Json) -> object:
    return value if is_number(value) else None


def _string(value: Json) -> object:
    return value if isinstance(value, str) else None


def _boolean(value: Json) -> object:
    return value if isinstance(value, bool) else None


def _timestamp(value: Json) -> object:
    return parse_nanoseconds(value) if isinstance(value, str) else None


_RELATIONS: dict[str, Relation] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
_TYPES: dict[str, tuple[Read, str]] = {
    "String": (_string, "[STRING]"),
    "Numeric": (_number, "[NUMBER]"),
    "Timestamp": (_timestamp, "Timestamp"),
}
_COMPARISONS: dict[str, tuple[Read, str, Relation]] = {
    "BooleanEquals": (_boolean, "[BOOLEAN]", operator.eq),
    **{
        f"{prefix}{name}": (read, type_name, relation)
        for prefix, (read, type_name) in _TYPES.items()
        for name, relation in _RELATIONS.items()
    },
    # Nothing is recorded of the order of characters beyond the first 65,536: by analogy, Java's.
    "StringLessThan": (_string, "[STRING]", lambda one, other: compare_texts(one, other) < 0),
    "StringGreaterThan": (_string, "[STRING]", lambda one, other: compare_texts(one, other) > 0),
    "StringLessThanEquals": (_string, "[STRING]", lambda one, other: compare_texts(one, other) <= 0),
    "StringGreaterThanEquals": (_string, "[STRING]", lambda one, other: compare_texts(one, other) >= 0),
}
_TYPE_TESTS: dict[str, Callable[[Json], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": is_number,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: isinstance(value, str) and is_timestamp(value),
}
OPERATORS = frozenset(
    [*_COMPARISONS, *(f"{name}Path" for name in _COMPARISONS), *_TYPE_TESTS, "IsPresent", "StringMatches"]
)
JUNCTIONS = frozenset({"And", "Or", "Not"})
SELECTORS = ("And", "Or", "Not", "Variable", "Condition")
"""What a rule has exactly one of, in the order of AWS's words (measured by cdk-preflight, pf-sfn-asl-choice-rules)."""


def compile_rule(rule: Json, *, pointer: str, report: Report) -> Predicate:
    """Return the predicate of an entry of Choices. Faults go to `report`; what is returned then is of no use."""
    return _compile(rule, pointer, report, nested=0)


def _never(_value: Json, _environment: Environment) -> bool:
    return False


def _compile(rule: Json, pointer: str, report: Report, *, nested: int) -> Predicate:
    if not isinstance(rule, dict):
        report(pointer, "Expected value of type [OBJECT]")
        return _never
    if nested > MAX_DEPTH:
        report(pointer, f"And, Or and Not are nested more than {MAX_DEPTH} deep")
        return _never
    names = [name for name in rule if name in OPERATORS or name in JUNCTIONS]
    known = {*names, "Comment", "Variable"} | ({"Next", "Assign"} if not nested else set())
    for name in rule:
        if name not in known:
            report(pointer, f"Field '{name}' is not supported")
    selectors = [name for name in SELECTORS if name in rule]
    if len(selectors) != 1 or selectors == ["Condition"]:
        report(pointer, f"The object must have only one of the following fields, [{', '.join(SELECTORS)}]")
        return _never
    if len(names) != 1:
        which = "This object should have only one" if not names else "There should only be one"
        report(pointer, f"{which} of the following fields: [{', '.join(names or sorted(OPERATORS))}]")
        return _never
    name = names[0]
    if name in JUNCTIONS:
        return _compile_junction(name, rule[name], pointer_to(pointer, name), report, nested=nested + 1)
    variable = _compile_path(rule, "Variable", "Variable", pointer, report)
    return _compile_comparison(name, rule, variable, pointer, report) if variable is not None else _never


def _compile_junction(name: str, operand: Json, pointer: str, report: Report, *, nested: int) -> Predicate:
    if name == "Not":
        negated = _compile(operand, pointer, report, nested=nested)
        return lambda value, environment: not negated(value, environment)
    if not isinstance(operand, list):
        report(pointer, "Expected value of type [ARRAY]")
        return _never
    if not operand:
        report(pointer, "Value cannot be empty")
    parts = tuple(
        _compile(part, pointer_to(pointer, index), report, nested=nested) for index, part in enumerate(operand)
    )
    if name == "And":
        return lambda value, environment: all(part(value, environment) for part in parts)
    return lambda value, environment: any(part(value, environment) for part in parts)


def _compile_path(rule: Mapping[str, Json], name: str, field: str, pointer: str, report: Report) -> Path | None:
    text = rule[name]
    if not isinstance(text, str):
        report(pointer_to(pointer, name), "Expected value of type [STRING]")
        return None
    try:
        return compile_path(text, field=field)
    except PathFault:
        report(pointer_to(pointer, name), f"Value is not a Reference Path: {text[:200]!r}")
    return None


def _compile_comparison(name: str, rule: Mapping[str, Json], variable: Path, pointer: str, report: Report) -> Predicate:
    if name in _TYPE_TESTS or name == "IsPresent":
        wanted = rule[name]
        if not isinstance(wanted, bool):
            report(pointer_to(pointer, name), _expected("[BOOLEAN]", wanted))
            return _never
        return _present(variable, wanted) if name == "IsPresent" else _is_of_type(variable, _TYPE_TESTS[name], wanted)
    if name == "StringMatches":
        pattern = rule[name]
        if not isinstance(pattern, str):
            report(pointer_to(pointer, name), _expected("[STRING]", pattern))
            return _never
        return _matches(variable, compile_pattern(pattern))
    if name in _COMPARISONS:
        read, type_name, relation = _COMPARISONS[name]
        constant = read(rule[name])
        if constant is None:
            words = _expected(type_name, rule[name])
            if type_name == "Timestamp" and isinstance(rule[name], str):
                words = "String does not match RFC3339 timestamp"
            report(pointer_to(pointer, name), words)
            return _never
        return _compared(variable, read, relation, constant)
    read, _, relation = _COMPARISONS[name.removesuffix("Path")]
    other = _compile_path(rule, name, "Variable", pointer, report)
    return _compared_with_path(variable, read, relation, other) if other is not None else _never


def _expected(type_name: str, value: Json) -> str:
    return f"Expected value of type {type_name}, got {render_json(value)[:80]}"


# ---- predicates


def _present(variable: Path, wanted: bool) -> Predicate:
    find = variable.find
    return lambda value, environment: (not isinstance(find(value, environment), Missing)) is wanted


def _is_of_type(variable: Path, test: Callable[[Json], bool], wanted: bool) -> Predicate:
    evaluate = variable.evaluate
    return lambda value, environment: test(evaluate(value, environment)) is wanted


def _compared(variable: Path, read: Read, relation: Relation, constant: object) -> Predicate:
    evaluate = variable.evaluate

    def compare(value: Json, environment: Environment) -> bool:
        found = read(evaluate(value, environment))
        return found is not None and relation(found, constant)

    def compare_with_long(value: Json, environment: Environment) -> bool:
        found = read(evaluate(value, environment))
        if found is None:
            return False
        _charge(environment, found, constant)
        return relation(found, constant)

    return compare_with_long if _is_long(constant) else compare


def _compared_with_path(variable: Path, read: Read, relation: Relation, other: Path) -> Predicate:
    evaluate, evaluate_other = variable.evaluate, other.evaluate

    def compare(value: Json, environment: Environment) -> bool:
        found = read(evaluate(value, environment))
        expected = read(evaluate_other(value, environment))
        if found is None or expected is None:
            return False
        _charge(environment, found, expected)
        return relation(found, expected)

    return compare


def _is_long(operand: object) -> bool:
    return isinstance(operand, str) and len(operand) >= _COMPARED_A_VISIT


def _charge(environment: Environment, found: object, expected: object) -> None:
    """Count what a comparison may look at: of texts, as much as the shorter has."""
    if isinstance(found, str) and isinstance(expected, str):
        _visit(environment, min(len(found), len(expected)) // _COMPARED_A_VISIT)


def _visit(environment: Environment, visits: int) -> None:
    environment.visited += visits
    if environment.visited > MAX_VISITS:
        raise StateFailure("States.Runtime", f"The rules of one Choice look at more than {MAX_VISITS} values")


def _matches(variable: Path, match: Callable[[str], bool]) -> Predicate:
    evaluate = variable.evaluate

    def compare(value: Json, environment: Environment) -> bool:
        found = evaluate(value, environment)
        if not isinstance(found, str):
            return False
        _visit(environment, len(found) // _SEARCHED_A_VISIT)
        return match(found)

    return compare


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    r"""Return the test for a StringMatches pattern: `*` is any text, `\*` a star, `\\` a backslash.

    The parts between stars are looked for from left to right, each after the one before: nothing is tried twice.
    """
    parts = _parts(pattern)
    if len(parts) == 1:
        return parts[0].__eq__
    first, *middle, last = parts

    def match(text: str) -> bool:
        end = len(text) - len(last)
        at = len(first)
        if end < at or not text.startswith(first) or not text.endswith(last):
            return False
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return match


def _parts(pattern: str) -> list[str]:
    """Return the literal texts between the stars, one more than there are stars."""
    parts = [""]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and pattern[at + 1 : at + 2] in ("*", "\\"):
            parts[-1] += pattern[at + 1]
            at += 2
        else:
            if char == "*":
                parts.append("")
            else:
                parts[-1] += char
            at += 1
    return parts
