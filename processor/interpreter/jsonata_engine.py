"""The engine (jlens) behind JSONata, its limits, and what an evaluation may not do to the process it runs in.

`jsonata.py` is what others use; a sandbox runs `Engine` elsewhere. Which of the limits hold, and which the engine
does not keep, is measured in docs/decisions/0010.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import jlens
import orjson
from msgspec import Struct

from processor.interpreter.jsonata_functions import (
    MAX_RANGE,
    MEMORY_LIMIT,
    PRELUDES,
    PURE,
    Draws,
    Exhausted,
    Refused,
    drawing,
    evaluate_text,
)
from processor.interpreter.jsonata_syntax import BUILT_IN, Scan
from processor.model.definition import Budget
from processor.model.ids import Millis
from processor.model.json import Json


class Undefined(enum.Enum):
    """What an expression gives that finds nothing. JSON has no such value."""

    UNDEFINED = enum.auto()


UNDEFINED: Final = Undefined.UNDEFINED


class Task(Struct, frozen=True, kw_only=True):
    """One evaluation. `variables`: those that the expression reads and that are there. `seed`: 16 bytes that its draws
    come of."""

    text: str
    states: Json
    variables: dict[str, Json]
    seed: bytes
    now: Millis


class Sandbox(Protocol):
    """Evaluates where an expression can be ended, whatever it does: in a process of its own. It has the clock that this
    layer has not.

    Both ways of evaluating take the seconds that they took from the budget, and raise Exhausted where none are left.
    SandboxUnavailable says that the sandbox failed: nothing is known of the expression.
    """

    def evaluate(self, task: Task, budget: Budget) -> Json | Undefined:
        """Return what `Engine.evaluate` gives, charged as there.

        Raises Refused as that does; Exhausted for one that had to be ended.
        """

    def timed(self, evaluate: Callable[[], Json | Undefined], budget: Budget) -> Json | Undefined:
        """Return what `evaluate` gives, called in this process. Raises what that raises."""

    def close(self) -> None:
        """Give up what it runs in. There is no evaluating afterwards."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one evaluation may take; `seconds`: of each of its tries. Steps and depth are the same for all.

    The clock is there for what takes long in few steps, such as regular expressions. It is looked at every hundred
    steps or so: what one step may cost is bounded by the sizes alone. A machine that stalls must do so in each try.
    """

    seconds: float
    tries: int
    string: int  # bytes
    array: int  # items
    result: int  # bytes of JSON text


# ---- limits. But for the clock they are the same on every machine.
MAX_LENGTH = 131_072  # characters of an expression; bounds the compiler
MAX_DEPTH = 100  # of evaluation, as AWS: 100 terms in `1+1+…`, 99 brackets
MAX_STEPS = 1_000_000  # 40 to 100 ms
MAX_ARRAY = MAX_RANGE  # items; twice what a payload of 256 KiB can hold
MAX_ARRAY_COMPARED = 10_000  # where the engine compares each item with each (0.1 s, and no clock ends it)
MAX_STRING = 4_194_304  # bytes, as AWS
MAX_RESULT = 1_048_576  # bytes of JSON: room above the quota, so that exceeding that is told by its own error
MAX_MESSAGE = 32_768  # characters of an error's message, which may repeat a value

# With whole payloads of 256 KiB the clock is overrun by 0.15 s and 20 MB at most (docs/decisions/0019).
TAME = Limits(seconds=0.03, tries=3, string=262_144, array=10_000, result=262_144)
WILD = Limits(seconds=0.25, tries=2, string=MAX_STRING, array=MAX_ARRAY, result=MAX_RESULT)  # any, without a sandbox
SANDBOXED = Limits(seconds=10.0, tries=1, string=MAX_STRING, array=MAX_ARRAY, result=MAX_RESULT)

_WRAPPER_DEPTH = 2  # levels that `_wrapped` adds
_WRAPPER_BYTES = len('{"r":}')
_COMPARING = frozenset({"distinct"})
TIMEOUT = "Expression evaluation timeout: Check for infinite loop"
_STACK_OVERFLOW = (
    "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive"
)
_LIMITS: Mapping[str, str] = {"D1011": _STACK_OVERFLOW, "D1012": TIMEOUT, "U1006": TIMEOUT, "U1001": MEMORY_LIMIT}


class Panicked(Refused):
    """The engine has a fault of its own; AWS words such a thing so too."""

    def __init__(self) -> None:
        super().__init__(None, "internal error")


class Engine:
    """A compiled expression. It takes no variable but those its text names."""

    __slots__ = ("_drawing", "_expression", "_lone_surrogate", "_max_array", "_nan", "_read", "_shadowable", "names")

    def __init__(self, text: str, found: Scan) -> None:
        self.names = found.names - {"states"}
        self._lone_surrogate = found.lone_surrogate
        self._read = tuple(sorted(name for name in self.names - BUILT_IN if name.isidentifier()))
        self._shadowable = found.names & BUILT_IN
        self._drawing = found.names & {"random", "uuid"}
        self._expression = self._wrapped(f'"r":\n{text}\n')
        self._nan = self._wrapped(f'"r":$exists([0,\n{text}\n].**[$!=$])') if found.may_give_nan else None
        self._max_array = MAX_ARRAY if found.names.isdisjoint(_COMPARING) else MAX_ARRAY_COMPARED

    def _wrapped(self, members: str) -> jlens.Expression:
        """Return the expression with its variables taken from the input, which the engine reads lazily as it does not
        its bindings. Evaluated within the grouping of nothing it has no context, not even `$string()` has; and
        undefined leaves the member out, so that it differs from null."""
        variables = "".join(f"${name}:=$$.`{name}`;" for name in ("states", *self._read))
        preludes = "".join(PRELUDES[name] for name in sorted(self._shadowable & PRELUDES.keys()))
        wrapped = jlens.Expression(f"({variables}{preludes}$§{{{members}}})")
        for name in self._shadowable & PURE.keys():
            function = PURE[name]
            wrapped.register_function("§" + name if name in PRELUDES else name, function.call, function.signature)
        if "eval" in self._shadowable:
            wrapped.register_function("eval", evaluate_text)
        return wrapped

    def evaluate(
        self,
        states: Json,
        variables: Mapping[str, Json],
        *,
        seed: bytes,
        now: Millis,
        limits: Limits,
        budget: Budget,
    ) -> Json | Undefined:
        """Return the value, and take its JSON text from the budget's `result_bytes`.

        Raises Refused: Exhausted where a limit is met, or a value is nested too deeply to be written down; Panicked
        where the engine fails itself.
        """
        if self._lone_surrogate:
            raise Refused(None, "A string literal holds half of a surrogate pair")
        root = {name: variables[name] for name in self._read if name in variables}
        root["states"] = states
        shadowing = {name: variables[name] for name in self._shadowable if name in variables}
        room = budget.result_bytes
        result = self._tried(self._expression, root, shadowing, seed, now, limits, room)
        if "r" not in result:
            return UNDEFINED
        value = result["r"]
        nan = self._nan if self._nan is not None and _holds_null(value) else None
        if nan is not None and self._tried(nan, root, shadowing, seed, now, limits, len("false"))["r"]:
            raise Refused("D1001", "Number out of range: NaN")
        value, size = _storable(value)
        budget.result_bytes -= size
        return value

    def _tried(
        self,
        expression: jlens.Expression,
        root: Json,
        shadowing: Mapping[str, Json],
        seed: bytes,
        now: Millis,
        limits: Limits,
        room: int,
    ) -> dict[str, Json]:
        tries_left = limits.tries
        while True:
            tries_left -= 1
            try:
                return self._evaluated(expression, root, shadowing, seed, now, limits, room)
            except jlens.JlensError as fault:
                if fault.code == "D1012" and tries_left:
                    continue
                if fault.code in _LIMITS:
                    raise Exhausted(_LIMITS[fault.code]) from None
                raise Refused(fault.code, str(fault)[:MAX_MESSAGE]) from None
            except BaseException as panic:
                if type(panic).__name__ != "PanicException":  # which is no Exception
                    raise
                raise Panicked from None

    def _evaluated(
        self,
        expression: jlens.Expression,
        root: Json,
        shadowing: Mapping[str, Json],
        seed: bytes,
        now: Millis,
        limits: Limits,
        room: int,
    ) -> dict[str, Json]:
        draws = Draws(seed)
        bindings: dict[str, object] = {name: drawing(name, draws) for name in self._drawing}
        bindings.update(shadowing)
        result: dict[str, Json] = expression.evaluate(
            root,
            bindings or None,
            timeout=limits.seconds,
            max_depth=MAX_DEPTH + _WRAPPER_DEPTH,
            max_steps=MAX_STEPS,
            max_string_length=limits.string,
            max_array_length=min(limits.array, self._max_array),
            max_result_size=max(0, min(room, limits.result)) + _WRAPPER_BYTES,
            now=now,
            seed=int.from_bytes(draws.draw()[:8], "big") >> 1 if "shuffle" in self._shadowable else None,
        )
        return result


# ---- values as the engine returns them


def _holds_null(value: Json) -> bool:
    """Whether null stands anywhere in `value`: the engine returns NaN so."""
    stack: list[Json] = [value]
    while stack:
        match stack.pop():
            case None:
                return True
            case dict() as members:
                stack.extend(members.values())
            case list() as elements:
                stack.extend(elements)
            case _:
                pass
    return False


def _storable(value: Json) -> tuple[Json, int]:
    """Return `value` with integers beyond 64 bits as floats, and the length of its text. What holds such an integer was
    made by this evaluation, not by others, as no input holds one: it may be changed. Raises Exhausted for a value
    nested too deeply to have a text."""
    try:
        return value, len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        value = _narrowed(value)
    try:
        return value, len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise Exhausted(MEMORY_LIMIT) from None


def _narrowed(value: Json) -> Json:
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else float(value)
    stack: list[Json] = [value]
    while stack:
        container = stack.pop()
        if type(container) is dict:
            for key, member in container.items():
                container[key] = _narrowed(member) if type(member) is int else member
            stack.extend(container.values())
        elif type(container) is list:
            container[:] = [_narrowed(element) if type(element) is int else element for element in container]
            stack.extend(container)
    return value
