"""JSONata: the one place that knows the engine (jlens). An expression is compiled once; evaluated it gives a value,
UNDEFINED, or StateFailure in AWS's words. Time and entropy are arguments; an evaluation reads nothing else.

What a text refers to is found in `jsonata_syntax.py`, plain paths are read by `jsonata_paths.py`, AWS's own functions
are in `jsonata_functions.py`, objects and arrays with expressions in them in `jsonata_template.py`. Why this engine,
and how it is bounded: docs/decisions/0010 and 0019.

Sources: AWS's documentation, "Transforming data with JSONata in Step Functions", and the recordings that name
States.QueryEvaluationError; the wording of the limits, and that nesting ends at 100, users have measured on AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Literal, TypeAlias

import jlens

from processor.errors import AslCode
from processor.interpreter.jsonata_engine import (
    MAX_LENGTH,
    TAME,
    UNDEFINED,
    WILD,
    Engine,
    Panicked,
    Sandbox,
    Task,
    Undefined,
)
from processor.interpreter.jsonata_functions import Exhausted, Refused
from processor.interpreter.jsonata_paths import compile_path
from processor.interpreter.jsonata_syntax import BUILT_IN, Scan, scan
from processor.interpreter.paths import rendered
from processor.model.commands import MAX_CAUSE_LENGTH
from processor.model.definition import Budget, StateFailure
from processor.model.ids import Millis
from processor.model.json import Json

__all__ = [
    "UNDEFINED",
    "Bounded",
    "Entropy",
    "EvaluationFailed",
    "Expression",
    "Expressions",
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
        code: AslCode = "INVALID_JSONATA_EXPRESSION",
    ) -> None:
        super().__init__(message)
        self.message, self.position, self.code = message, position, code


class EvaluationFailed(StateFailure):
    """States.QueryEvaluationError. `location` is that of AWS's EvaluationFailed event: 'Output/a/b[0]'; None where no
    expression was at fault."""

    def __init__(self, cause: str, *, location: str | None) -> None:
        # Errors may repeat a value of megabytes.
        super().__init__(QUERY_EVALUATION_ERROR, cause[:MAX_CAUSE_LENGTH])
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


class Bounded:
    """Where the expressions of one event are evaluated, and what they may take together. `sandbox` None: here, where
    some cannot be ended."""

    __slots__ = ("budget", "sandbox")

    def __init__(self, sandbox: Sandbox | None, budget: Budget) -> None:
        self.sandbox, self.budget = sandbox, budget


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

    def at(self, field: str) -> Expression:
        """Return the same expression as that of another field."""
        other = copy(self)
        other.field = field
        return other

    def evaluate(
        self,
        states: Json,
        variables: Mapping[str, Json],
        *,
        entropy: Entropy,
        now: Millis,
        bounded: Bounded | None = None,
    ) -> Json | Undefined:
        """Return what the expression gives for `$states` and the variables. `now` is what `$now` and `$millis` tell.

        `bounded` None: it is evaluated here, by itself. Raises EvaluationFailed.
        """
        try:
            return self._read(states, variables, entropy, now, bounded or Bounded(None, Budget()))
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
        bounded: Bounded | None = None,
        expected: TypeName | None = None,
    ) -> Json:
        """Return what a field takes: a value, of the expected type. Raises EvaluationFailed, for undefined too."""
        value = self.evaluate(states, variables, entropy=entropy, now=now, bounded=bounded)
        if isinstance(value, Undefined):
            raise EvaluationFailed(f"{self._subject} returned nothing (undefined).", location=self.field)
        if expected is not None and type_name(value) != expected:
            raise self.unexpected(value, expected)
        return value

    def unexpected(self, value: Json, expected: TypeName) -> EvaluationFailed:
        cause = (
            f"{self._subject} returned an unexpected result type. Expected '{expected}', but was "
            f"'{type_name(value)}' for value: {rendered(value)}"
        )
        return EvaluationFailed(cause, location=self.field)

    @property
    def _subject(self) -> str:
        return f"The JSONata expression '{self.text}' specified for the field '{self.field}'"


class Expressions:
    """The expressions of one definition: a text is compiled once, wherever it stands and whoever asks for it."""

    def __init__(self) -> None:
        self._known: dict[str, Expression | JsonataFault] = {}

    def compile(self, text: str, *, field: str) -> Expression:
        """As compile_expression. Raises JsonataFault."""
        known = self._known.get(text)
        if known is None:
            try:
                known = compile_expression(text, field=field)
            except JsonataFault as fault:
                known = fault
            self._known[text] = known
        if isinstance(known, JsonataFault):
            raise known
        return known.at(field)


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
    if found.newer is not None:  # in the words of JSONata 2.0.6, which reads one symbol after another
        symbol, position = found.newer
        raise JsonataFault(f'The symbol "{symbol}" cannot be used as a unary operator', position=position)
    for name in found.top_level:
        where = "" if name == "$$" else "at the top level "
        raise JsonataFault(f"Reference to '{name}' {where}is not supported.", code="UNSUPPORTED_JSONATA_EXPRESSION")
    return Expression(text, field, found=found, read=_compile(text, found))


# ---- the three ways to evaluate: a path and a constant need no engine

_Read: TypeAlias = "Callable[[Json, Mapping[str, Json], Entropy, Millis, Bounded], Json | Undefined]"

_SCALAR = re.compile(r"""true|false|null|-?(?:0|[1-9][0-9]{0,14})|"[^"\\]*"|'[^'\\]*'""")
_WHOLE: Mapping[str, Literal["INPUT", "RESULT"]] = {"$states.input": "INPUT", "$states.result": "RESULT"}
_DRAWING = frozenset({"random", "shuffle", "uuid"})
_UNUSED_SEED = bytes(16)


def _compile(text: str, found: Scan) -> _Read:
    path = compile_path(text)
    if path is not None:
        return lambda states, variables, entropy, now, bounded: path(states, variables, bounded.budget)
    engine = Engine(text, found)
    if _SCALAR.fullmatch(text):
        value = engine.evaluate({}, {}, seed=_UNUSED_SEED, now=Millis(0), limits=WILD, budget=Budget())
        return lambda *_: value
    return _run(engine, text, found)


def _run(engine: Engine, text: str, found: Scan) -> _Read:
    """What is tame is evaluated here, and what of it needs more than it may have here again in the sandbox, as all else
    is."""
    draws = not _DRAWING.isdisjoint(found.names)

    def run(
        states: Json, variables: Mapping[str, Json], entropy: Entropy, now: Millis, bounded: Bounded
    ) -> Json | Undefined:
        seed = entropy() if draws else _UNUSED_SEED
        budget, sandbox = bounded.budget, bounded.sandbox

        limits = WILD if sandbox is None else TAME
        evaluate = partial(engine.evaluate, states, variables, seed=seed, now=now, limits=limits, budget=budget)
        if sandbox is None:
            return evaluate()
        if found.tame and budget.here:
            try:
                return sandbox.timed(evaluate, budget)
            except Exhausted:
                budget.here = False
        read = {name: variables[name] for name in engine.names if name in variables}
        task = Task(text=text, states=_states_read(states, found), variables=read, seed=seed, now=now)
        return sandbox.evaluate(task, budget)

    return run


def _states_read(states: Json, found: Scan) -> Json:
    """Return what is read of `$states`: all of it goes to another process, for each item of a Map anew."""
    if found.states_fields is None or not isinstance(states, dict):
        return states
    read = {name: states[name] for name in found.states_fields if name in states}
    context = read.get("context")
    if found.context_fields is not None and isinstance(context, dict):
        read["context"] = {name: context[name] for name in found.context_fields if name in context}
    return read
