"""A definition → a Workflow, or every fault it has.

1. The text → JSON (`validation/reading.py`); what is no object is refused at once.
2. Each scope (the machine, a branch, a Map's processor) and each of its states, in document order: its shape
   (`written.py`), its meaning (`compilation.py`, which compiles it on the way).
3. Each scope as a whole: where its states lead (`transitions.py`), names given twice.
4. The definition as a whole: the rules of `validation/`, and what is only warned of.

What AWS accepts and this release cannot run (Parquet, for one) is accepted too, and fails by name when it is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from processor.errors import SCHEMA, AslCode, Diagnostic, InvalidDefinition
from processor.interpreter.compilation import compile_state
from processor.interpreter.compile_jsonata import compile_jsonata_state
from processor.interpreter.jsonata import Expressions, Sandbox
from processor.interpreter.jsonata_fields import Fields
from processor.interpreter.quota import MAX_HISTORY_EVENTS
from processor.interpreter.templates import pointer_to
from processor.interpreter.transitions import check_transitions
from processor.interpreter.validation.json_text import MAX_DEPTH
from processor.interpreter.validation.reading import read_definition
from processor.interpreter.validation.rules import all_faults
from processor.interpreter.validation.shapes import check_shape, none_of, not_an_object
from processor.interpreter.validation.walk import Language, language_of
from processor.interpreter.validation.warnings import check_warnings
from processor.interpreter.written import (
    JSONATA_STATES,
    STATES,
    Written,
    WrittenMachine,
    WrittenProcessor,
    WrittenScope,
)
from processor.model.definition import AnyState, Workflow
from processor.model.events import MachineType
from processor.model.json import Json, canonical_json

__all__ = ["MAX_DEPTH", "MAX_STATE_NAME_LENGTH", "parse"]

MAX_STATE_NAME_LENGTH = 80  # characters; ASL specification, "States"


def parse(definition: Json | bytes, *, type: MachineType = "STANDARD", sandbox: Sandbox | None = None) -> Workflow:
    """Return the definition ready to run. It may be JSON text or the value that such a text stands for.

    `sandbox` evaluates the JSONata that only another process can bound; without one it is evaluated in this process
    (docs/decisions/0010).

    Raises InvalidDefinition with every fault found, and nothing else, whatever the definition is.
    """
    read = read_definition(definition)
    reading = _Reading(type, sandbox)
    reading.machine(read)
    faults = all_faults(read, machine_type=type, found=reading.diagnostics, known=reading.expressions)
    warnings = tuple(dict.fromkeys(check_warnings(read)))
    if faults:
        raise InvalidDefinition((*faults, *warnings))
    timeout = read.get("TimeoutSeconds")
    return Workflow(
        definition=read,
        type=type,
        definition_hash=sha256(canonical_json({"type": type, "definition": read})).digest(),
        first=str(read["StartAt"]),
        states=reading.states,
        timeout_seconds=timeout if isinstance(timeout, int) and timeout > 0 else None,
        warnings=warnings,
        history_quota=MAX_HISTORY_EVENTS if type == "STANDARD" else None,
    )


# ---- 2. and 3. scopes and states


class _Reading:
    """One definition being read: what was found so far."""

    def __init__(self, machine_type: MachineType, sandbox: Sandbox | None) -> None:
        self.machine_type, self.sandbox = machine_type, sandbox
        self.expressions = Expressions()
        self.diagnostics: list[Diagnostic] = []
        self.states: dict[str, AnyState] = {}
        self.names: set[str] = set()
        self.language: Language = "JSONPath"

    def note(self, pointer: str, code: AslCode, message: str) -> None:
        self.diagnostics.append(Diagnostic(pointer=pointer, code=code, message=message))

    def report(self, pointer: str, message: str) -> None:
        self.note(pointer, SCHEMA, message)

    def machine(self, definition: dict[str, Json]) -> None:
        self.shape(WrittenMachine, definition, "")
        self.language = language_of(definition)
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
        if len(name) > MAX_STATE_NAME_LENGTH:
            limit = f"exceeds the {MAX_STATE_NAME_LENGTH}-character limit allowed by the service"
            self.note(pointer, "INVALID_STATE_NAME", f"Invalid State name: State '{name}' {limit}")
        if not name:
            self.note(pointer, "INVALID_STATE_NAME", "Invalid State name: a name cannot be empty")
        if not isinstance(state, dict):
            self.diagnostics.append(not_an_object(pointer, state))
            return
        self.typed_state(name, state, pointer)
        for at, inner, model in _inner_scopes(state, pointer):
            if isinstance(inner, dict):
                self.shape(model, inner, at)
                around = self.machine_type
                self.machine_type = _machine_type(inner, around)
                self.scope(inner, at)
                self.machine_type = around
            else:
                self.diagnostics.append(not_an_object(at, inner))

    def is_jsonata(self, state: dict[str, Json]) -> bool:
        """Whether the state's fields are JSONata's. A state without QueryLanguage has the machine's, whatever states
        are around it (Developer Guide, "Transforming data with JSONata"; so AWS's CDK writes definitions)."""
        return language_of(state, self.language) == "JSONata"

    def typed_state(self, name: str, state: dict[str, Json], pointer: str) -> None:
        written = state.get("Type")
        kind = next((kind for kind in STATES if kind == written), None)
        jsonata = self.is_jsonata(state)
        if kind is None:
            if "Type" in state:
                self.diagnostics.append(none_of(pointer_to(pointer, "Type"), tuple(STATES), written))
            else:
                self.report(pointer, "These fields are required: [Type]")
            return
        model = (JSONATA_STATES if jsonata else STATES)[kind]
        self.shape(model, state, pointer)
        if jsonata:
            fields = Fields(state, pointer=pointer, note=self.note, sandbox=self.sandbox, known=self.expressions)
            self.states[name] = compile_jsonata_state(
                name, fields, kind=kind, machine_type=self.machine_type, report=self.report
            )
        else:
            self.states[name] = compile_state(
                name, state, kind=kind, machine_type=self.machine_type, pointer=pointer, report=self.report
            )

    def shape(self, model: type[Written], written: dict[str, Json], pointer: str) -> None:
        self.diagnostics.extend(check_shape(model, written, pointer))


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
