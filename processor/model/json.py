"""JSON as the interpreter holds it: plain Python values, treated as frozen, written and read by orjson.

Payloads are shared, never changed in place. Numbers are what 64 bits hold: a larger integer becomes a float where it
enters, so a value and its text stand for each other for ever.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

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
    """Return a copy of `value` that nobody else holds, as JSON; an integer beyond 64 bits as the float that its text
    is read as.

    Raises InvalidCommand, with the place, where it is no JSON: NaN, keys that are not strings, lone surrogates.
    """
    try:
        text = orjson.dumps(value)  # first: what holds itself has no end, and is refused here for its depth
    except orjson.JSONEncodeError:
        return _copied(value, what, "", depth=0)
    if _is_speakable(value):
        copied: Json = orjson.loads(text)
        return copied
    return _copied(value, what, "", depth=0)


def _is_speakable(value: object) -> bool:
    """Whether what orjson writes stands for the value: it writes NaN and infinities as null, and dates as text."""
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
            case _:
                return False
    return True


_MAX_DEPTH = 254  # levels that orjson writes


def _copied(value: object, what: str, pointer: str, *, depth: int) -> Json:
    """As private_json: slower by far, for what has an integer beyond 64 bits or is no JSON."""
    match value:
        case None | bool() | str() | int() | float():
            return _scalar(value, what, pointer)
        case dict() | list() | tuple() if depth == _MAX_DEPTH:
            raise _no_json(what, "", f"more than {_MAX_DEPTH} levels")
        case dict() as members:
            for name in members:
                if not isinstance(name, str):
                    raise _no_json(what, pointer, f"a key of type {type(name).__name__}")
                if not _is_unicode(name):
                    raise _no_json(what, pointer, f"a key with {_HALF}")
            return {
                str(name): _copied(member, what, f"{pointer}/{escaped(name)}", depth=depth + 1)
                for name, member in members.items()
            }
        case list() | tuple() as elements:
            return [
                _copied(element, what, f"{pointer}/{index}", depth=depth + 1) for index, element in enumerate(elements)
            ]
        case _:  # its own words may be of any length
            raise _no_json(what, pointer, f"a value of type {type(value).__name__}")


def _scalar(value: str | float | None, what: str, pointer: str) -> Json:
    match value:
        case None | bool():
            return value
        case str():
            if not _is_unicode(value):
                raise _no_json(what, pointer, _HALF)
            return str(value)
        case int() if _LEAST_INTEGER <= value <= _MOST_INTEGER:
            return int(value)
        case int() | float():
            try:
                number = float(value)
            except OverflowError:
                raise _no_json(what, pointer, "an integer that no float comes near to") from None
            if number - number != 0:
                raise _no_json(what, pointer, number)
            return number
        case _:
            assert_never(value)


_HALF = "half of a surrogate pair"
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(name: str) -> str:
    """Return the name as a token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _no_json(what: str, pointer: str, value: object) -> InvalidCommand:
    return InvalidCommand(where=what, pointer=pointer, rule="must be JSON", value=value)
