"""The 18 intrinsic functions, as AWS runs them: plain functions of their argument values.

Where the developer guide and AWS differ, AWS is followed; each such place names what was seen. Faults raise
InvalidArguments; whoever calls adds the text of the call. Source: AWS developer guide, "Intrinsic functions for
JSONPath states"; recordings of LocalStack's tests (in `CONFORMANCE_DIR`) and of tiny-asl-machine's.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import TypeAlias

from processor.errors import DecodingFailed
from processor.interpreter.entropy import uuid_of
from processor.interpreter.intrinsics_java import (
    TooDeep,
    TooLarge,
    json_text,
    merged,
    printed,
    prints_as,
    rounded,
    seeded_below,
    set_order,
)
from processor.interpreter.intrinsics_json import json_complaint
from processor.model.json import Json, parse_json

MAX_TEXT = 10_000  # characters that Base64Encode, Base64Decode and Hash take
MAX_RANGE = 1_000  # items that ArrayRange makes
MAX_RESULT = 1 << 20  # characters one call may print: four times what a state may hold
_INT_32 = 1 << 31

Draw: TypeAlias = Callable[[], bytes]
"""→ 16 random bytes, the same whenever this call is run again."""


class InvalidArguments(Exception):
    """A call that cannot be carried out. `detail` is AWS's sentence, None for the usual one."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail


def apply_function(name: str, arguments: Sequence[Json], draw: Draw) -> Json:
    """Return what the function gives. Raises InvalidArguments, TooLarge.

    `States.Format` counts its template among the arguments; a literal one is better handed to `format_template`.
    """
    least, most = _COUNTS.get(name, (1, 1))
    if len(arguments) < least or (most is not None and len(arguments) > most):
        raise InvalidArguments
    try:
        return _apply(name, arguments, draw)
    except TooDeep:
        raise InvalidArguments from None


_COUNTS: dict[str, tuple[int, int | None]] = {
    "States.Array": (0, None),
    "States.ArrayContains": (2, 2),
    "States.ArrayGetItem": (2, 2),
    "States.ArrayPartition": (2, 2),
    "States.ArrayRange": (3, 3),
    "States.Format": (1, None),
    "States.Hash": (2, 2),
    "States.JsonMerge": (3, 3),
    "States.MathAdd": (2, 2),
    "States.MathRandom": (2, 3),
    "States.StringSplit": (2, 2),
    "States.UUID": (0, None),  # AWS ignores arguments: recorded for `States.UUID('x')`
}


def _apply(name: str, arguments: Sequence[Json], draw: Draw) -> Json:
    match name:
        case "States.Array":
            return list(arguments)
        case "States.ArrayContains":
            return _array_contains(*arguments)
        case "States.ArrayGetItem":
            return _array_get_item(*arguments)
        case "States.ArrayLength":
            return len(_array(arguments[0]))
        case "States.ArrayPartition":
            return _array_partition(*arguments)
        case "States.ArrayRange":
            return _array_range(*arguments)
        case "States.ArrayUnique":
            return set_order(_array(arguments[0]))
        case "States.Base64Decode":
            return _base64_decode(_short_text(arguments[0]))
        case "States.Base64Encode":
            return b64encode(_short_text(arguments[0]).encode()).decode()
        case "States.Format":
            return format_template(compile_template_text(_print(arguments[0]), literal=False), arguments[1:])
        case "States.Hash":
            return _hash(*arguments)
        case "States.JsonMerge":
            return _json_merge(*arguments)
        case "States.JsonToString":
            return json_text(arguments[0])
        case "States.MathAdd":
            return _within_int_32(_int_32(arguments[0], rounded) + _int_32(arguments[1], rounded))
        case "States.MathRandom":
            return _math_random(arguments, draw)
        case "States.StringSplit":
            return _string_split(_text(arguments[0]), _text(arguments[1]))
        case "States.StringToJson":
            return _string_to_json(_text(arguments[0]))
        case _:
            return uuid_of(draw())


# ---- argument types


def _array(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise InvalidArguments
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise InvalidArguments
    return value


def _short_text(value: Json) -> str:
    if len(text := _text(value)) > MAX_TEXT:
        raise InvalidArguments
    return text


def _number(value: Json) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArguments
    return value


def _int_32(value: Json, whole: Callable[[int | float], int] = int) -> int:
    """Cut to an integer, as AWS does: 2.6 is 2 for all but MathAdd, although the guide says that it is rounded to 3.

    Recorded: `ArrayPartition($.a, 2.6)` makes twos, `ArrayRange(1.6, 1.4, 1)` is [1], `MathRandom(1.6, 5.4)` gave 1.
    """
    return _within_int_32(whole(_number(value)))


def _within_int_32(number: int) -> int:
    if not -_INT_32 <= number < _INT_32:
        raise InvalidArguments
    return number


def _print(value: Json) -> str:
    return printed(value, limit=MAX_RESULT)


# ---- arrays


def _array_contains(array: Json, value: Json) -> bool:
    """AWS compares what the two print as: 1 is in ["1"], and {"a":1,"b":2} is not in [{"b":2,"a":1}]; both recorded."""
    elements, sought = _array(array), _print(value)
    return sought in elements or any(prints_as(element, sought) for element in elements if type(element) is not str)


def _array_get_item(array: Json, index: Json) -> Json:
    """An empty array gives null whatever the index: recorded for 999."""
    elements, at = _array(array), _int_32(index)
    if not elements:
        return None
    if not 0 <= at < len(elements):
        raise InvalidArguments
    return elements[at]


def _array_partition(array: Json, size: Json) -> Json:
    elements, length = _array(array), _int_32(size)
    if length < 1:
        raise InvalidArguments
    return [elements[at : at + length] for at in range(0, len(elements), length)]


def _array_range(first: Json, last: Json, step: Json) -> Json:
    start, stop, by = _int_32(first), _int_32(last), _int_32(step)
    if by == 0:
        raise InvalidArguments
    numbers = range(start, stop + (1 if by > 0 else -1), by)
    if len(numbers) > MAX_RANGE:
        raise InvalidArguments
    return list(numbers)


# ---- texts

Template: TypeAlias = tuple[str, ...]
"""A template of States.Format, cut at each `{}`: the texts around n placeholders are n + 1."""


def compile_template_text(text: str, *, literal: bool) -> Template:
    """Return a template's parts. Raises InvalidArguments for a brace without its partner.

    `literal`: the text as written between the quotes, all four escapes in it. In a template that comes with the data
    only braces need escaping, and other backslashes are themselves.
    """
    parts: list[list[str]] = [[]]
    for stretch in (_WRITTEN if literal else _COMPUTED).findall(text):
        if stretch == "{}":
            parts.append([])
        elif stretch in ("{", "}"):
            partner = "}" if stretch == "{" else "{"
            raise InvalidArguments(
                f"Invalid template in States.Format: matching '{partner}' not found for '{stretch}'."
            )
        else:
            parts[-1].append(stretch[1:] if stretch[0] == "\\" and stretch[1:] else stretch)
    return tuple("".join(part) for part in parts)


_WRITTEN = re.compile(r"[^\\{}]+|\\['\\{}]|\\|\{\}|[{}]")
_COMPUTED = re.compile(r"[^\\{}]+|\\[{}]|\\|\{\}|[{}]")


def format_template(template: Template, values: Sequence[Json]) -> str:
    """Return the template with what the values print as in its places. Raises InvalidArguments, TooLarge."""
    if len(values) != len(template) - 1:
        reason = "number of arguments do not match the occurrences of {}."
        raise InvalidArguments(f"Invalid arguments in States.Format: {reason}")
    made, size = [template[0]], len(template[0])
    for value, text in zip(values, template[1:], strict=True):
        made += (_print(value), text)
        size += len(made[-2]) + len(text)
        if size > MAX_RESULT:
            raise TooLarge
    return "".join(made)


def _string_split(text: str, delimiters: str) -> Json:
    """Every character of `delimiters` divides, and nothing empty is kept: recorded, ",,,," gives []."""
    if not delimiters:
        return [text] if text else []
    divider = delimiters[0]
    divided = text.translate(dict.fromkeys(map(ord, delimiters), divider))
    return [part for part in divided.split(divider) if part]


def _base64_decode(text: str) -> str:
    """AWS decodes what it can: characters that are not of the alphabet are passed over, the first `=` ends it.

    Recorded: "!!!invalid!!!", "abc" and "ab==cd" are accepted; so decodes Apache's commons-codec, which takes `-` and
    `_` of the alphabet for URLs as well.
    """
    sextets = [char for char in text.partition("=")[0].translate(_URL_SAFE) if char in _BASE64]
    if len(sextets) % 4 == 1:
        sextets.pop()
    padding = "=" * (-len(sextets) % 4)
    return b64decode("".join(sextets) + padding).decode(errors="replace")


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_URL_SAFE = str.maketrans("-_", "+/")


def _hash(data: Json, algorithm: Json) -> str:
    """Data that is no string is hashed as it prints: recorded for a number and an object."""
    if data is None or not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise InvalidArguments
    if len(text := _print(data)) > MAX_TEXT:
        raise InvalidArguments
    # MD5 and SHA-1 tell users' data apart here; nothing is protected by them.
    return hashlib.new(_ALGORITHMS[algorithm], text.encode(), usedforsecurity=False).hexdigest()


_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


# ---- JSON


def _json_merge(first: Json, second: Json, deep: Json) -> Json:
    """Only the shallow merge exists; whatever is not true asks for it (recorded for the text 'false')."""
    if not isinstance(first, dict) or not isinstance(second, dict) or deep is True:
        raise InvalidArguments
    return merged(first, second)


def _string_to_json(text: str) -> Json:
    """A blank text is null: recorded for "" and " "."""
    if not text.strip(" \t\r\n"):
        return None
    try:
        return parse_json(text)
    except DecodingFailed:
        complaint = json_complaint(text)
    raise InvalidArguments(f"Cannot convert String to Json in States.StringToJson, caused by: {complaint}")


# ---- numbers and chance


def _math_random(arguments: Sequence[Json], draw: Draw) -> int:
    """From start up to, not including, end. With a seed, AWS's numbers: recorded, (1, 100, 42) gives 63."""
    start, end = _int_32(arguments[0]), _int_32(arguments[1])
    if start >= end:
        raise InvalidArguments
    if len(arguments) == 2:
        return start + int.from_bytes(draw()[:8], "big") % (end - start)
    if end - start >= _INT_32:  # beyond the range of a Java int
        raise InvalidArguments
    return start + seeded_below(end - start, seed=int(_number(arguments[2])))
