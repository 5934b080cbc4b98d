"""Which fields belong to which query language.

Fields of every type of state, and how AWS words and places the faults, were measured by others with
ValidateStateMachineDefinition: floci issues 2968 and 3733, cdk-preflight's rules of September 2026.
"""

from __future__ import annotations

from collections.abc import Iterator

from processor.errors import SCHEMA, Diagnostic
from processor.interpreter.rules import JUNCTIONS, OPERATORS
from processor.interpreter.validation.walk import Language, Object, State, objects_in, states_in
from processor.model.json import Json

PATH_ONLY = frozenset({
    "InputPath", "OutputPath", "ResultPath", "ResultSelector", "Parameters", "Result", "ItemsPath",
    "TimeoutSecondsPath", "HeartbeatSecondsPath", "SecondsPath", "TimestampPath", "ErrorPath", "CausePath",
    "MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath",
    "MaxItemsPath", "MaxItemsPerBatchPath", "MaxInputBytesPerBatchPath", "Variable",
}) | OPERATORS | JUNCTIONS  # fmt: skip
JSONATA_ONLY = frozenset({"Arguments", "Output", "Items", "Condition"})

_LEADING = ("Next", "End", "Assign", "Output", "InputPath", "OutputPath")
_FAILING = (*_LEADING, "ResultPath", "Parameters", "ResultSelector", "Retry", "Catch")
FIELDS: dict[str, frozenset[str]] = {
    "Pass": frozenset({*_LEADING, "Parameters", "Result", "ResultPath"}),
    "Task": frozenset({
        *_FAILING, "Arguments", "Resource", "Credentials", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds",
        "HeartbeatSecondsPath",
    }),
    "Wait": frozenset({*_LEADING, "Seconds", "SecondsPath", "Timestamp", "TimestampPath"}),
    "Parallel": frozenset({*_FAILING, "Arguments", "Branches"}),
    "Map": frozenset({
        *_FAILING, "ItemProcessor", "Iterator", "ItemsPath", "Items", "ItemSelector", "ItemReader", "ItemBatcher",
        "ResultWriter", "MaxConcurrency", "MaxConcurrencyPath", "ToleratedFailurePercentage",
        "ToleratedFailurePercentagePath", "ToleratedFailureCount", "ToleratedFailureCountPath", "Label",
    }),
    "Choice": frozenset({"InputPath", "OutputPath", "Output", "Assign", "Choices", "Default"}),
    "Succeed": frozenset({"InputPath", "OutputPath", "Output"}),
    "Fail": frozenset({"Error", "Cause", "ErrorPath", "CausePath"}),
}  # fmt: skip

_RULE = frozenset({"Condition", "Variable", "Output"}) | OPERATORS | JUNCTIONS
_CATCHER = frozenset({"ResultPath", "Output"})
_PARTS = {
    "ItemReader": frozenset({"Parameters", "Arguments"}),
    "ResultWriter": frozenset({"Parameters", "Arguments"}),
    "ItemBatcher": frozenset({"MaxItemsPerBatchPath", "MaxInputBytesPerBatchPath"}),
}


def check_query_languages(definition: Object) -> Iterator[Diagnostic]:
    """Yield every language that is none, every state that goes back to JSONPath, every field of the other language.

    A state that goes back is not told of its fields: measured, that fault is AWS's whole answer for it.
    """
    yield from _check_name(definition, "")
    for state in states_in(definition):
        yield from _check_name(state.fields, state.pointer)
        if definition.get("QueryLanguage") == "JSONata" and state.fields.get("QueryLanguage") == "JSONPath":
            message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
            yield Diagnostic(pointer=state.pointer, code=SCHEMA, message=message)
            continue
        for fields, allowed, pointer in _parts_of(state):
            yield from _check_fields(fields, allowed, state.language, pointer)


def other_language_message(field: str, language: Language) -> str:
    other = "JSONata" if language == "JSONPath" else "JSONPath"
    set_to = f"The QueryLanguage is set to '{language}'"
    return f"{set_to}, but field '{field}' is only supported for the '{other}' QueryLanguage"


def _check_name(owner: Object, pointer: str) -> Iterator[Diagnostic]:
    written: Json = owner.get("QueryLanguage", "JSONPath")
    at = f"{pointer}/QueryLanguage"
    if written is None:
        return  # said of its shape
    if not isinstance(written, str):
        yield Diagnostic(pointer=at, code=SCHEMA, message="Expected value of type [STRING]")
    elif written not in ("JSONPath", "JSONata"):
        message = "Value should be one of the following: [JSONPath, JSONata]"
        yield Diagnostic(pointer=at, code=SCHEMA, message=message)


def _parts_of(state: State) -> Iterator[tuple[Object, frozenset[str], str]]:
    """Yield the objects of a state that have fields of one language, with those that the object may have in either."""
    fields, pointer = state.fields, state.pointer
    yield fields, FIELDS.get(state.type, frozenset()), pointer
    if state.type == "Choice":
        for rule, at in objects_in(fields, "Choices", pointer):
            yield rule, _RULE, at
    if state.type in ("Task", "Parallel", "Map"):
        for catcher, at in objects_in(fields, "Catch", pointer):
            yield catcher, _CATCHER, at
    if state.type == "Map":
        for name, allowed in _PARTS.items():
            if isinstance(part := fields.get(name), dict):
                yield part, allowed, f"{pointer}/{name}"
                if isinstance(config := part.get("ReaderConfig"), dict):
                    yield config, frozenset({"MaxItemsPath"}), f"{pointer}/{name}/ReaderConfig"


def _check_fields(fields: Object, allowed: frozenset[str], language: Language, pointer: str) -> Iterator[Diagnostic]:
    foreign = JSONATA_ONLY if language == "JSONPath" else PATH_ONLY
    for field in fields:
        if field in allowed and field in foreign:
            yield Diagnostic(pointer=pointer, code=SCHEMA, message=other_language_message(field, language))
