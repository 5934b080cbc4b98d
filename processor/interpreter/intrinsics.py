"""Intrinsic functions in payload templates: `"x.$": "States.Format('{}', $.name)"`, compiled once to a closure.

The grammar is in `intrinsics_syntax.py`, the functions in `intrinsics_functions.py`. What a call fails with is AWS's:
States.Runtime with the whole text as written, where the documentation promises States.IntrinsicFailure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias, assert_never

from processor.interpreter.intrinsics_functions import (
    MAX_RESULT,
    InvalidArguments,
    apply_function,
    compile_template_text,
    format_template,
)
from processor.interpreter.intrinsics_java import TooLarge, printed
from processor.interpreter.intrinsics_syntax import (
    Argument,
    Call,
    IntrinsicFault,
    Reference,
    Scalar,
    Text,
    parse_intrinsic,
)
from processor.interpreter.paths import Missing, Path, PathFault, compile_path, rendered
from processor.interpreter.paths_select import MAX_VISITS, MISSING, Steps, definite_steps, find_step, is_definite
from processor.interpreter.paths_syntax import parse_path
from processor.interpreter.retry import DATA_LIMIT_EXCEEDED, RUNTIME
from processor.model.definition import Environment, Evaluate, StateFailure
from processor.model.json import Json

__all__ = ["IntrinsicFault", "compile_intrinsic", "is_intrinsic"]

MAX_WORK = 4 << 20  # steps that one expression may take: as many as characters in 16 times what a state may hold
WORK_A_VISIT = 8  # steps that count as one of the values that the expressions of one event may look at
MAX_CAUSE = 200  # characters of a value repeated in a cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Steps that a function takes with a value, each of 80 ns at most. What is empty is an element and no more.

    `element`: for each element of an array, twice for each member of an object; beside that `character`, `double`,
    `container` for what it is.
    """

    element: int = 2
    character: int = 1
    double: int = 0
    container: int = 2


_WALKED = frozenset((str, float, list, dict))


class _Run:
    """One evaluation: where paths look, and how much may still be made, by this expression and by all of the event."""

    __slots__ = ("allowed", "environment", "left", "value")

    def __init__(self, value: Json, environment: Environment) -> None:
        self.value, self.environment = value, environment
        self.left = self.allowed = min(MAX_WORK, (MAX_VISITS - environment.visited) * WORK_A_VISIT)

    def settle(self) -> None:
        """Charge the event with what this expression has used; its paths have charged for themselves."""
        self.environment.visited += (self.allowed - self.left) // WORK_A_VISIT

    def spend(self, value: Json, rate: Rate) -> None:
        """Count what is read or made. Raises TooLarge. Walks what it is made of, but never further than the limit."""
        stack: list[Json] = [value]
        while stack:
            some = stack.pop()
            if isinstance(some, str):
                self.left -= rate.character * len(some)
            elif isinstance(some, list):
                self.left -= rate.container + rate.element * len(some)
                stack += [one for one in some if type(one) in _WALKED and one]
            elif isinstance(some, dict):
                self.left -= rate.container + 2 * rate.element * len(some) + rate.character * sum(map(len, some))
                stack += [one for one in some.values() if type(one) in _WALKED and one]
            elif isinstance(some, float):
                self.left -= rate.double
            if self.left < 0:
                raise TooLarge


class _Absent(Exception):
    """A path found nothing; `reason` is AWS's sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Failed(Exception):
    """A call failed; `detail` is AWS's sentence."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


_Node: TypeAlias = Callable[[_Run], Json]


def is_intrinsic(text: str) -> bool:
    """Whether a text in a field that takes either is meant as an intrinsic call rather than as a path."""
    return text.startswith("States.")


def compile_intrinsic(text: str, *, field: str, pointer: str = "") -> Evaluate:
    """Return what computes the call `text`, which stands in the named field of the definition at `pointer`.

    `pointer` and `field` together tell the calls of a definition apart, for what they draw.
    Raises IntrinsicFault, a PathFault, for what is no call; PathFault for a path in it.
    What is returned raises StateFailure (States.Runtime, States.DataLimitExceeded).
    """
    call = parse_intrinsic(text)
    node = _compile_call(call, _Site(text, field, pointer))

    def evaluate(value: Json, environment: Environment) -> Json:
        run = _Run(value, environment)
        try:
            made = node(run)
        except _Failed as failed:
            cause = f"There was an error while evaluating the intrinsic function: {text}. {failed.detail}"
            raise StateFailure(RUNTIME, cause) from None
        except _Absent as absent:
            cause = f"The function '{text}' had the following error: {absent.reason}"
            raise StateFailure(RUNTIME, cause) from None
        except TooLarge:
            before = "" if run.allowed == MAX_WORK else ", with those before it,"
            cause = f"The intrinsic function{before} made more than a state may hold: {text[:MAX_CAUSE]}"
            raise StateFailure(DATA_LIMIT_EXCEEDED, cause) from None
        run.settle()
        return made

    return evaluate


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a call stands in a definition."""

    text: str
    field: str
    pointer: str

    def number(self, place: int) -> int:
        """Return the number under which the call at this place draws: of the position, so that the order in which
        expressions are evaluated is of no account."""
        position = f"{self.pointer}\0{self.field}\0{place}".encode()
        return int.from_bytes(blake2b(position, digest_size=8).digest(), "big") + 1  # 0 is the jitter of a retry


def _compile(argument: Argument, site: _Site) -> _Node:
    match argument:
        case Call():
            return _compile_call(argument, site)
        case Text() | Scalar():
            value = argument.value
            return lambda _: value
        case Reference():
            return _compile_reference(argument, site)
        case _:
            assert_never(argument)


_ONCE = Rate()
"""To walk through a value; a character takes no function more, if nothing else is said."""
_PRINTED = Rate(element=5, double=22, container=32)
_READ = {
    "States.Array": None,  # they do not look into their arguments
    "States.ArrayGetItem": None,
    "States.ArrayLength": None,
    "States.ArrayPartition": None,
    "States.UUID": None,
    "States.ArrayContains": _PRINTED,
    "States.ArrayUnique": Rate(element=12, character=2, double=42, container=38),
    "States.Format": Rate(element=5, character=3, double=22, container=32),  # a template that is not written out
    "States.Hash": _PRINTED,
    "States.JsonMerge": Rate(element=7, character=2),
    "States.JsonToString": Rate(element=6, double=28),
    "States.StringSplit": Rate(character=2),
}
_MADE = {
    "States.ArrayPartition": Rate(container=16),
}
"""By measurement, so that all of an event's take well under a second."""


def _compile_call(call: Call, site: _Site) -> _Node:
    name, number = call.name, site.number(call.place)
    if name == "States.Format" and call.arguments and isinstance(call.arguments[0], Text):
        return _compile_format(call.arguments[0], call.arguments[1:], site)
    nodes = tuple(_compile(argument, site) for argument in call.arguments)
    rate, rate_made = _READ.get(name, _ONCE), _MADE.get(name, _ONCE)

    def apply(run: _Run) -> Json:
        arguments = [node(run) for node in nodes]
        if rate is not None:
            run.spend(arguments, rate)
        try:
            made = apply_function(name, arguments, lambda: run.environment.draw(number))
        except InvalidArguments as fault:
            raise _Failed(fault.detail or f"Invalid arguments in {name}") from None
        run.spend(made, rate_made)
        return made

    return apply


def _compile_format(template: Text, arguments: tuple[Argument, ...], site: _Site) -> _Node:
    """A template that is written out is cut once. That it cannot be is found at run time, as AWS does."""
    nodes = tuple(_compile(argument, site) for argument in arguments)
    try:
        parts = compile_template_text(template.written, literal=True)
    except InvalidArguments as fault:
        detail = str(fault.detail)

        def fail(_: _Run) -> Json:
            raise _Failed(detail)

        return fail

    def apply(run: _Run) -> Json:
        values = [node(run) for node in nodes]
        run.spend(values, _PRINTED)
        try:
            made = format_template(parts, values)
        except InvalidArguments as fault:
            raise _Failed(str(fault.detail)) from None
        run.spend(made, _ONCE)
        return made

    return apply


# ---- paths


def _compile_reference(reference: Reference, site: _Site) -> _Node:
    try:
        path = compile_path(reference.text, field=site.field)
    except PathFault as fault:
        raise IntrinsicFault(str(fault), text=site.text, position=reference.position) from None
    segments = parse_path(reference.text).segments
    steps = definite_steps(segments) if is_definite(segments) else None

    def find(run: _Run) -> Json:
        if steps is None and not isinstance(searched := path.root(run.value, run.environment), Missing):
            run.spend(searched, _ONCE)  # it may look at all of it
        found = path.find(run.value, run.environment)
        if isinstance(found, Missing):
            raise _Absent(_reason(path, steps or (), run))
        return found

    return find


def _reason(path: Path, steps: Steps, run: _Run) -> str:
    """AWS tells a missing value from an index into what is no array (that sentence is its JSONPath library's).

    It names the input even where the context object was searched, and that path with one `$`.
    """
    found = path.root(run.value, run.environment)
    for step in steps:
        if isinstance(step, int) and not isinstance(found, list | Missing | None):
            current = printed(found, limit=MAX_RESULT)
            return f"Filter: [{step}] can only be applied to arrays. Current context is: {current}"
        found = MISSING if isinstance(found, Missing) or isinstance(step, tuple) else find_step(found, step)
    text = path.text.removeprefix("$") if path.reads_context else path.text
    return f"The JsonPath argument for the field '{text}' could not be found in the input '{rendered(run.value)}'"
