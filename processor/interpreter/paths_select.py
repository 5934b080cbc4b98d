"""What the segments of an indefinite path select: compiled to functions from a list of values to a list of values.

Paths and payloads come from users, so the work for one event is bounded (`Search`) and nothing recurses over a
payload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt
from typing import Final, TypeAlias, assert_never

from processor.interpreter.paths_syntax import (
    Comparison,
    Condition,
    Descent,
    Exists,
    Filter,
    Indexes,
    Junction,
    Literally,
    Names,
    Negation,
    Operand,
    Segment,
    Slice,
    Wildcard,
    Written,
)
from processor.model.json import Json

MAX_VISITS = 1_000_000  # values that all paths of one event may look at: well under a second


class TooManyValues(Exception):
    """The paths of one event looked at more than MAX_VISITS values."""


class Missing:
    """The answer of a path that is not there; JSON's null is a value."""

    __slots__ = ()


MISSING: Final = Missing()


class Search:
    """One evaluation: what `$` is within filters, and how many values were looked at, by those before it too."""

    __slots__ = ("root", "visited")

    def __init__(self, root: Json, *, visited: int = 0) -> None:
        self.root, self.visited = root, visited

    def spend(self, visits: int) -> None:
        self.visited += visits
        if self.visited > MAX_VISITS:
            raise TooManyValues


Select: TypeAlias = Callable[[Sequence[Json], Search], list[Json]]
Test: TypeAlias = Callable[[Json, Search], bool]
Find: TypeAlias = "Callable[[Json, Search], Json | Missing]"
Steps: TypeAlias = tuple[str | int | tuple[str, ...], ...]


def is_definite(segments: Sequence[Segment]) -> bool:
    """Whether the segments can only ever name one value: then the path gives it, else a list of what there is."""
    last = len(segments) - 1
    for number, segment in enumerate(segments):
        match segment:
            case Names(names) if len(names) == 1 or number == last:
                pass
            case Indexes(indexes) if len(indexes) == 1:
                pass
            case _:
                return False
    return True


def compile_segments(segments: Sequence[Segment]) -> Callable[[Json, Search], list[Json]]:
    """Return the function that gives every value an indefinite path selects, in document order."""
    selects = tuple(compile_segment(segment) for segment in segments)

    def select_all(value: Json, search: Search) -> list[Json]:
        found = [value]
        for select in selects:
            found = select(found, search)
        return found

    return select_all


def compile_segment(segment: Segment) -> Select:
    """Return the function of one segment; it counts what it looks at before it gathers that."""
    match segment:
        case Names(names):
            return _select_names(names)
        case Indexes(indexes):
            return _select_indexes(indexes)
        case Slice(start, stop, step):
            part = slice(start, stop, step)
            return _select_parts(lambda value: value[part] if type(value) is list else [])
        case Wildcard():
            return _select_parts(_children)
        case Descent():
            return _descend
        case Filter(condition):
            return _select_where(compile_condition(condition))
        case other:
            assert_never(other)


def find_step(value: Json, step: str | int) -> Json | Missing:
    """Return the member or the element of that name or index."""
    if isinstance(step, str):
        return value.get(step, MISSING) if type(value) is dict else MISSING
    if type(value) is list and -len(value) <= step < len(value):
        return value[step]
    return MISSING


def pick_names(value: Json, names: tuple[str, ...]) -> Json | Missing:
    """Return an object of those of the names that are there: what `$['a','b']` gives at a path's end."""
    return {name: value[name] for name in names if name in value} if type(value) is dict else MISSING


def _select_names(names: tuple[str, ...]) -> Select:
    one = names[0] if len(names) == 1 else None

    def select(found: Sequence[Json], search: Search) -> list[Json]:
        search.spend(len(found) * len(names))
        if one is not None:
            return [value[one] for value in found if type(value) is dict and one in value]
        return [value[name] for value in found if type(value) is dict for name in names if name in value]

    return select


def _select_parts(parts: Callable[[Json], list[Json]]) -> Select:
    def select(found: Sequence[Json], search: Search) -> list[Json]:
        search.spend(len(found))
        selected: list[Json] = []
        for value in found:
            some = parts(value)
            search.spend(len(some))
            selected += some
        return selected

    return select


def _select_indexes(indexes: tuple[int, ...]) -> Select:
    def select(found: Sequence[Json], search: Search) -> list[Json]:
        search.spend(len(found) * len(indexes))
        steps = (find_step(value, index) for value in found for index in indexes)
        return [element for element in steps if not isinstance(element, Missing)]

    return select


def _select_where(test: Test) -> Select:
    """Filters keep the elements of an array that pass, and an object that passes itself."""

    def select(found: Sequence[Json], search: Search) -> list[Json]:
        kept: list[Json] = []
        for value in found:
            candidates = value if type(value) is list else [value] if type(value) is dict else []
            search.spend(len(candidates))
            kept.extend(candidate for candidate in candidates if test(candidate, search))
        return kept

    return select


def _descend(found: Sequence[Json], search: Search) -> list[Json]:
    """Return every object and array at or below the values, outer before inner."""
    seen: list[Json] = []
    stack = list(reversed(found))
    while stack:
        value = stack.pop()
        if isinstance(value, dict | list):
            search.spend(1 + len(value))
            seen.append(value)
            stack.extend(reversed(_children(value)))
    return seen


def _children(value: Json) -> list[Json]:
    if type(value) is dict:
        return list(value.values())
    return value if type(value) is list else []


# ---- filters


def compile_condition(condition: Condition) -> Test:
    match condition:
        case Exists(operand):
            find = compile_operand(operand)
            if isinstance(operand, Written) and not is_definite(operand.segments):
                return lambda value, search: bool(find(value, search))
            return lambda value, search: not isinstance(find(value, search), Missing)
        case Negation(negated):
            test = compile_condition(negated)
            return lambda value, search: not test(value, search)
        case Junction("&&", conditions):
            tests = tuple(compile_condition(part) for part in conditions)
            return lambda value, search: all(test(value, search) for test in tests)
        case Junction(_, conditions):
            tests = tuple(compile_condition(part) for part in conditions)
            return lambda value, search: any(test(value, search) for test in tests)
        case Comparison(operator, left, right):
            return _compile_comparison(operator, left, right)
        case other:
            assert_never(other)


def compile_operand(operand: Operand) -> Find:
    match operand:
        case Literally():
            constant = _literal(operand)
            return lambda value, search: constant
        case Written("INPUT", segments):
            find = compile_find(segments)
            return lambda value, search: find(search.root, search)
        case Written(_, segments):
            return compile_find(segments)
        case other:
            assert_never(other)


def compile_find(segments: Sequence[Segment]) -> Find:
    """Return the function that gives a definite path's value or MISSING, an indefinite one's list."""
    if not is_definite(segments):
        return compile_segments(segments)
    steps = definite_steps(segments)
    if len(steps) == 1 and isinstance(name := steps[0], str):
        return lambda value, _: value.get(name, MISSING) if type(value) is dict else MISSING

    def find(value: Json, _: Search) -> Json | Missing:
        return find_steps(value, steps)

    return find


def find_steps(value: Json, steps: Steps) -> Json | Missing:
    """Follow the steps of a definite path."""
    for step in steps:
        found = pick_names(value, step) if isinstance(step, tuple) else find_step(value, step)
        if isinstance(found, Missing):
            return MISSING
        value = found
    return value


def definite_steps(segments: Sequence[Segment]) -> Steps:
    """Return the steps of a definite path; several names, at the end only, stay together."""
    steps: list[str | int | tuple[str, ...]] = []
    for segment in segments:
        match segment:
            case Names((name,)):
                steps.append(name)
            case Names(names):
                steps.append(names)
            case Indexes((index,)):
                steps.append(index)
            case _:
                raise AssertionError(segment)
    return tuple(steps)


def _literal(literal: Literally) -> Json:
    if isinstance(literal.value, tuple):
        return [_literal(element) for element in literal.value]
    return literal.value


def _compile_comparison(operator: str, left: Operand, right: Operand) -> Test:
    find, find_other = compile_operand(left), compile_operand(right)
    if isinstance(right, Literally) and operator in _RELATIONS and isinstance(right.value, str | int | float):
        return _compare_with_literal(find, _RELATIONS[operator], right.value)
    compare = _COMPARISONS[operator]

    def test(value: Json, search: Search) -> bool:
        return compare(find(value, search), find_other(value, search), search)

    return test


def _compare_with_literal(find: Find, relation: Callable[..., bool], constant: str | int | float | bool) -> Test:
    """The common case, which every element of an array is asked: a value of the literal's own type."""
    types: tuple[type, ...] = (int, float) if is_number(constant) else (type(constant),)
    if isinstance(constant, bool) and relation is not eq:
        return lambda value, search: False

    def test(value: Json, search: Search) -> bool:
        found = find(value, search)
        return type(found) in types and relation(found, constant)

    return test


Compare: TypeAlias = "Callable[[Json | Missing, Json | Missing, Search], bool]"


def equal(left: Json | Missing, right: Json | Missing, search: Search) -> bool:
    """JSON's equality: 1 equals 1.0, and neither equals true. What is missing equals nothing."""
    stack: list[tuple[Json | Missing, Json | Missing]] = [(left, right)]
    while stack:
        one, other = stack.pop()
        search.spend(1)
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            stack.extend((member, other[name]) for name, member in one.items())
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            stack.extend(zip(one, other, strict=True))
        elif (
            isinstance(one, Missing | dict | list)
            or isinstance(other, Missing | dict | list)
            or isinstance(one, bool) is not isinstance(other, bool)
            or one != other
        ):
            return False
    return True


def order(left: Json | Missing, right: Json | Missing) -> int | None:
    """Return -1, 0 or 1 for two numbers or two strings, None for anything else: those have no order."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if is_number(left) and is_number(right):
        return (left > right) - (left < right)  # type: ignore[operator]  # is_number says so
    return None


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(*signs: int) -> Compare:
    return lambda left, right, search: order(left, right) in signs


def _in(left: Json | Missing, right: Json | Missing, search: Search) -> bool:
    return isinstance(right, list) and any(equal(left, element, search) for element in right)


def _contains(left: Json | Missing, right: Json | Missing, search: Search) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        search.spend(len(left) // 64)
        return right in left
    return _in(right, left, search)


def _any_of(left: Json | Missing, right: Json | Missing, search: Search) -> bool:
    return isinstance(left, list) and any(_in(element, right, search) for element in left)


def _subset_of(left: Json | Missing, right: Json | Missing, search: Search) -> bool:
    return isinstance(left, list) and isinstance(right, list) and all(_in(element, right, search) for element in left)


def _size(left: Json | Missing, right: Json | Missing, search: Search) -> bool:
    return isinstance(left, list | str) and equal(len(left), right, search)


def _empty(left: Json | Missing, right: Json | Missing, search: Search) -> bool:
    return isinstance(left, list | str) and equal(not left, right, search)


_RELATIONS: dict[str, Callable[..., bool]] = {"==": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
_COMPARISONS: dict[str, Compare] = {
    "==": equal,
    "!=": lambda left, right, search: not equal(left, right, search),
    "<": _ordered(-1),
    "<=": _ordered(-1, 0),
    ">": _ordered(1),
    ">=": _ordered(0, 1),
    "in": _in,
    "nin": lambda left, right, search: isinstance(right, list) and not _in(left, right, search),
    "contains": _contains,
    "size": _size,
    "empty": _empty,
    "anyof": _any_of,
    "noneof": lambda left, right, search: isinstance(left, list) and not _any_of(left, right, search),
    "subsetof": _subset_of,
}
