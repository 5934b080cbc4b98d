"""Every state of a definition as written, with its place, its query language and what encloses it.

The rules of this package read raw objects, so that a state with one fault is still looked at for others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from processor.interpreter.templates import pointer_to
from processor.model.json import Json

Language: TypeAlias = Literal["JSONPath", "JSONata"]
Object: TypeAlias = dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A machine, a branch or a Map's processor; `outer`: the scope that its state stands in."""

    fields: Object
    pointer: str
    outer: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    name: str
    type: str
    fields: Object
    pointer: str
    language: Language
    scope: Scope


def language_of(owner: Object, machine: Language = "JSONPath") -> Language:
    """Return the query language of a state, or of the machine.

    Measured on AWS by users of another project: JSONPath is only the exact word; absent means the machine's, and never
    the enclosing state's; anything else, a misspelling or a number, is JSONata (and a fault of its own).
    """
    if "QueryLanguage" not in owner:
        return machine
    return "JSONPath" if owner["QueryLanguage"] == "JSONPath" else "JSONata"


def scopes_in(definition: Object) -> Iterator[Scope]:
    """Yield the machine and every scope in it, outer ones first, in document order."""
    waiting = [Scope(fields=definition, pointer="")]
    while waiting:
        scope = waiting.pop()
        yield scope
        inner = [
            Scope(fields=fields, pointer=pointer, outer=scope)
            for _, state, at in _states_of(scope)
            for fields, pointer in inner_scopes(state, at)
        ]
        waiting.extend(reversed(inner))


def states_in(definition: Object) -> Iterator[State]:
    """Yield every state that is an object, those of outer scopes first."""
    machine = language_of(definition)
    for scope in scopes_in(definition):
        for name, fields, pointer in _states_of(scope):
            kind = fields.get("Type")
            yield State(
                name=name,
                type=kind if isinstance(kind, str) else "",
                fields=fields,
                pointer=pointer,
                language=language_of(fields, machine),
                scope=scope,
            )


def _states_of(scope: Scope) -> Iterator[tuple[str, Object, str]]:
    states = scope.fields.get("States")
    for name, fields in states.items() if isinstance(states, dict) else ():
        if isinstance(fields, dict):
            yield name, fields, pointer_to(scope.pointer, "States", name)


def inner_scopes(state: Object, pointer: str) -> Iterator[tuple[Object, str]]:
    """Yield the branches of a Parallel, the processor of a Map, each with its place."""
    if state.get("Type") == "Parallel":
        yield from objects_in(state, "Branches", pointer)
    if state.get("Type") == "Map":
        for field in ("ItemProcessor", "Iterator"):
            if isinstance(processor := state.get(field), dict):
                yield processor, pointer_to(pointer, field)


def objects_in(fields: Object, field: str, pointer: str) -> Iterator[tuple[Object, str]]:
    """Yield the objects in an array of Choices, Retry, Catch or Branches, each with its place."""
    entries = fields.get(field)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield entry, pointer_to(pointer, field, index)


def rules_in(fields: Object, pointer: str) -> Iterator[tuple[Object, str]]:
    """Yield every rule of a Choice, those within And, Or and Not after the one they stand in."""
    waiting = list(objects_in(fields, "Choices", pointer))[::-1]
    while waiting:
        rule, at = waiting.pop()
        yield rule, at
        inner = [*objects_in(rule, "And", at), *objects_in(rule, "Or", at)]
        if isinstance(negated := rule.get("Not"), dict):
            inner.append((negated, pointer_to(at, "Not")))
        waiting.extend(reversed(inner))
