"""JSONata at parse time: every expression of a JSONata state is read, and what it refers to is there.

Which fields AWS reads as JSONata, how it words and places the faults, was measured by others with
ValidateStateMachineDefinition (floci issues 2670 and 2745). That `$states.result` is refused outside its places is
AWS's documentation, "Passing data between states with variables"; its wording is that of `$states.errorOutput`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from processor.errors import Diagnostic
from processor.interpreter.jsonata import Expressions, JsonataFault
from processor.interpreter.jsonata_template import expression_in
from processor.interpreter.templates import pointer_to
from processor.interpreter.validation.walk import Object, State, states_in
from processor.model.json import Json

_UNREAD = frozenset({
    "Comment", "Next", "Default", "Resource", "ErrorEquals", "Retry", "Credentials", "ItemProcessor", "Iterator",
    "Branches", "CSVHeaders", "Type", "QueryLanguage",
})  # fmt: skip
_PAYLOADS = frozenset({"Output", "Assign", "Arguments", "ItemSelector", "BatchInput"})
_RESULT_OF = ("Task", "Parallel", "Map")


@dataclass(frozen=True, slots=True)
class _Within:
    """Where in a state a text stands: `payload`: every name below is the user's. `states`: what `$states` has there.
    `known`: the definition's expressions."""

    known: Expressions
    states: frozenset[str] = frozenset({"input", "context"})
    payload: bool = False


def check_expressions(definition: Object, known: Expressions) -> Iterator[Diagnostic]:
    """Yield every expression that is none, and every reference to what is not there."""
    for state in states_in(definition):
        if state.language == "JSONata":
            yield from _check_state(state, _Within(known))


def _check_state(state: State, here: _Within) -> Iterator[Diagnostic]:
    for field, value in state.fields.items():
        if field in _UNREAD:
            continue
        pointer = pointer_to(state.pointer, field)
        if field in ("Output", "Assign") and state.type in _RESULT_OF:
            yield from _check(value, replace(here, states=here.states | {"result"}, payload=True), pointer)
        elif field == "Catch" and isinstance(value, list):
            for index, catcher in enumerate(value):
                yield from _check_catcher(catcher, here, pointer_to(pointer, index))
        else:
            yield from _check(value, replace(here, payload=field in _PAYLOADS), pointer)


def _check_catcher(catcher: Json, here: _Within, pointer: str) -> Iterator[Diagnostic]:
    for field, value in catcher.items() if isinstance(catcher, dict) else ():
        if field in ("Output", "Assign"):
            within = replace(here, states=here.states | {"errorOutput"}, payload=True)
            yield from _check(value, within, pointer_to(pointer, field))


def _check(value: Json, within: _Within, pointer: str) -> Iterator[Diagnostic]:
    """Recursion is bounded by the depth of definitions."""
    match value:
        case str():
            yield from _check_text(value, within, pointer)
        case dict():
            for field, inner in value.items():
                if within.payload or field not in _UNREAD:
                    payload = within.payload or field in _PAYLOADS
                    yield from _check(inner, replace(within, payload=payload), pointer_to(pointer, field))
        case list():
            for index, inner in enumerate(value):
                yield from _check(inner, within, pointer_to(pointer, index))
        case _:
            pass


def _check_text(text: str, within: _Within, pointer: str) -> Iterator[Diagnostic]:
    try:
        written = expression_in(text)
        expression = None if written is None else within.known.compile(written, field="")
    except JsonataFault as fault:
        yield Diagnostic(pointer=pointer, code=fault.code, message=fault.message)
        return
    if expression is None:
        return
    for field in sorted((expression.states_fields or frozenset()) - within.states):
        message = f"Field '$states.{field}' does not exist."
        yield Diagnostic(pointer=pointer, code="UNSUPPORTED_JSONATA_EXPRESSION", message=message)
