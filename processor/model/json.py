"""JSON as the interpreter holds it: plain Python values, treated as frozen, written and read by orjson.

Payloads are shared, never changed in place. Numbers are what 64 bits hold: a larger integer becomes a float where it
enters, so a value and its text stand for each other for ever.
"""

from __future__ import annotations

from typing import TypeAlias

import orjson

from processor.errors import DecodingFailed, InvalidCommand

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


def parse_json(text: str | bytes, *, what: str = "JSON text") -> Json:
    """Return the value of a JSON text.

    Raises DecodingFailed for anything RFC 8259 does not allow: NaN, lone surrogates, a trailing comma.
    """
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        raise DecodingFailed(what=what, reason=str(fault)) from None
    return value


def render_json(value: Json) -> str:
    """Return the compact JSON text of a value, keys in the order they were written."""
    return orjson.dumps(value).decode()


def json_bytes(value: Json) -> bytes:
    return orjson.dumps(value)


def is_longer(value: Json, limit: int) -> bool:
    """Whether the value's text surely takes more than `limit` bytes, told in the time and memory of `limit` alone.

    Values are shared: one of a few objects may stand for gigabytes of text. False says little: escapes, numbers and
    characters beyond ASCII count as one byte each.
    """
    least = 1
    stack = [value]
    while stack and least <= limit:
        some = stack.pop()
        # One byte of each value is counted where it is held.
        if type(some) is str:
            least += len(some) + 1
        elif type(some) is dict:
            least += 5 * len(some) + sum(map(len, some))
            if least <= limit:
                stack += [one for one in some.values() if type(one) in _LONG]
        elif type(some) is list:
            least += 2 * len(some)
            if least <= limit:
                stack += [one for one in some if type(one) in _LONG]
    return least > limit


_LONG = frozenset((dict, list, str))


def canonical_json(value: Json) -> bytes:
    """Return the compact UTF-8 text with sorted keys: equal for equal values, what hashes are taken of."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def private_json(value: object, *, what: str) -> Json:
    """Return a copy of `value` that nobody else holds, as JSON.

    Raises InvalidCommand where it is no JSON: NaN, keys that are not strings, lone surrogates.
    """
    try:
        text = orjson.dumps(value)  # first: what holds itself has no end, and is refused here for its depth
        _refuse_unspeakable(value, what)
        copied: Json = orjson.loads(text)
    except (orjson.JSONEncodeError, orjson.JSONDecodeError) as fault:
        raise InvalidCommand(where=what, rule="must be JSON", value=str(fault)) from None
    return copied


def _refuse_unspeakable(value: object, what: str) -> None:
    """orjson writes NaN and infinities as null, and dates as text: neither is a JSON value."""
    stack = [value]
    while stack:
        match stack.pop():
            case None | bool() | int() | str():
                pass
            case float() as number if number - number == 0:
                pass
            case dict() as members:
                stack.extend(members.values())
            case list() | tuple() as elements:
                stack.extend(elements)
            case other:
                raise InvalidCommand(where=what, rule="must be JSON", value=other)
