"""JSONata: the one place that knows the engine (jlens). An expression is compiled once; evaluated it gives a value,
UNDEFINED, or StateFailure in AWS's words. Time and entropy are arguments; an evaluation reads nothing else.

What a text refers to is found in `jsonata_syntax.py`, AWS's own functions are in `jsonata_functions.py`, objects
and arrays with expressions in them in `jsonata_template.py`. Why this engine, and what its limits leave open:
docs/decisions/0010.

Sources: AWS's documentation, "Transforming data with JSONata in Step Functions", and the recordings that name
States.QueryEvaluationError; the wording of the limits, and that nesting ends at 100, users have measured on AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import jlens

from processor.interpreter.jsonata_engine import (
    MAX_LENGTH,
    TAME,
    UNDEFINED,
    WILD,
    Bounded,
    Engine,
    Panicked,
    Sandbox,
    Task,
    Undefined,
)
from processor.interpreter.jsonata_functions import Exhausted, Refused
from processor.interpreter.jsonata_syntax import BUILT_IN, Scan, scan
from processor.model.definition import StateFailure
from processor.model.ids import Millis
from processor.model.json import Json, render_json

__all__ = [
    "UNDEFINED",
    "Bounded",
    "Entropy",
    "EvaluationFailed",
    "Expression",
    "JsonataFault",
    "Sandbox",
    "Task",
    "TypeName",
    "Undefined",
    "compile_expression",
    "type_name",
]

QUERY_EVALUATION_ERROR = "States.QueryEvaluationError"


Entropy: TypeAlias = Callable[[], bytes]
"""Gives 16 new bytes at each call; called at most once in an evaluation, and only if that draws anything."""


class JsonataFault(ValueError):
    """A text that is no expression of AWS's JSONata. `code` is that of AWS's diagnostic; `position` counts characters
    of the text, None where the whole of it is meant."""

    def __init__(
        self,
        message: str,
        *,
        position: int | None = None,
        code: Literal["INVALID_JSONATA_EXPRESSION", "UNSUPPORTED_JSONATA_EXPRESSION"] = "INVALID_JSONATA_EXPRESSION",
    ) -> None:
        super().__init__(message)
        self.message, self.position, self.code = message, position, code


class EvaluationFailed(StateFailure):
    """States.QueryEvaluationError. `location` is that of AWS's EvaluationFailed event: 'Output/a/b[0]'; None where no
    expression was at fault."""

    def __init__(self, cause: str, *, location: str | None) -> None:
        super().__init__(QUERY_EVALUATION_ERROR, cause)
        self.location = location


TypeName: TypeAlias = Literal["array", "boolean", "null", "number", "object", "string"]


def type_name(value: Json) -> TypeName:
    """Return JSON's name of the type of `value`."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


class Expression:
    """An expression of the field at `field`, ready to evaluate; shared, and never changed by evaluating.

    `variables`: the workflow variables that it reads; `states_fields`: what it reads of `$states`, None where that is
    not told by the text. `whole`: it hands on `$states.input` or `$states.result` as that is. `constant`: it reads
    nothing, and draws nothing.
    """

    __slots__ = ("_read", "constant", "field", "states_fields", "text", "variables", "whole")

    def __init__(self, text: str, field: str, *, found: Scan, read: _Read) -> None:
        self.text = text
        self.field = field
        self.variables = found.names - BUILT_IN - {"states"}
        self.states_fields = found.states_fields
        self.whole = _WHOLE.get(text)
        self.constant = _SCALAR.fullmatch(text) is not None
        self._read = read

    def evaluate(
        self,
        states: Json,
        variables: Mapping[str, Json],
        *,
        entropy: Entropy,
        now: Millis,
        sandbox: Bounded | None = None,
    ) -> Json | Undefined:
        """Return what the expression gives for `$states` and the variables. `now` is what `$now` and `$millis` tell.

        Without a sandbox an expression that is not tame runs here, where some cannot be ended. Raises EvaluationFailed.
        """
        try:
            return self._read(states, variables, entropy, now, sandbox)
        except Panicked:
            cause = f"{self._subject} threw an internal error during evaluation."
            raise EvaluationFailed(cause, location=self.field) from None
        except Refused as refusal:
            # A limit is worded after a colon, the language's own errors after a full stop, with their code.
            tail = f": {refusal.message}" if refusal.code is None else f". {refusal.code}: {refusal.message}"
            cause = f"{self._subject} threw an error during evaluation{tail}"
            raise EvaluationFailed(cause, location=self.field) from None

    def value(
        self,
        states: Json,
        variables: Mapping[str, Json],
        *,
        entropy: Entropy,
        now: Millis,
        sandbox: Bounded | None = None,
        expected: TypeName | None = None,
    ) -> Json:
        """Return what a field takes: a value, of the expected type. Raises EvaluationFailed, for undefined too."""
        value = self.evaluate(states, variables, entropy=entropy, now=now, sandbox=sandbox)
        if isinstance(value, Undefined):
            raise EvaluationFailed(f"{self._subject} returned nothing (undefined).", location=self.field)
        if expected is not None and type_name(value) != expected:
            raise self.unexpected(value, expected)
        return value

    def unexpected(self, value: Json, expected: TypeName) -> EvaluationFailed:
        cause = (
            f"{self._subject} returned an unexpected result type. Expected '{expected}', but was "
            f"'{type_name(value)}' for value: {_rendered(value)}"
        )
        return EvaluationFailed(cause, location=self.field)

    @property
    def _subject(self) -> str:
        return f"The JSONata expression '{self.text}' specified for the field '{self.field}'"


def compile_expression(text: str, *, field: str) -> Expression:
    """Return the expression of a text, given without `{% %}`. Raises JsonataFault."""
    text = text.strip()
    if len(text) > MAX_LENGTH:
        raise JsonataFault(f"The expression is longer than {MAX_LENGTH} characters")
    try:
        jlens.Expression(text)  # by itself first, or it might close the brackets of the wrapper
    except jlens.JlensError as fault:
        raise JsonataFault(str(fault), position=fault.position) from None
    except UnicodeEncodeError as fault:
        raise JsonataFault("The expression is no Unicode text: half of a pair", position=fault.start) from None
    found = scan(text)
    for name in found.top_level:
        where = "" if name == "$$" else "at the top level "
        raise JsonataFault(f"Reference to '{name}' {where}is not supported.", code="UNSUPPORTED_JSONATA_EXPRESSION")
    return Expression(text, field, found=found, read=_compile(text, found))


# ---- the three ways to evaluate: a path and a constant need no engine

_Read: TypeAlias = "Callable[[Json, Mapping[str, Json], Entropy, Millis, Bounded | None], Json | Undefined]"

_NAME = r"(?!(?:true|false|null|function|λ)\b)[^\W\d]\w*"
_PATH = re.compile(rf"\$({_NAME})((?:\.{_NAME})*)")
_SCALAR = re.compile(r"""true|false|null|-?(?:0|[1-9][0-9]{0,14})|"[^"\\]*"|'[^'\\]*'""")
_WHOLE: Mapping[str, Literal["INPUT", "RESULT"]] = {"$states.input": "INPUT", "$states.result": "RESULT"}
_DRAWING = frozenset({"random", "shuffle", "uuid"})
_UNUSED_SEED = bytes(16)


def _compile(text: str, found: Scan) -> _Read:
    engine = Engine(text, found)
    if _SCALAR.fullmatch(text):
        value = engine.evaluate({}, {}, seed=_UNUSED_SEED, now=Millis(0), clock=WILD)
        return lambda *_: value
    run = _run_tame(engine, text, found) if found.tame else _run_wild(engine, text, found)
    if (path := _PATH.fullmatch(text)) and path[1] not in BUILT_IN:
        return _read_path(None if path[1] == "states" else path[1], tuple(path[2].split(".")[1:]), run)
    return run


def _read_path(root: str | None, steps: tuple[str, ...], run: _Read) -> _Read:
    """`$states.input.a`, `$x.a`: objects all the way. Where an array stands on it, the engine maps the rest over it."""

    def read(
        states: Json, variables: Mapping[str, Json], entropy: Entropy, now: Millis, sandbox: Bounded | None
    ) -> Json | Undefined:
        found: Json | Undefined = states if root is None else variables.get(root, UNDEFINED)
        for step in steps:
            if type(found) is dict:
                found = found.get(step, UNDEFINED)
            elif type(found) is list:
                return run(states, variables, entropy, now, sandbox)
            else:
                return UNDEFINED
        # JSONata's numbers have no "1.0": users saw 1 come of it on AWS.
        return int(found) if type(found) is float and found.is_integer() and abs(found) < 2**53 else found

    return read


def _run_tame(engine: Engine, text: str, found: Scan) -> _Read:
    """Evaluate here; what needs more than a tame expression may have, again in the sandbox."""
    draws = not _DRAWING.isdisjoint(found.names)

    def run(
        states: Json, variables: Mapping[str, Json], entropy: Entropy, now: Millis, sandbox: Bounded | None
    ) -> Json | Undefined:
        seed = entropy() if draws else _UNUSED_SEED
        if sandbox is None:
            return engine.evaluate(states, variables, seed=seed, now=now, clock=WILD)
        if sandbox.may_run_here():
            try:
                return engine.evaluate(states, variables, seed=seed, now=now, clock=TAME)
            except Exhausted:
                sandbox.runs_long()
        return sandbox.evaluate(_task(engine, text, states, variables, seed, now))

    return run


def _run_wild(engine: Engine, text: str, found: Scan) -> _Read:
    draws = not _DRAWING.isdisjoint(found.names)

    def run(
        states: Json, variables: Mapping[str, Json], entropy: Entropy, now: Millis, sandbox: Bounded | None
    ) -> Json | Undefined:
        seed = entropy() if draws else _UNUSED_SEED
        if sandbox is None:
            return engine.evaluate(states, variables, seed=seed, now=now, clock=WILD)
        return sandbox.evaluate(_task(engine, text, states, variables, seed, now))

    return run


def _task(engine: Engine, text: str, states: Json, variables: Mapping[str, Json], seed: bytes, now: Millis) -> Task:
    read = {name: variables[name] for name in engine.names if name in variables}
    return Task(text=text, states=states, variables=read, seed=seed, now=now)


def _rendered(value: Json) -> str:
    try:
        return render_json(value)
    except TypeError:
        return "…"
