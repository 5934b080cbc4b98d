"""The functions that AWS adds to JSONata, and what stands in for `$eval`, which it takes away.

Sources: "JSONata functions provided by Step Functions" in AWS's documentation and the recordings of
`test_array_jsonata`, `test_json_manipulation_jsonata`; what an odd argument gives is reported by users who measured
it on AWS: numbers are cut towards zero, a missing argument gives undefined, `$random(42)` is 0.7275636800328681.

The engine hands None to a function for undefined and takes None for undefined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import orjson

from processor.interpreter.entropy import fraction, uuid_of
from processor.interpreter.intrinsics_java import seeded_fraction
from processor.model.json import Json

MAX_RANGE = 262_144
"""Elements of a `$range`: what the engine holds in one array (see `jsonata_engine.py`). AWS ends at 360,145."""

_LONG = 2**63
_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class Refused(Exception):
    """The evaluation ends in an error. `code`: JSONata's, None for what the language has no code for."""

    def __init__(self, code: str | None, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


MEMORY_LIMIT = "Expression evaluation memory limit exceeded: Check for excessive memory usage"


class Exhausted(Refused):
    """A limit is met."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


@dataclass(frozen=True, slots=True)
class Function:
    """`signature`: JSONata's notation; the engine checks it before each call."""

    signature: str
    call: Callable[..., Json]


class Draws:
    """The draws of one evaluation: any number of 16 bytes from one seed of 16 bytes."""

    __slots__ = ("_next", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._next = 0

    def draw(self) -> bytes:
        """BLAKE2b (RFC 7693) keyed by the seed, over the number of the draw."""
        self._next += 1
        return hashlib.blake2b(str(self._next).encode(), key=self._seed, digest_size=16).digest()


def _whole(number: float) -> int:
    """Cut towards zero, within what 64 bits hold, as the recorded service's language does."""
    return max(-_LONG, min(int(number), _LONG - 1))


def partition(array: list[Json] | None, size: float | None) -> Json:
    if array == [None]:  # null made an array by the signature
        raise Refused("T0412", 'Argument 1 of function "partition" must be an array of "arrays"')
    if not array or size == 0:
        return None
    step = len(array) if size is None else _whole(size)
    if step < 0:
        raise Refused("D3137", "Second argument must be zero or greater")
    return [array[start : start + step] for start in range(0, len(array), step)] if step else None


def arithmetic_range(first: float | None, last: float | None, step: float | None) -> Json:
    """Both ends inclusive. One number comes alone: recorded for `$range(1, 9, 9)`."""
    if first is None or last is None or step is None or not _whole(step):
        return None
    numbers = range(_whole(first), _whole(last) + (1 if step > 0 else -1), _whole(step))
    if len(numbers[: MAX_RANGE + 1]) > MAX_RANGE:
        raise Exhausted(MEMORY_LIMIT)
    made: list[Json] = list(numbers)
    return made if len(made) > 1 else made[0] if made else None


def digest(text: str | None, algorithm: str | None) -> Json:
    if text is None or algorithm is None:
        return None
    if algorithm not in _ALGORITHMS:
        raise Refused("D3137", f"Invalid Hashing Algorithm: {algorithm}. Accepted: {', '.join(_ALGORITHMS)}")
    return hashlib.new(_ALGORITHMS[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def parse_text(text: str | None) -> Json:
    """Return the value in an object: null by itself would be undefined."""
    if text is None:
        return None
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Refused("D3137", "Invalid JSON") from None
    return {"v": value}


def evaluate_text(*_: Json) -> Json:
    """`$eval` is no function on AWS."""
    raise Refused("T1006", "Attempted to invoke a non-function")


def draw_random(draws: Draws, *arguments: Json) -> Json:
    _check_arguments("random", arguments, numbers=1)
    if not arguments or arguments[0] is None:
        return fraction(draws.draw())
    seed = arguments[0]
    assert isinstance(seed, int | float)
    return seeded_fraction(_whole(seed))


def draw_uuid(draws: Draws, *arguments: Json) -> Json:
    _check_arguments("uuid", arguments, numbers=0)
    return uuid_of(draws.draw())


def _check_arguments(name: str, arguments: tuple[Json, ...], *, numbers: int) -> None:
    for number, argument in enumerate(arguments, 1):
        if number > numbers or not (argument is None or type(argument) in (int, float)):
            raise Refused("T0410", f'Argument {number} of function "{name}" does not match function signature')


PURE: Mapping[str, Function] = {
    "partition": Function("<a?n?:a>", partition),
    "range": Function("<nnn?:x>", arithmetic_range),
    "hash": Function("<s?s?:s>", digest),
    "parse": Function("<s?:x>", parse_text),
}

PRELUDES: Mapping[str, str] = {"parse": "$parse:=function($t)<s?:x>{$§parse($t).v};"}
"""Written before the expression. `$§parse` is the registered function; no workflow variable can have that name."""


def drawing(name: str, draws: Draws) -> Callable[..., Json]:
    return partial(draw_random if name == "random" else draw_uuid, draws)
