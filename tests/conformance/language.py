"""Every name of the language that this project knows, from its own models and grammars: what docs/asl-coverage.md
lists, and which of them a state as written uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from botocore.session import Session

from processor.errors import AslCode
from processor.interpreter.context import MapItem
from processor.interpreter.intrinsics_syntax import FUNCTIONS
from processor.interpreter.jsonata_syntax import BUILT_IN
from processor.interpreter.rules import JUNCTIONS, OPERATORS
from processor.interpreter.trial_context import _FIELDS as CONTEXT
from processor.interpreter.validation.walk import Language, Scope, State, rules_in
from processor.interpreter.written import (
    JSONATA_STATES,
    STATES,
    Written,
    WrittenMachine,
    WrittenProcessor,
    WrittenScope,
)
from processor.model.json import Json


class Name(NamedTuple):
    chapter: str
    section: str
    name: str


SCOPES = "The machine and its scopes"
FIELDS: Mapping[Language, str] = {"JSONPath": "Fields in JSONPath", "JSONata": "Fields in JSONata"}
OPERATOR = "Comparison operators"
INTRINSIC = "Intrinsic functions"
FUNCTION = "JSONata functions"
STATES_VARIABLE = "What JSONata has of $states"
CONTEXT_OBJECT = "The context object"
TEST_STATE = "TestState"
DIAGNOSTIC = "Codes of diagnostics"

MACHINE, BRANCH, PROCESSOR = "The machine", "A branch of Branches", "ItemProcessor, Iterator"
_SCOPES: Mapping[str, type[Written]] = {MACHINE: WrittenMachine, BRANCH: WrittenScope, PROCESSOR: WrittenProcessor}
MODELS: Mapping[Language, Mapping[str, type[Written]]] = {
    "JSONPath": {str(kind): model for kind, model in STATES.items()},
    "JSONata": {str(kind): model for kind, model in JSONATA_STATES.items()},
}
RULE: Mapping[Language, tuple[str, ...]] = {
    "JSONPath": ("Assign", "Comment", "Next", "Variable"),
    "JSONata": ("Assign", "Comment", "Condition", "Next", "Output"),
}
"""What an entry of Choices has beside its operator."""
_INNER = frozenset({"Branches", "ItemProcessor", "Iterator"})
_CONTEXT_PATH = re.compile(r"\$(?:\$|states\.context)\.(Map\.Item\.\w+|\w+\.\w+)")


def all_names() -> tuple[Name, ...]:
    """Return every name once, in the order of the document: sections of a chapter, names of a section together."""
    return tuple(dict.fromkeys(_all_names()))


def _all_names() -> Iterator[Name]:
    yield from _listed(SCOPES, _SCOPES)
    for language, chapter in FIELDS.items():
        yield from _listed(chapter, MODELS[language])
        yield from (Name(chapter, "Choices", name) for name in RULE[language])
    yield from (Name(OPERATOR, "", name) for name in (*sorted(OPERATORS), *sorted(JUNCTIONS)))
    yield from (Name(INTRINSIC, "", name) for name in sorted(FUNCTIONS))
    yield from (Name(FUNCTION, "", f"${name}") for name in sorted(BUILT_IN))
    yield from (Name(STATES_VARIABLE, "", name) for name in ("input", "result", "errorOutput", "context"))
    for part, members in CONTEXT.items():
        yield from (Name(CONTEXT_OBJECT, "", f"{part}.{member}") for member in members)
    yield from (Name(CONTEXT_OBJECT, "", f"Map.Item.{field.title()}") for field in MapItem.__struct_fields__)
    for section, shape in test_state_shapes().items():
        yield from (Name(TEST_STATE, section, name) for name in _members(shape))
    yield from (Name(DIAGNOSTIC, "", code) for code in get_args(AslCode))


def _listed(chapter: str, models: Mapping[str, type[Written]]) -> Iterator[Name]:
    """Yield the fields of the models, then those of the objects in them, called as the field they stand in."""
    inner: dict[str, type[Written]] = {}
    for section, model in models.items():
        for field in sorted(model.model_fields.values(), key=lambda field: str(field.alias)):
            yield Name(chapter, section, str(field.alias))
            inner |= {str(field.alias): model for model in models_in(field.annotation)}
    if inner:
        yield from _listed(chapter, inner)


def models_in(annotation: Any) -> Iterator[type[Written]]:
    if isinstance(annotation, type) and issubclass(annotation, Written):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


# ---- what is used


def names_in_state(state: State) -> Iterator[Name]:
    """Yield the fields that a state has, those of its Retry, Choices, ItemReader and so on too, and what its texts read
    of the context object. States within it are others' matter."""
    model = MODELS[state.language].get(state.type)
    if model is None:
        return
    chapter = FIELDS[state.language]
    yield from _used(chapter, state.type, model, state.fields)
    if state.type == "Choice":
        for rule, _ in rules_in(state.fields, ""):
            yield from (Name(chapter, "Choices", name) for name in RULE[state.language] if name in rule)
    for text in _texts({name: value for name, value in state.fields.items() if name not in _INNER}):
        yield from (Name(CONTEXT_OBJECT, "", path) for path in _CONTEXT_PATH.findall(text))


def names_around(scope: Scope | None) -> Iterator[Name]:
    """Yield the fields of a scope and of those that it stands in."""
    while scope is not None:
        section = (
            MACHINE if scope.outer is None else BRANCH if scope.pointer.split("/")[-2] == "Branches" else PROCESSOR
        )
        yield from _used(SCOPES, section, _SCOPES[section], scope.fields)
        scope = scope.outer


def _used(chapter: str, section: str, model: type[Written], written: Mapping[str, Json]) -> Iterator[Name]:
    for field in model.model_fields.values():
        alias = str(field.alias)
        if alias not in written:
            continue
        yield Name(chapter, section, alias)
        value = written[alias]
        for inner in models_in(field.annotation):
            for member in value if isinstance(value, list) else [value]:
                if isinstance(member, dict):
                    yield from _used(chapter, alias, inner, member)


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for element in value:
                yield from _texts(element)
        case dict():
            for member in value.values():
                yield from _texts(member)


# ---- TestState, as AWS's own model of its API has it


def test_state_shapes() -> dict[str, Any]:
    operation = Session().get_service_model("stepfunctions").operation_model("TestState")
    return {"request": operation.input_shape, "answer": operation.output_shape}


def _members(shape: Any, prefix: str = "") -> Iterator[str]:
    for name, member in shape.members.items():
        yield prefix + name
        if member.type_name == "structure":
            yield from _members(member, f"{prefix}{name}.")


def names_in_test_state(section: str, told: Mapping[str, Json]) -> Iterator[Name]:
    """Yield the members that a request to TestState, or its answer, has."""
    waiting: list[tuple[str, Mapping[str, Json]]] = [("", told)]
    while waiting:
        prefix, members = waiting.pop()
        for name, value in members.items():
            yield Name(TEST_STATE, section, prefix + name)
            if isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
