"""The engine (jlens) behind JSONata, its limits, and what an evaluation may not do to the process it runs in.

`jsonata.py` is what others use; a sandbox runs `Engine` elsewhere. Which of the limits hold, and which the engine
does not keep, is measured in docs/decisions/0010.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol

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


UNDEFINED = Undefined.UNDEFINED


class Task(Struct, frozen=True, kw_only=True):
    """One evaluation. `variables`: those that the expression reads and that are there. `seed`: 16 bytes that its draws
    come of."""

    text: str
    states: Json
    variables: dict[str, Json]
    seed: bytes
    now: Millis


class Sandbox(Protocol):
    """Evaluates where an expression can be ended, whatever it does: in a process of its own."""

    def evaluate(self, task: Task, budget: Budget) -> Json | Undefined:
        """Return what `Engine.evaluate` gives, and take the time it took from the budget.

        Raises Refused as that does; Exhausted for one that had to be ended, or found nothing left.
        """

    def close(self) -> None:
        """Give up what it runs in. There is no evaluating afterwards."""


class Bounded:
    """A sandbox, and what an event may still take of it and of this process."""

    __slots__ = ("_budget", "_sandbox")

    def __init__(self, sandbox: Sandbox, budget: Budget) -> None:
        self._sandbox, self._budget = sandbox, budget

    def may_run_here(self) -> bool:
        self._budget.here -= 1
        return self._budget.here >= 0

    def runs_long(self) -> None:
        """From here on nothing of this event is tried in this process."""
        self._budget.here = 0

    def evaluate(self, task: Task) -> Json | Undefined:
        return self._sandbox.evaluate(task, self._budget)


class Clock(Struct, frozen=True):
    """How long one try may take, and how many there are."""

    seconds: float
    tries: int


# ---- limits. Steps and sizes are the same on every machine. The clock ends only what takes long without steps: regular
# expressions and copying. A machine that stalls must do so in each of the tries.
MAX_LENGTH = 131_072  # characters of an expression; bounds the compiler
MAX_DEPTH = 100  # of evaluation, as AWS: 100 terms in `1+1+…`, 99 brackets
MAX_STEPS = 1_000_000  # 40 to 100 ms
MAX_ARRAY = MAX_RANGE  # items; twice what a payload of 256 KiB can hold
MAX_ARRAY_COMPARED = 10_000  # where the engine compares each item with each (0.1 s, and no clock ends it)
MAX_STRING = 4_194_304  # bytes, as AWS
MAX_RESULT = 2_097_152  # bytes of JSON: room above the quota, so that exceeding that is told by its own error

TAME = Clock(0.03, 3)  # a tame expression copies at most 200 MB in that time
WILD = Clock(0.25, 2)  # any, where there is no sandbox
SANDBOXED = Clock(0.6, 1)  # within one; the rest of AWS's second is for the process around it

_WRAPPER_DEPTH = 2  # levels that `_wrapped` adds
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
        self, states: Json, variables: Mapping[str, Json], *, seed: bytes, now: Millis, clock: Clock
    ) -> Json | Undefined:
        """Return the value. Raises Refused: Exhausted where a limit is met, Panicked where the engine fails itself."""
        if self._lone_surrogate:
            raise Refused(None, "A string literal holds half of a surrogate pair")
        root = {name: variables[name] for name in self._read if name in variables}
        root["states"] = states
        shadowing = {name: variables[name] for name in self._shadowable if name in variables}
        result = self._tried(self._expression, root, shadowing, seed, now, clock)
        if "r" not in result:
            return UNDEFINED
        value = result["r"]
        nan = self._nan if self._nan is not None and _holds_null(value) else None
        if nan is not None and self._tried(nan, root, shadowing, seed, now, clock)["r"]:
            raise Refused("D1001", "Number out of range: NaN")
        return _storable(value)

    def _tried(
        self,
        expression: jlens.Expression,
        root: Json,
        shadowing: Mapping[str, Json],
        seed: bytes,
        now: Millis,
        clock: Clock,
    ) -> dict[str, Json]:
        tries_left = clock.tries
        while True:
            tries_left -= 1
            try:
                return self._evaluated(expression, root, shadowing, seed, now, clock.seconds)
            except jlens.JlensError as fault:
                if fault.code == "D1012" and tries_left:
                    continue
                if fault.code in _LIMITS:
                    raise Exhausted(_LIMITS[fault.code]) from None
                raise Refused(fault.code, str(fault)) from None
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
        seconds: float,
    ) -> dict[str, Json]:
        draws = Draws(seed)
        bindings: dict[str, object] = {name: drawing(name, draws) for name in self._drawing}
        bindings.update(shadowing)
        result: dict[str, Json] = expression.evaluate(
            root,
            bindings or None,
            timeout=seconds,
            max_depth=MAX_DEPTH + _WRAPPER_DEPTH,
            max_steps=MAX_STEPS,
            max_string_length=MAX_STRING,
            max_array_length=self._max_array,
            max_result_size=MAX_RESULT,
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


def _storable(value: Json) -> Json:
    """Return `value` with integers beyond 64 bits as floats. What holds one was made by this evaluation, not by others,
    as no input holds one: it may be changed."""
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else float(value)
    if type(value) is not dict and type(value) is not list:
        return value
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        _make_storable(value)
    return value


def _make_storable(value: Json) -> None:
    stack: list[Json] = [value]
    while stack:
        container = stack.pop()
        if type(container) is dict:
            for key, member in container.items():
                container[key] = _storable(member) if type(member) is int else member
            stack.extend(container.values())
        elif type(container) is list:
            container[:] = [_storable(element) if type(element) is int else element for element in container]
            stack.extend(container)
