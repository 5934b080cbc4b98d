"""Fields of JSONPath states that hold a path: AWS's words for one that is none.

Measured by others with ValidateStateMachineDefinition: cdk-preflight, pf-sfn-asl-jsonpath-syntax; floci issue 3733 for
the context object, which a Map's numbers may not come from. What the paths mean is compiled elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from processor.errors import SCHEMA, Diagnostic
from processor.interpreter.intrinsics import is_intrinsic
from processor.interpreter.intrinsics_syntax import parse_intrinsic
from processor.interpreter.paths import PathFault, compile_path, compile_reference_path
from processor.interpreter.rules import OPERATORS
from processor.interpreter.templates import compile_expression, pointer_to
from processor.interpreter.validation.query_language import FIELDS
from processor.interpreter.validation.walk import Object, State, objects_in, rules_in, states_in

VALID_PATH = "Value must be a valid JSONPath."
REFERENCE_PATH = "Value is not a Reference Path"

_PATHS = ("InputPath", "OutputPath")
_REFERENCES = ("ItemsPath", "SecondsPath", "TimestampPath", "TimeoutSecondsPath", "HeartbeatSecondsPath")
_NUMBERS = ("MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath")
_NUMBERS_WITHIN = (
    ("ItemBatcher", "MaxItemsPerBatchPath"),
    ("ItemBatcher", "MaxInputBytesPerBatchPath"),
    ("ItemReader", "ReaderConfig", "MaxItemsPath"),
)
_EXPRESSIONS = ("ErrorPath", "CausePath")
_TEXTUAL = (
    "States.Format", "States.JsonToString", "States.ArrayGetItem", "States.Base64Encode", "States.Base64Decode",
    "States.Hash", "States.UUID",
)  # fmt: skip
"""What may stand there, around any other call: AWS Developer Guide, "Fail workflow state". Its words are by analogy."""
_COMPARED = frozenset(name for name in OPERATORS if name.endswith("Path"))


def check_paths(definition: Object) -> Iterator[Diagnostic]:
    """Yield every field that should hold a path and does not."""
    for state in states_in(definition):
        if state.language == "JSONPath":
            yield from _check_state(state)


def _check_state(state: State) -> Iterator[Diagnostic]:
    fields, pointer = state.fields, state.pointer
    own = FIELDS.get(state.type, frozenset())
    for field, value in fields.items():
        at = pointer_to(pointer, field)
        if not isinstance(value, str) or field not in own:
            continue
        if field in _PATHS or field in _REFERENCES:
            yield from _check_path(value, field, at)
        elif field in _NUMBERS:
            yield from _check_number(value, field, at)
        elif field in _EXPRESSIONS:
            yield from _check_expression(value, field, at)
        elif field == "ResultPath":
            yield from _check_reference(value, at)
    if state.type == "Choice":
        for rule, at in rules_in(fields, pointer):
            for field, value in rule.items():
                if isinstance(value, str) and (field == "Variable" or field in _COMPARED):
                    yield from _check_compared(value, pointer_to(at, field))
    if "Catch" in own:
        for catcher, at in objects_in(fields, "Catch", pointer):
            if isinstance(path := catcher.get("ResultPath"), str):
                yield from _check_reference(path, f"{at}/ResultPath")
    if state.type == "Map":
        for *within, field in _NUMBERS_WITHIN:
            part = fields
            for name in within:
                part = inner if isinstance(inner := part.get(name), dict) else {}
            if isinstance(path := part.get(field), str):
                yield from _check_number(path, field, pointer_to(pointer, *within, field))


def _check_path(text: str, field: str, pointer: str) -> Iterator[Diagnostic]:
    if (fault := _fault_of(lambda: compile_path(text, field=field))) is not None:
        yield _fault(pointer, VALID_PATH, text, fault)


def _check_compared(text: str, pointer: str) -> Iterator[Diagnostic]:
    if (fault := _fault_of(lambda: compile_path(text, field="Variable"))) is not None:
        yield _reference_fault(pointer, text, fault)


def _check_number(text: str, field: str, pointer: str) -> Iterator[Diagnostic]:
    if text.startswith("$$"):
        yield _fault(pointer, REFERENCE_PATH, text, "only ItemsPath may read the context object")
    else:
        yield from _check_path(text, field, pointer)


def _check_expression(text: str, field: str, pointer: str) -> Iterator[Diagnostic]:
    fault = _fault_of(lambda: compile_expression(text, field=field, pointer=pointer))
    if not is_intrinsic(text):
        if fault is not None:
            yield _fault(pointer, VALID_PATH, text, fault)
        return
    why: object = fault
    if fault is None and parse_intrinsic(text).name not in _TEXTUAL:
        why = f"the call must be one of {', '.join(_TEXTUAL)}"
    if why is not None:
        call = f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call"
        yield _fault(pointer, call, text, why)


def _check_reference(text: str, pointer: str) -> Iterator[Diagnostic]:
    if (fault := _fault_of(lambda: compile_reference_path(text))) is not None:
        yield _reference_fault(pointer, text, fault)


def _fault_of(compile: Callable[[], object]) -> PathFault | None:
    """Return what is wrong with a text."""
    try:
        compile()
    except PathFault as fault:
        return fault
    return None


def _reference_fault(pointer: str, text: str, why: PathFault) -> Diagnostic:
    start = "" if text.startswith("$") else ": Reference path didn't start with '$'"
    return _fault(pointer, f"{REFERENCE_PATH}{start}", text, why)


def _fault(pointer: str, message: str, text: str, why: object) -> Diagnostic:
    return Diagnostic(pointer=pointer, code=SCHEMA, message=message, found=f"{text[:80]!r} ({why})")
