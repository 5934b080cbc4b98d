"""How the filters of a path compare values, and the work that one evaluation may do.

With the symbolic operators AWS compares as Jayway's JsonPath did before its release 2.1 (docs/decisions/0011 names
what shows that): a literal is text, `5` as well as `'5'` and `five`, and is read as what it is compared with. What is
not there, and what cannot be compared, passes neither `==` nor `!=`. The operators that are words compare as JSON does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Final, TypeAlias

from processor.interpreter.intrinsics_java import compare_texts, printed
from processor.interpreter.paths_regex import Regex
from processor.interpreter.paths_syntax import Literally
from processor.model.json import Json

MAX_VISITS = 1_000_000  # values that all paths of one event may look at: well under a second
_STEPS_A_VISIT = 64  # of a regular expression: RE2 takes 4 to 13 ns for one, by the machine


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


Found: TypeAlias = "Json | Missing"
Compare: TypeAlias = "Callable[[Found, Found, Search], bool]"


# ---- symbolic operators

_UNLIKE = 2
"""The order of two values that are not equal, neither of them the lesser."""

_SIGNS: dict[str, frozenset[int | None]] = {
    "==": frozenset((0,)),
    "!=": frozenset((-1, 1, _UNLIKE)),
    "<": frozenset((-1,)),
    "<=": frozenset((-1, 0)),
    ">": frozenset((1,)),
    ">=": frozenset((1, 0)),
}
SYMBOLS = frozenset(_SIGNS)
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""a < b says what b > a does."""
_RELATIONS: dict[str, Callable[..., bool]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


def compare_values(symbol: str) -> Compare:
    """Return the comparison of what two paths find."""
    signs = _SIGNS[symbol]
    return lambda left, right, search: _order(left, right, search) in signs


def compare_with_literal(symbol: str, literal: Literally) -> Callable[[Found], bool]:
    """Return the test of what a path finds against a literal: text, read as the type of what is found."""
    text, signs, relation = literal.text, _SIGNS[symbol], _RELATIONS[symbol]
    number, boolean = _as_number(text), {"true": True, "false": False}.get(text)

    def test(found: Found) -> bool:
        kind = type(found)
        if kind is str:
            return compare_texts(found, text) in signs  # type: ignore[arg-type]  # kind says that it is one
        if kind is int or kind is float:
            return relation(found, number) if number is not None else text == "null" and _UNLIKE in signs
        if kind is bool and boolean is not None:
            return relation(found, boolean)
        if found is None:
            return (0 if text == "null" else _UNLIKE) in signs
        return text == "null" and _UNLIKE in signs and not isinstance(found, Missing)

    return test


def _order(left: Found, right: Found, search: Search) -> int | None:
    """Return -1, 0, 1 or _UNLIKE, None for what cannot be compared."""
    if isinstance(left, Missing) or isinstance(right, Missing):
        return None
    if left is None or right is None:
        return 0 if left is right else _UNLIKE
    if isinstance(left, dict | list) and isinstance(right, dict | list):
        return 0 if equal(left, right, search) else _UNLIKE
    if isinstance(left, bool) is not isinstance(right, bool) or isinstance(left, str) is not isinstance(right, str):
        return None
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return None
    if isinstance(left, str) and isinstance(right, str):
        return compare_texts(left, right)
    return (left > right) - (left < right)  # type: ignore[operator]  # two numbers, or two booleans


def _as_number(text: str) -> int | float | None:
    """Return the number that a literal is; None too for one that no double holds."""
    if _NUMBER.fullmatch(text) is None:
        return None
    if text.lstrip("+-").isdecimal():
        return int(text)
    number = float(text)
    return number if number - number == 0 else None


_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,9})?")
_MAX_DIGITS = 400  # more than any double is written with


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# ---- operators that are words


def equal(left: Found, right: Found, search: Search) -> bool:
    """JSON's equality: 1 equals 1.0, and neither equals true. What is missing equals nothing."""
    stack: list[tuple[Found, Found]] = [(left, right)]
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


def _in(left: Found, right: Found, search: Search) -> bool:
    return isinstance(right, list) and any(equal(left, element, search) for element in right)


def _contains(left: Found, right: Found, search: Search) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        search.spend(len(left) // 64)
        return right in left
    return _in(right, left, search)


def _any_of(left: Found, right: Found, search: Search) -> bool:
    return isinstance(left, list) and any(_in(element, right, search) for element in left)


def _subset_of(left: Found, right: Found, search: Search) -> bool:
    return isinstance(left, list) and isinstance(right, list) and all(_in(element, right, search) for element in left)


def _size(left: Found, right: Found, search: Search) -> bool:
    return isinstance(left, list | str) and equal(len(left), right, search)


def _empty(left: Found, right: Found, search: Search) -> bool:
    return isinstance(left, list | str | dict) and equal(not left, right, search)


WORDS: dict[str, Compare] = {
    "in": _in,
    "nin": lambda left, right, search: isinstance(right, list) and not _in(left, right, search),
    "contains": _contains,
    "size": _size,
    "empty": _empty,
    "anyof": _any_of,
    "noneof": lambda left, right, search: isinstance(left, list) and not _any_of(left, right, search),
    "subsetof": _subset_of,
    "all": lambda left, right, search: _subset_of(right, left, search),
}


# ---- regular expressions


def matches(found: Found, regex: Regex, search: Search) -> bool:
    """Whether the text matches, or one of an array's. Numbers and booleans match as they are written."""
    if isinstance(found, list):
        return any(matches(element, regex, search) for element in found if not isinstance(element, list))
    if isinstance(found, Missing | dict) or found is None:
        return False
    text = found if isinstance(found, str) else printed(found, limit=_MAX_DIGITS)
    search.spend(1 + len(text) * regex.size // _STEPS_A_VISIT)
    return regex.matches(text)
