"""A Map's fields together: what its mode asks for, its label, where its items come from.

That ItemReader and the other fields of a distributed Map stand in an inline one is no fault to AWS: it takes them at
creation (measured, floci pull request 1588 and cdk-preflight's table of fields). Words and codes of what is a fault:
cdk-preflight, pf-sfn-asl-map-distributed, -express-unsupported and -name-limits; floci issue 3733.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from processor.errors import SCHEMA, Diagnostic
from processor.interpreter.fields import MAX_ITEMS, RANGES
from processor.interpreter.validation.walk import Object, Scope, State, states_in
from processor.model.events import MachineType
from processor.model.json import Json

MAX_LABEL_LENGTH = 40  # characters
INPUT_TYPES = ("MANIFEST", "JSON", "CSV", "JSONL", "PARQUET")

_RESOURCES = ("s3:getObject", "s3:listObjectsV2")
_UNLABELLED = frozenset('?*<>{}[]:;,\\|^~$#%&`"')
_NUMBERS = (
    ((), "ToleratedFailureCount"),
    ((), "ToleratedFailurePercentage"),
    (("ItemBatcher",), "MaxItemsPerBatch"),
    (("ItemBatcher",), "MaxInputBytesPerBatch"),
    (("ItemReader", "ReaderConfig"), "MaxItems"),
)

_RANGES: dict[str, tuple[float | None, float | None]] = {
    **RANGES,
    "ToleratedFailurePercentage": (0.0, 100.0),
    "MaxItems": (0, MAX_ITEMS),
}
"""Measured, the batcher's too: AWS's least is 0, though the ASL specification has "MUST be a positive integer"."""


def check_maps(definition: Object, machine_type: MachineType) -> Iterator[Diagnostic]:
    """Yield every fault of the Maps."""
    labels: set[str] = set()
    for state in states_in(definition):
        if state.type == "Map":
            yield from _check_mode(state, machine_type)
            yield from _check_label(state, labels)
            yield from _check_twins(state)
            yield from _check_reader(state)


def _check_mode(state: State, machine_type: MachineType) -> Iterator[Diagnostic]:
    for field in ("ItemProcessor", "Iterator"):
        config = _object(_object(state.fields.get(field)).get("ProcessorConfig"))
        at = f"{state.pointer}/{field}/ProcessorConfig"
        mode = config.get("Mode")
        if mode == "DISTRIBUTED" and "ExecutionType" not in config:
            yield _schema(at, "These fields are required: [ExecutionType]")
        if mode == "DISTRIBUTED" and (machine_type == "EXPRESS" or _is_express(state.scope)):
            supported = "is not supported inside 'EXPRESS' state machines"
            yield _schema(at, f"The field 'Mode' with value 'DISTRIBUTED' {supported}")
        if mode == "INLINE" and "ExecutionType" in config:
            yield _schema(at, "Field 'ExecutionType' is not supported")


def _is_express(scope: Scope) -> bool:
    """Whether the innermost distributed Map around the scope runs it as an Express workflow."""
    around: Scope | None = scope
    while around is not None:
        config = _object(around.fields.get("ProcessorConfig"))
        if config.get("Mode") == "DISTRIBUTED":
            return config.get("ExecutionType") == "EXPRESS"
        around = around.outer
    return False


def _check_label(state: State, labels: set[str]) -> Iterator[Diagnostic]:
    label = state.fields.get("Label")
    if not isinstance(label, str):
        return
    at = f"{state.pointer}/Label"
    invalid = f"Invalid Label name: Label '{label}'"
    if len(label) > MAX_LABEL_LENGTH:
        message = f"{invalid} exceeds the {MAX_LABEL_LENGTH}-character limit allowed by the service"
        yield Diagnostic(pointer=at, code="INVALID_LABEL_NAME", message=message)
    if not label or any(char in _UNLABELLED or char.isspace() or unicodedata.category(char) == "Cc" for char in label):
        yield Diagnostic(pointer=at, code="INVALID_LABEL_NAME", message=f"{invalid} contains invalid characters")
    if label in labels:
        yield Diagnostic(pointer=at, code="DUPLICATE_LABEL_NAME", message=f"Duplicate Label name: {label}")
    labels.add(label)


def check_ranges(definition: Object) -> Iterator[Diagnostic]:
    """Yield each number of a Map that is out of its range, at its own place; one that is computed is not looked at."""
    for state in states_in(definition):
        if state.type == "Map":
            for part, at, field in _numbers(state):
                yield from _check_range(part.get(field), field, f"{at}/{field}")


def _check_range(value: Json, field: str, pointer: str) -> Iterator[Diagnostic]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    least, most = _RANGES[field]
    if least is not None and value < least:
        yield _schema(pointer, f"Minimum value is {least}", found=str(value))
    if most is not None and value > most:
        yield _schema(pointer, f"Maximum value is {most}", found=str(value))


def _check_twins(state: State) -> Iterator[Diagnostic]:
    """Yield each number that is given by a path as well."""
    for part, at, field in _numbers(state):
        if field in part and f"{field}Path" in part:
            yield _schema(at, f"There should only be one of the following fields: [{field}, {field}Path]")


def _numbers(state: State) -> Iterator[tuple[Object, str, str]]:
    """Yield the object in which each number may stand, its place, and the field."""
    for within, field in _NUMBERS:
        part, at = state.fields, state.pointer
        for name in within:
            part, at = _object(part.get(name)), f"{at}/{name}"
        yield part, at, field


def _check_reader(state: State) -> Iterator[Diagnostic]:
    reader = _object(state.fields.get("ItemReader"))
    at = f"{state.pointer}/ItemReader"
    resource = reader.get("Resource")
    if isinstance(resource, str) and not _is_reader(resource):
        examples = ", ".join(f"arn:<partition>:states:::{name}" for name in _RESOURCES)
        message = f"The field 'Resource' does not match any of the allowed values. Examples: [{examples}]"
        yield _schema(f"{at}/Resource", message, found=repr(resource[:80]))
    config = _object(reader.get("ReaderConfig"))
    at += "/ReaderConfig"
    kind = config.get("InputType")
    if isinstance(kind, str) and kind not in INPUT_TYPES:
        values = ", ".join(INPUT_TYPES)
        message = f"The field 'InputType' should have one of these values: [{values}]"
        yield _schema(f"{at}/InputType", message, found=repr(kind[:80]))
    if kind == "CSV" and "CSVHeaderLocation" not in config:
        yield _schema(at, "The field 'CSVHeaderLocation' is required")
    if kind == "JSON" and "CSVHeaderLocation" in config:
        yield _schema(at, "Field 'CSVHeaderLocation' is not supported")
    if config.get("CSVHeaderLocation") == "GIVEN" and "CSVHeaders" not in config:
        yield _schema(at, "These fields are required: [CSVHeaders]")


def _is_reader(resource: str) -> bool:
    match resource.split(":", 5):
        case ["arn", _, "states", "", "", name]:
            return name in _RESOURCES
    return False


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def _schema(pointer: str, message: str, *, found: str | None = None) -> Diagnostic:
    return Diagnostic(pointer=pointer, code=SCHEMA, message=message, found=found)
