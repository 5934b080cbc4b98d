"""How Java values print, hash and draw, for what AWS lets show through its intrinsic functions.

Recorded: `States.Format('{}', $.object)` prints a Java map, `{Arg1=1, Arg2=[]}`; States.ArrayUnique answers in the
order of a HashSet; States.ArrayContains compares what values print as; a seeded States.MathRandom draws from
java.util.Random.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from struct import pack
from typing import assert_never

from processor.model.json import Json, canonical_json, render_json

_INT_32 = 1 << 31


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
        part: str
        match stack.pop():
            case list() as elements:
                part = "["
                stack.append("]")
                for number, element in enumerate(reversed(elements)):
                    stack.extend((", ", element) if number else (element,))
            case dict() as members:
                part = "{"
                stack.append("}")
                for number, (name, member) in enumerate(reversed(members.items())):
                    stack.extend((", ", member, f"{name}=") if number else (member, f"{name}="))
            case scalar:
                part = _scalar_text(scalar)
        limit -= len(part)
        if limit < 0:
            raise TooLarge
        parts.append(part)
    return "".join(parts)


def _scalar_text(value: str | int | float | bool | None) -> str:
    match value:
        case str():
            return value
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return double_text(value)
        case _:
            assert_never(value)


def double_text(number: float) -> str:
    """Return what Double.toString gives: plain from 0.001 up to 10,000,000, else `1.5E10`."""
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int)  # a JSON number is finite
    text, power = "".join(map(str, digits)), len(digits) + exponent - 1
    minus = "-" if sign else ""
    if number == 0:
        return f"{minus}0.0"
    if -3 <= power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{text}"
    if 0 <= power < 7:
        return f"{minus}{text[: power + 1].ljust(power + 1, '0')}.{text[power + 1 :] or '0'}"
    return f"{minus}{text[0]}.{text[1:] or '0'}E{power}"


_FLOAT = re.compile(r"(\"(?:[^\"\\]|\\.)*+\")|-?\d++(?:\.\d++)?(?:e[+-]?\d++)?")


def json_text(value: Json) -> str:
    """Return the compact JSON text with its numbers written as Java writes them. Raises TooDeep."""
    try:
        text = render_json(value)
    except TypeError:
        raise TooDeep from None
    return _FLOAT.sub(_as_java, text)


def _as_java(token: re.Match[str]) -> str:
    text = token.group()
    return double_text(float(text)) if token[1] is None and ("." in text or "e" in text) else text


def compare_texts(one: str, other: str) -> int:
    """Return -1, 0 or 1 as String.compareTo has it: by UTF-16 units, not by characters, so that one beyond the first
    65,536 stands before those from U+E000 on. Source: the documentation of java.lang.String.

    Takes no longer than the shorter text does.
    """
    if one.isascii() or other.isascii():  # where these differ, the order of units is that of characters
        return (one > other) - (one < other)
    most = min(len(one), len(other)) + 1
    first, second = (text[:most].encode("utf-16-be", "surrogatepass") for text in (one, other))
    return (first > second) - (first < second)


# ---- hashes


def hash_code(value: Json) -> int:
    """Return hashCode of the value as Jackson reads it: Integer or Long, Double, String, ArrayList, LinkedHashMap.

    The value must be one that canonical_json takes: that bounds the recursion.
    """
    match value:
        case None:
            return 0
        case bool():
            return 1231 if value else 1237
        case int():
            return _wrapped(value) if -_INT_32 <= value < _INT_32 else _long_hash(value)
        case float():
            return _long_hash(int.from_bytes(pack(">d", value), "big"))
        case str():
            return _string_hash(value)
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
    units = text.encode("utf-16-le")
    code = 0
    for number in range(0, len(units), 2):
        code = (31 * code + units[number] + (units[number + 1] << 8)) & 0xFFFFFFFF
    return _wrapped(code)


def set_order(values: Sequence[Json]) -> list[Json]:
    """Return the different values in the order in which `new HashSet<>(values)` walks them. Raises TooDeep.

    By bucket, then by first appearance; buckets are 4/3 of the values given, rounded up to a power of two, at least 16.
    1 and 1.0 differ, as an Integer and a Double do; the order of an object's names does not matter.
    """
    different: dict[bytes, Json] = {}
    try:
        for value in values:
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
