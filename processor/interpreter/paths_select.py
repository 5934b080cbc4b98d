"""What the segments of an indefinite path select: compiled to functions from a list of values to a list of values.

Paths and payloads come from users, so the work for one event is bounded (`Search`) and nothing recurses over a
payload. How filters compare values is in `paths_values.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from processor.interpreter.intrinsics_java import TooLarge, printed
from processor.interpreter.paths_syntax import (
    Comparison,
    Condition,
    Descent,
    Exists,
    Filter,
    Indexes,
    Junction,
    Literally,
    Matches,
    Names,
    Negation,
    Operand,
    Segment,
    Slice,
    Wildcard,
    Written,
)
from processor.interpreter.paths_values import (
    MAX_VISITS,
    MIRRORED,
    MISSING,
    SYMBOLS,
    WORDS,
    Missing,
    Search,
    TooManyValues,
    compare_values,
    compare_with_literal,
    matches,
)
from processor.model.json import Json

__all__ = [
    "MAX_VISITS",
    "MISSING",
    "Missing",
    "Search",
    "Steps",
    "TooManyValues",
    "Unfit",
    "compile_segments",
    "definite_steps",
    "find_step",
    "find_steps",
    "is_definite",
    "no_array",
]


class Unfit(Exception):
    """A step that is of no use for the value it is to be taken in; `reason` is the sentence of AWS's path library."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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


def compile_segments(segments: Sequence[Segment], *, lenient: bool = False) -> Callable[[Json, Search], list[Json]]:
    """Return the function that gives every value an indefinite path selects, in document order.

    It raises Unfit, unless `lenient`, for a step that its value cannot take: AWS, as its path library, gives an empty
    list for what is not there, and fails where an index, a slice or a filter meets what has no elements.
    """
    selects: list[Select] = []
    for number, segment in enumerate(segments):
        select = compile_segment(segment, deep=number > 0 and isinstance(segments[number - 1], Descent))
        if not lenient and (unfit := _unfit(segments, number)) is not None:
            select = _strict(select, unfit)
        selects.append(select)

    def select_all(value: Json, search: Search) -> list[Json]:
        found = [value]
        for select in selects:
            found = select(found, search)
        return found

    return select_all


def compile_segment(segment: Segment, *, deep: bool = False) -> Select:
    """Return the function of one segment; it counts what it looks at before it gathers that. `deep`: it follows `..`,
    which has come by every element already."""
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
            return _select_where(compile_condition(condition), deep=deep)
        case other:
            assert_never(other)


# ---- steps that a value cannot take

Unfits: TypeAlias = Callable[[Json], str | None]
"""value → why a step cannot be taken in it, in the words of AWS's path library."""

_MAX_SAID = 65_536  # characters of a value repeated in a cause


def _strict(select: Select, unfit: Unfits) -> Select:
    def checked(found: Sequence[Json], search: Search) -> list[Json]:
        for value in found:
            if (reason := unfit(value)) is not None:
                raise Unfit(reason)
        return select(found, search)

    return checked


def _unfit(segments: Sequence[Segment], number: int) -> Unfits | None:
    """Return what tells the values that this segment cannot be taken in. Behind an indefinite step nothing is amiss:
    what does not fit is passed over. That several names stand at the end only, holds everywhere."""
    match segments[number]:
        case Names(names) if len(names) > 1 and number < len(segments) - 1:
            leafs = "Multi properties can only be used as path leafs: "
            written = "$" + "".join(_said_of(segment) for segment in segments[: number + 1])
            return lambda value: leafs + written if type(value) is dict else None
        case Indexes() | Slice() as segment if _lead_to_one(segments[:number]):
            return lambda value: no_array(_said_of(segment), value)
        case Filter() if _lead_to_one(segments[:number]):
            return _no_container
        case _:
            return None


def _lead_to_one(segments: Sequence[Segment]) -> bool:
    return all(
        (isinstance(segment, Names) and len(segment.names) == 1)
        or (isinstance(segment, Indexes) and len(segment.indexes) == 1)
        for segment in segments
    )


def no_array(step: str, value: Json) -> str | None:
    """Return the sentence for an index or a slice in what is no array; null counts as not there. Recorded for
    an index in an intrinsic call."""
    if value is None or type(value) is list:
        return None
    return f"Filter: {step} can only be applied to arrays. Current context is: {_said(value)}"


def _no_container(value: Json) -> str | None:
    if isinstance(value, dict | list):
        return None
    return f"Filter: [?] can not be applied to primitives. Current context is: {_said(value)}"


def _said(value: Json) -> str:
    try:
        return printed(value, limit=_MAX_SAID)
    except TooLarge:
        return "…"


def _said_of(segment: Segment) -> str:
    match segment:
        case Names(names):
            return "[" + ", ".join(f"'{name}'" for name in names) + "]"
        case Indexes(indexes):
            return "[" + ",".join(map(str, indexes)) + "]"
        case Slice(start, stop, _):
            return f"[{'' if start is None else start}:{'' if stop is None else stop}]"
        case Descent():
            return ".."
        case Wildcard() | Filter():
            return "[*]" if isinstance(segment, Wildcard) else "[?]"
        case other:
            assert_never(other)


# ---- segments


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
        picked = (pick_names(value, names) for value in found)
        return [some for some in picked if not isinstance(some, Missing)]

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


def _select_where(test: Test, *, deep: bool) -> Select:
    """Filters keep the elements of an array that pass, and an object that passes itself; never a text or a number.

    Source: AWS developer guide, "Paths": `@` "does not match scalar values".
    """

    def select(found: Sequence[Json], search: Search) -> list[Json]:
        kept: list[Json] = []
        for value in found:
            candidates = value if type(value) is list and not deep else [value] if type(value) is dict else []
            search.spend(len(candidates))
            kept.extend(one for one in candidates if isinstance(one, dict | list) and test(one, search))
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
            return lambda value, search: not isinstance(find(value, search), Missing | None)
        case Matches(operand, regex):
            find = compile_operand(operand)
            return lambda value, search: matches(find(value, search), regex, search)
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
        return compile_segments(segments, lenient=True)
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
    if operator in SYMBOLS and isinstance(left, Literally) and not isinstance(right, Literally):
        return _compile_comparison(MIRRORED[operator], right, left)
    find = compile_operand(left)
    if operator in SYMBOLS and isinstance(right, Literally) and not isinstance(right.value, tuple):
        passes = compare_with_literal(operator, right)
        return lambda value, search: passes(find(value, search))
    find_other = compile_operand(right)
    compare = compare_values(operator) if operator in SYMBOLS else WORDS[operator]

    def test(value: Json, search: Search) -> bool:
        return compare(find(value, search), find_other(value, search), search)

    return test
