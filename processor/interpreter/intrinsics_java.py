"""How Java values print, hash and draw, for what AWS lets show through its intrinsic functions.

Recorded: `States.Format('{}', $.object)` prints a Java map, `{Arg1=1, Arg2=[]}`; States.ArrayUnique answers in the
order of a HashSet; States.ArrayContains compares what values print as; a seeded States.MathRandom draws from
java.util.Random.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from struct import Struct, unpack
from typing import assert_never

from processor.model.json import Json, canonical_json, render_json

_INT_32 = 1 << 31
_DOUBLE, _INT_64 = Struct(">d"), Struct(">q")


class TooLarge(Exception):
    """More text than one expression may make."""


class TooDeep(Exception):
    """A value nested deeper than a text may be."""


# ---- texts


def printed(value: Json, *, limit: int) -> str:
    """Return what String.valueOf gives for the value. Raises TooLarge beyond `limit` characters.

    A stack instead of recursion: payloads may be nested deeper than Python likes.
    """
    if isinstance(value, str):
        return value
    parts: list[str] = []
    stack: list[Json] = [value]
    while stack:
        some = stack.pop()
        if isinstance(some, list | dict) and some:
            pieces = _pieces(some)
            if not _CONTAINERS.isdisjoint(map(type, pieces)) and any(map(_is_filled, pieces)):
                stack += reversed(pieces)
                continue
            texts = [piece if type(piece) is str else _TEXT_OF[type(piece)](piece) for piece in pieces]
        else:
            texts = [_TEXT_OF[type(some)](some)]
        limit -= sum(map(len, texts))
        if limit < 0:
            raise TooLarge
        parts += texts
    return "".join(parts)


def prints_as(value: Json, text: str) -> bool:
    """Whether that is what String.valueOf gives; what is longer is not written out."""
    if not isinstance(value, list | dict) or not value:
        return _TEXT_OF[type(value)](value) == text
    try:
        return printed(value, limit=len(text)) == text
    except TooLarge:
        return False


def _is_filled(value: Json) -> bool:
    return type(value) in _CONTAINERS and bool(value)


def _pieces(container: list[Json] | dict[str, Json]) -> list[Json]:
    """Return what a container that is not empty prints as, one piece after the other; what it holds is not yet text."""
    pieces: list[Json]
    if isinstance(container, list):
        pieces = [", "] * (2 * len(container) + 1)
        pieces[1::2] = container
        pieces[0], pieces[-1] = "[", "]"
    else:
        pieces = [", "] * (3 * len(container) + 1)
        pieces[1::3] = [f"{name}=" for name in container]
        pieces[2::3] = container.values()
        pieces[0], pieces[-1] = "{", "}"
    return pieces


def double_text(number: float) -> str:
    """Return what Double.toString gives: plain from 0.001 up to 10,000,000, else `1.5E10`."""
    text = repr(number)  # the shortest that reads back, as Java's
    if 0.001 <= abs(number) < 10_000_000 or number == 0:
        return text
    minus, text = ("-", text[1:]) if number < 0 else ("", text)
    significand, _, exponent = text.partition("e")
    whole, _, fraction = significand.partition(".")
    power = len(whole) - 1 + int(exponent or 0)
    digits = (whole + fraction).rstrip("0")
    if digits[0] == "0":  # 0.0001 and more: Python has no exponent there
        digits = digits.lstrip("0")
        power = len(digits) - len(fraction.rstrip("0")) - 1
    return f"{minus}{digits[0]}.{digits[1:] or '0'}E{power}"


_CONTAINERS = frozenset((list, dict))
_TEXT_OF: dict[type, Callable[..., str]] = {
    str: str,
    int: str,
    float: double_text,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    list: lambda _: "[]",  # the empty ones
    dict: lambda _: "{}",
}

_TEXT_OR_DOUBLE = re.compile(r"(\"(?:[^\"\\]|\\.)*+\")|(?<!\d)-?\d++(?:\.\d++(?:e[+-]?\d++)?|e[+-]?\d++)")


def json_text(value: Json) -> str:
    """Return the compact JSON text with its numbers written as Java writes them. Raises TooDeep."""
    try:
        text = render_json(value)
    except TypeError:
        raise TooDeep from None
    return _TEXT_OR_DOUBLE.sub(_as_java, text)


def _as_java(token: re.Match[str]) -> str:
    return token[1] if token[1] is not None else double_text(float(token[0]))


def compare_texts(one: str, other: str) -> int:
    """Return -1, 0 or 1 as String.compareTo has it: by UTF-16 units, not by characters, so that one beyond the first
    65,536 stands before those from U+E000 on. Source: the documentation of java.lang.String.

    Takes no longer than the shorter text does.
    """
    if one.isascii() or other.isascii():  # where these differ, the order of units is that of characters
        return (one > other) - (one < other)
    same, most = 0, min(len(one), len(other))
    while same < most:  # they begin with as many equal characters, and with no more than `most`
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    first, second = (text[same : same + 1].encode("utf-16-be", "surrogatepass") for text in (one, other))
    return (first > second) - (first < second)


# ---- hashes


def hash_code(value: Json) -> int:
    """Return hashCode of the value as Jackson reads it: Integer or Long, Double, String, ArrayList, LinkedHashMap.

    The value must be one that canonical_json takes: that bounds the recursion.
    """
    match value:
        case str():
            return _string_hash(value)
        case bool():
            return 1231 if value else 1237
        case int():
            return _wrapped(value) if -_INT_32 <= value < _INT_32 else _long_hash(value)
        case float():
            return _long_hash(_INT_64.unpack(_DOUBLE.pack(value))[0])
        case None:
            return 0
        case list():
            code = 1
            for element in value:
                code = (31 * code + hash_code(element)) & 0xFFFFFFFF
            return _wrapped(code)
        case dict():
            code = 0
            for name, member in value.items():
                code += _string_hash(name) ^ hash_code(member)
            return _wrapped(code)
        case _:
            assert_never(value)


def _wrapped(number: int) -> int:
    return ((number + _INT_32) & 0xFFFFFFFF) - _INT_32


def _long_hash(number: int) -> int:
    bits = number & 0xFFFFFFFFFFFFFFFF
    return _wrapped(bits ^ (bits >> 32))


def _string_hash(text: str) -> int:
    encoded = text.encode("ascii" if text.isascii() else "utf-16-le")
    units: Sequence[int] = encoded if text.isascii() else unpack(f"<{len(encoded) // 2}H", encoded)
    code = 0
    for unit in units:
        code = (31 * code + unit) & 0xFFFFFFFF
    return _wrapped(code)


def set_order(values: Sequence[Json]) -> list[Json]:
    """Return the different values in the order in which `new HashSet<>(values)` walks them. Raises TooDeep.

    By bucket, then by first appearance; buckets are 4/3 of the values given, rounded up to a power of two, at least 16.
    1 and 1.0 differ, as an Integer and a Double do; the order of an object's names does not matter.
    """
    different: dict[str | int | bytes, Json] = {}
    try:
        for value in values:
            # 1, 1.0, true and "1" are four: numbers that are no integers, and the rest, by what is written of them.
            if isinstance(value, str | int) and not isinstance(value, bool):
                different.setdefault(value, value)
            else:
                different.setdefault(canonical_json(value), value)
    except TypeError:
        raise TooDeep from None
    capacity = max(16, _capacity_for(len(values)))
    return sorted(different.values(), key=lambda value: _bucket(value, capacity))


def merged(first: dict[str, Json], second: dict[str, Json]) -> dict[str, Json]:
    """Return the members of both, the second's where both have one, in the order in which a HashMap walks them.

    Recorded: it is `new HashMap<>(first)`, then `putAll(second)`. It grows to twice its buckets when more than 3/4 of
    them are taken.
    """
    members = {**first, **second}
    capacity = _capacity_for(len(first) or len(second))
    while max(len(second), len(members)) > capacity * 3 // 4:
        capacity *= 2
    return {name: members[name] for name in sorted(members, key=lambda name: _bucket(name, capacity))}


def _capacity_for(size: int) -> int:
    """Return the buckets a HashMap begins with that is to hold so many: the power of two from 4/3 of them up."""
    return 1 << (size * 4 // 3).bit_length()


def _bucket(value: Json, capacity: int) -> int:
    code = hash_code(value) & 0xFFFFFFFF
    return (code ^ (code >> 16)) & (capacity - 1)


# ---- numbers


def rounded(number: int | float) -> int:
    """Return what Math.round gives: to the nearest integer, halves upwards (-1.5 is -1; recorded)."""
    whole = int(number // 1)
    return whole + 1 if number - whole >= 0.5 else whole


def seeded_below(bound: int, *, seed: int) -> int:
    """Return `new Random(seed).nextInt(bound)`, for a bound of 1 to 2**31 - 1."""
    state = _scrambled(seed)
    while True:
        state = _following(state)
        bits = state >> 17
        if bound & (bound - 1) == 0:
            return (bound * bits) >> 31
        drawn = bits % bound
        if bits - drawn + bound - 1 < _INT_32:  # else the last, incomplete stretch of 2**31 would be favoured
            return drawn


def seeded_fraction(seed: int) -> float:
    """Return `new Random(seed).nextDouble()`, a number in [0, 1)."""
    first = _following(_scrambled(seed))
    return ((first >> 22 << 27) + (_following(first) >> 21)) / (1 << 53)


_MULTIPLIER, _MASK = 0x5DEECE66D, (1 << 48) - 1
"""Of java.util.Random, as its documentation has it: a linear congruential generator of 48 bits."""


def _scrambled(seed: int) -> int:
    return (seed ^ _MULTIPLIER) & _MASK


def _following(state: int) -> int:
    return (state * _MULTIPLIER + 0xB) & _MASK
