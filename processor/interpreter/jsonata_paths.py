"""JSONata's plain paths, `$states.input.a`, `$x."order id"[0].b`: names and indexes all the way from a variable. They
are read here and never by the engine, whatever stands on the way: it would round integers beyond 2**53.

Source of the semantics: JSONata's documentation, "Path Operators" and "Sequences"; a property test compares with the
engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from processor.interpreter.jsonata_engine import TIMEOUT, UNDEFINED, Undefined
from processor.interpreter.jsonata_functions import MEMORY_LIMIT, Exhausted
from processor.interpreter.jsonata_syntax import BUILT_IN
from processor.model.definition import Budget
from processor.model.json import Json

ReadPath: TypeAlias = "Callable[[Json, Mapping[str, Json], Budget], Json | Undefined]"
"""(`$states`, variables, budget) → what the path finds. Raises Exhausted."""

_Step: TypeAlias = tuple[str, tuple[int, ...]]
"""A name, and the indexes behind it."""

_NAME = r"(?!(?:true|false|null|function|λ)\b)[^\W\d]\w*"
_INDEXES = r"((?:\[-?(?:0|[1-9][0-9]{0,8})\])*)"
_STEP = rf"""\.({_NAME}|"[^"\\]*"|'[^'\\]*'|`[^`]+`){_INDEXES}"""
_PATH = re.compile(rf"\$({_NAME}){_INDEXES}((?:{_STEP})*)")
_STEPS = re.compile(_STEP)


def compile_path(text: str) -> ReadPath | None:
    """Return what reads the path; None for a text that is none, or that begins with a function's name."""
    path = _PATH.fullmatch(text)
    if path is None or path[1] in BUILT_IN:
        return None
    root, root_indexes = path[1], _indexes(path[2])
    steps: tuple[_Step, ...] = tuple(
        (name if name[0] not in "\"'`" else name[1:-1], _indexes(indexes)) for name, indexes in _STEPS.findall(path[3])
    )

    def read(states: Json, variables: Mapping[str, Json], budget: Budget) -> Json | Undefined:
        found: Json | Undefined = states if root == "states" else variables.get(root, UNDEFINED)
        if root_indexes and not isinstance(found, Undefined):
            found = _picked(found, root_indexes)
        for number, (name, indexes) in enumerate(steps):
            if type(found) is dict:
                found = found.get(name, UNDEFINED)
                if indexes and not isinstance(found, Undefined):
                    found = _picked(found, indexes)
            elif type(found) is list:
                found = _map(found, steps[number:], budget)
                break
            else:
                return UNDEFINED
        # JSONata's numbers have no "1.0": users saw 1 come of it on AWS.
        return int(found) if type(found) is float and found.is_integer() and -(2**63) <= found < 2**64 else found

    return read


def _indexes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text[1:-1].split("]["))) if text else ()


def _picked(value: Json, indexes: tuple[int, ...]) -> Json | Undefined:
    """Return the element; a value that is no array stands for an array of itself."""
    for index in indexes:
        array = value if type(value) is list else [value]
        if not -len(array) <= index < len(array):
            return UNDEFINED
        value = array[index]
    return value


_NOTHING: list[Json] = []
"""A sequence of none: not told apart from an empty array but by identity."""


def _map(values: list[Json], steps: tuple[_Step, ...], budget: Budget) -> Json | Undefined:
    """Return what the steps find in each of the values: flattened by a level at each step; one value comes alone."""
    last = len(steps) - 1
    for number, (name, indexes) in enumerate(steps):
        budget.visits -= len(values)
        if budget.visits < 0:
            raise Exhausted(TIMEOUT)
        found: list[Json] = []
        for value in values:
            one = value.get(name, UNDEFINED) if type(value) is dict else _named(value, name, budget)
            if one is UNDEFINED:
                continue
            if indexes and (one := _picked(one, indexes)) is UNDEFINED:
                one = _NOTHING
            found.append(one)
        if len(found) == 1 and number == last and type(found[0]) is list and found[0] is not _NOTHING:
            return found[0]
        values = _flattened(found, budget)
    return UNDEFINED if not values else values[0] if len(values) == 1 else values


def _named(value: Json, name: str, budget: Budget) -> Json | Undefined:
    if type(value) is dict:
        return value.get(name, UNDEFINED)
    if type(value) is not list:
        return UNDEFINED
    budget.visits -= len(value)
    if budget.visits < 0:
        raise Exhausted(TIMEOUT)
    # Arrays in arrays: recursion is bounded by the depth of a payload.
    inner = [_named(one, name, budget) for one in value]
    found = _flattened([one for one in inner if not isinstance(one, Undefined)], budget)
    return UNDEFINED if not found else found[0] if len(found) == 1 else found


def _flattened(values: Sequence[Json], budget: Budget) -> list[Json]:
    """The list is new, its elements are shared: two bytes of text are the least that each stands for."""
    flat: list[Json] = []
    for value in values:
        if type(value) is list:
            flat += value
        else:
            flat.append(value)
    budget.result_bytes -= 2 * len(flat)
    if budget.result_bytes < 0:
        raise Exhausted(MEMORY_LIMIT)
    return flat
