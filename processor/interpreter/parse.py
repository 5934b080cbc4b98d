"""A definition → a Workflow, or every fault it has.

1. The text → JSON; what is no object is refused at once.
2. Each scope (the machine, a branch, a Map's processor) and each of its states, in document order: its shape
   (`written.py`), its meaning (`compilation.py`, which compiles it on the way).
3. Each scope as a whole: where its states lead (`transitions.py`), names given twice.

What AWS accepts and this release does not is refused by a diagnostic that names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from processor.errors import DecodingFailed, Diagnostic, InvalidCommand, InvalidDefinition
from processor.interpreter.compilation import compile_state
from processor.interpreter.templates import pointer_to
from processor.interpreter.transitions import check_transitions
from processor.interpreter.written import (
    STATES,
    Written,
    WrittenMachine,
    WrittenProcessor,
    WrittenScope,
)
from processor.model.definition import AnyState, Workflow
from processor.model.events import MachineType
from processor.model.json import Json, canonical_json, parse_json, private_json, render_json

MAX_DEPTH = 128  # levels of JSON; a stack of that depth is safe wherever a definition is walked
MAX_STATE_NAME_LENGTH = 80  # characters; ASL specification, "States"

SCHEMA = "SCHEMA_VALIDATION_FAILED"
_LATER = "is not supported by this release"
_NOT_YET = {"Assign": "assigning variables"}
_NULLABLE = frozenset({"InputPath", "OutputPath", "ResultPath", "Result"})


def parse(definition: Json | bytes, *, type: MachineType = "STANDARD") -> Workflow:
    """Return the definition ready to run. It may be JSON text or the value that such a text stands for.

    Raises InvalidDefinition with every fault found, and nothing else, whatever the definition is.
    """
    read = _read(definition)
    reading = _Reading(type)
    reading.machine(read)
    if reading.diagnostics:
        raise InvalidDefinition(tuple(dict.fromkeys(reading.diagnostics)))
    timeout = read.get("TimeoutSeconds")
    return Workflow(
        definition=read,
        type=type,
        definition_hash=sha256(canonical_json({"type": type, "definition": read})).digest(),
        first=str(read["StartAt"]),
        states=reading.states,
        timeout_seconds=timeout if isinstance(timeout, int) else None,
    )


# ---- 1. the text


def _read(definition: Json | bytes) -> dict[str, Json]:
    """Return a copy of the definition that nobody else holds."""
    try:
        if isinstance(definition, str | bytes):
            if not definition.strip():
                raise _refused(SCHEMA, "Definition must be a valid JSON object")
            value = parse_json(definition, what="the definition")
        else:
            value = private_json(definition, what="the definition")
    except DecodingFailed as fault:
        raise _refused("INVALID_JSON_DESCRIPTION", fault.reason) from None
    except InvalidCommand as fault:
        raise _refused(SCHEMA, f"Definition must be a valid JSON object: {str(fault.value)[:200]}") from None
    if not isinstance(value, dict):
        raise _refused(SCHEMA, "Definition must be a valid JSON object")
    if _is_deeper(value, MAX_DEPTH):
        raise _refused(SCHEMA, f"Definition is nested more than {MAX_DEPTH} levels deep")
    return value


def _refused(code: str, message: str) -> InvalidDefinition:
    return InvalidDefinition((Diagnostic(pointer="", code=code, message=message),))


def _is_deeper(value: Json, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        inner: list[Json] = []
        for container in level:
            if isinstance(container, dict):
                inner.extend(container.values())
            elif isinstance(container, list):
                inner.extend(container)
        if not inner:
            return False
        level = inner
    return True


# ---- 2. and 3. scopes and states


class _Reading:
    """One definition being read: what was found so far."""

    def __init__(self, machine_type: MachineType) -> None:
        self.machine_type = machine_type
        self.diagnostics: list[Diagnostic] = []
        self.states: dict[str, AnyState] = {}
        self.names: set[str] = set()
        self.labels: set[str] = set()
        self.jsonata = False

    def note(self, pointer: str, code: str, message: str) -> None:
        self.diagnostics.append(Diagnostic(pointer=pointer, code=code, message=message))

    def report(self, pointer: str, message: str) -> None:
        self.note(pointer, SCHEMA, message)

    def machine(self, definition: dict[str, Json]) -> None:
        self.shape(WrittenMachine, definition, "")
        if definition.get("QueryLanguage") == "JSONata":
            self.jsonata = True
            self.report("/QueryLanguage", f"the query language JSONata {_LATER}")
        self.scope(definition, "")

    def scope(self, scope: dict[str, Json], pointer: str) -> None:
        states = scope.get("States")
        if isinstance(states, dict):
            for name, state in states.items():
                self.state(name, state, pointer_to(pointer, "States", name))
        check_transitions(scope, pointer=pointer, note=self.note)

    def state(self, name: str, state: Json, pointer: str) -> None:
        if name in self.names:
            self.note(pointer, "DUPLICATE_STATE_NAME", f"Duplicate State name: {name}")
        self.names.add(name)
        if not 1 <= len(name) <= MAX_STATE_NAME_LENGTH:
            self.report(pointer, f"a state's name has 1 to {MAX_STATE_NAME_LENGTH} characters, got {len(name)}")
        if not isinstance(state, dict):
            self.report(pointer, _expected("Object", state))
            return
        if not self.is_jsonata(state, pointer):
            self.path_state(name, state, pointer)
        for at, inner, model in _inner_scopes(state, pointer):
            if isinstance(inner, dict):
                self.shape(model, inner, at)
                around = self.machine_type
                self.machine_type = _machine_type(inner, around)
                self.scope(inner, at)
                self.machine_type = around
            else:
                self.report(at, _expected("Object", inner))

    def is_jsonata(self, state: dict[str, Json], pointer: str) -> bool:
        """Whether the state's fields are JSONata's: then nothing is said of them but that this comes later."""
        language = state.get("QueryLanguage")
        if language == "JSONata":
            self.report(pointer_to(pointer, "QueryLanguage"), f"the query language JSONata {_LATER}")
            return True
        if language == "JSONPath" and self.jsonata:
            message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
            self.report(pointer, message)
        return self.jsonata and language is None

    def path_state(self, name: str, state: dict[str, Json], pointer: str) -> None:
        written = state.get("Type")
        kind = next((kind for kind in STATES if kind == written), None)
        if kind is not None:
            self.shape(STATES[kind], state, pointer)
            self.refuse_later(STATES[kind], state, pointer)
            self.label(state, pointer)
            self.states[name] = compile_state(
                name, state, kind=kind, machine_type=self.machine_type, pointer=pointer, report=self.report
            )
        elif "Type" in state:
            self.report(pointer_to(pointer, "Type"), f"must be one of {', '.join(STATES)}, got {_shown(written)}")
        else:
            self.report(pointer, "These fields are required: [Type]")

    def refuse_later(self, model: type[Written], state: dict[str, Json], pointer: str) -> None:
        """Refuse the fields that come with the whole language, where the state's type has them at all."""
        fields = {field.alias for field in model.model_fields.values()}
        for field, feature in _NOT_YET.items():
            if field in state and field in fields:
                self.report(pointer_to(pointer, field), f"{feature} {_LATER}")
        for field in ("Choices", "Catch"):
            entries = state.get(field)
            for index, entry in enumerate(entries if isinstance(entries, list) else []):
                if isinstance(entry, dict) and "Assign" in entry:
                    self.report(pointer_to(pointer, field, index, "Assign"), f"{_NOT_YET['Assign']} {_LATER}")

    def label(self, state: dict[str, Json], pointer: str) -> None:
        label = state.get("Label")
        if isinstance(label, str):
            if label in self.labels:
                self.report(pointer_to(pointer, "Label"), f"must be unique in a definition, got {_shown(label)} again")
            self.labels.add(label)

    # ---- shapes

    def shape(self, model: type[Written], written: dict[str, Json], pointer: str) -> None:
        """Report every field that is missing, not supported, or not of its type and range."""
        faults: list[ErrorDetails] = []
        try:
            model.model_validate(written)
        except ValidationError as invalid:
            faults = invalid.errors(include_url=False, include_context=True)
        required: dict[str, list[str]] = {}
        for fault in faults:
            *inside, field = fault["loc"]
            if fault["type"] == "missing":
                required.setdefault(pointer_to(pointer, *inside), []).append(str(field))
        for at, names in required.items():
            self.report(at, f"These fields are required: [{', '.join(names)}]")
        for fault in faults:
            *inside, field = fault["loc"]
            if fault["type"] == "extra_forbidden":
                self.report(pointer_to(pointer, *inside), f"Field '{field}' is not supported")
            elif fault["type"] != "missing":
                self.report(pointer_to(pointer, *fault["loc"]), _worded(fault))
        known = {field.alias for field in model.model_fields.values()}
        for name, value in written.items():
            if value is None and name in known and name not in _NULLABLE:
                self.report(pointer_to(pointer, name), "Value cannot be null")


def _inner_scopes(state: dict[str, Json], pointer: str) -> Iterator[tuple[str, Json, type[WrittenScope]]]:
    """Yield the scopes within a Parallel or a Map, each with its place and the shape it must have."""
    if state.get("Type") == "Parallel" and isinstance(branches := state.get("Branches"), list):
        for index, branch in enumerate(branches):
            yield pointer_to(pointer, "Branches", index), branch, WrittenScope
    if state.get("Type") == "Map":
        for field in ("ItemProcessor", "Iterator"):
            if field in state:
                yield pointer_to(pointer, field), state[field], WrittenProcessor


def _machine_type(scope: dict[str, Json], around: MachineType) -> MachineType:
    """Return what the states within are part of: a distributed Map's children may be Express executions."""
    config = scope.get("ProcessorConfig")
    if isinstance(config, dict) and config.get("Mode") == "DISTRIBUTED" and config.get("ExecutionType") == "EXPRESS":
        return "EXPRESS"
    return around


_TYPE_NAMES = {
    "string_type": "String",
    "int_type": "Integer",
    "float_type": "Number",
    "bool_type": "Boolean",
    "list_type": "Array",
    "dict_type": "Object",
    "model_type": "Object",
    "model_attributes_type": "Object",
}


def _worded(fault: ErrorDetails) -> str:
    """Say a fault of type or range as: what must be, what was found."""
    kind, value, limits = fault["type"], fault["input"], fault.get("ctx", {})
    if kind in _TYPE_NAMES:
        return _expected(_TYPE_NAMES[kind], value)
    if kind in ("too_short", "string_too_short"):
        return "Value cannot be empty"
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"must be {words} {limits[limit]}, got {_shown(value)}"
    return f"{fault['msg'].replace('Input should be', 'must be')}, got {_shown(value)}"


_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def _expected(type_name: str, value: Json) -> str:
    return f"Expected value of type {type_name}, got {_shown(value)}"


def _shown(value: Json) -> str:
    text = render_json(value)
    return text if len(text) <= 80 else text[:79] + "…"
