"""A Map state as written → MapState: where its items come from, how many go where, what becomes of the results.

Each field that AWS lets an expression compute is a closure in the compiled state, or a constant. Retry, Catch and where
the state leads are compiled with every other state's, in `compilation.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from processor.interpreter.dataflow import compile_finish, compile_prepare
from processor.interpreter.fields import (
    MAX_SECONDS,
    compile_integer_path,
    compile_items_path,
    compile_tolerated_count_path,
    compile_tolerated_percentage_path,
)
from processor.interpreter.resources import ResourceFault, parse_resource
from processor.interpreter.templates import Report, compile_template, pointer_to
from processor.model.definition import (
    Catcher,
    Environment,
    Evaluate,
    ItemBatcher,
    ItemReader,
    MapState,
    Resource,
    ResultWriter,
    Retrier,
    Transformation,
)
from processor.model.events import MachineType
from processor.model.json import Json

Fields = Mapping[str, Json]

MAX_LABEL_LENGTH = 40
# Whitespace, wildcards, brackets, special and control characters: AWS Developer Guide, "Distributed mode", Label.
_LABEL = re.compile(r"""[^\s?*<>{}\[\]:;,\\|^~$#%&`"\x00-\x1f\x7f-\x9f]+""")
_DISTRIBUTED_ONLY = ("ItemReader", "ItemBatcher", "ResultWriter", "Label")


def compile_map(
    name: str,
    fields: Fields,
    *,
    machine_type: MachineType,
    next: str | None,
    retriers: tuple[Retrier, ...],
    catchers: tuple[Catcher, ...],
    pointer: str,
    report: Report,
) -> MapState:
    """Return the Map state. Faults go to `report`; what is returned then is of no use."""
    processor, config = _processor(fields, machine_type, pointer, report)
    distributed = config.get("Mode") == "DISTRIBUTED"
    for field in _DISTRIBUTED_ONLY:
        if field in fields and not distributed:
            report(pointer_to(pointer, field), f"{field} belongs to the mode DISTRIBUTED")
    _check_at_most_one(fields, ("ItemSelector", "Parameters"), pointer, report)
    selector: Evaluate | None = None
    for field in ("ItemSelector", "Parameters"):
        if field in fields:
            selector = compile_template(fields[field], pointer=pointer_to(pointer, field), report=report)
    return MapState(
        name=name,
        prepare=compile_prepare(fields, template=None, pointer=pointer, report=report),
        finish=compile_finish(fields, result="RESULT", pointer=pointer, report=report),
        next=next,
        first=_text(processor, "StartAt") or "",
        mode="DISTRIBUTED" if distributed else "INLINE",
        execution_type="EXPRESS" if config.get("ExecutionType") == "EXPRESS" else "STANDARD",
        items=compile_items_path(fields, objects=distributed, pointer=pointer, report=report),
        selector=selector,
        max_concurrency=_concurrency(fields, pointer, report),
        tolerated_count=_tolerated_count(fields, pointer, report),
        tolerated_percentage=_tolerated_percentage(fields, pointer, report),
        label=_label(fields, pointer, report),
        reader=_reader(fields, pointer, report),
        batcher=_batcher(fields, pointer, report),
        writer=_writer(fields, pointer, report),
        retriers=retriers,
        catchers=catchers,
    )


def _processor(fields: Fields, machine_type: MachineType, pointer: str, report: Report) -> tuple[Fields, Fields]:
    """Return the item processor and its ProcessorConfig, {} for what is not there or no object."""
    written = [field for field in ("ItemProcessor", "Iterator") if field in fields]
    if not written:
        report(pointer, "These fields are required: [ItemProcessor]")
        return {}, {}
    _check_at_most_one(fields, ("ItemProcessor", "Iterator"), pointer, report)
    processor = _object(fields, written[0])
    config = _object(processor, "ProcessorConfig")
    if config.get("Mode") == "DISTRIBUTED":
        at = pointer_to(pointer, written[0], "ProcessorConfig")
        if machine_type == "EXPRESS":
            report(pointer_to(at, "Mode"), "an Express state machine does not support the mode DISTRIBUTED")
        if "ExecutionType" not in config:
            report(at, "These fields are required: [ExecutionType]")
    return processor, config


def _concurrency(fields: Fields, pointer: str, report: Report) -> int | Evaluate:
    _check_at_most_one(fields, ("MaxConcurrency", "MaxConcurrencyPath"), pointer, report)
    # Recorded: a negative MaxConcurrencyPath is no failure; the Map starts nothing, until a timeout or a stop.
    path = compile_integer_path(fields, "MaxConcurrencyPath", at_least=-MAX_SECONDS, pointer=pointer, report=report)
    return path or _integer(fields, "MaxConcurrency") or 0


def _tolerated_count(fields: Fields, pointer: str, report: Report) -> int | Evaluate | None:
    _check_at_most_one(fields, ("ToleratedFailureCount", "ToleratedFailureCountPath"), pointer, report)
    path = compile_tolerated_count_path(fields, pointer=pointer, report=report)
    return path or _integer(fields, "ToleratedFailureCount")


def _tolerated_percentage(fields: Fields, pointer: str, report: Report) -> float | Evaluate | None:
    _check_at_most_one(fields, ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"), pointer, report)
    path = compile_tolerated_percentage_path(fields, pointer=pointer, report=report)
    if path is not None:
        return path
    value = fields.get("ToleratedFailurePercentage")
    return float(value) if isinstance(value, int | float) else None


def _label(fields: Fields, pointer: str, report: Report) -> str | None:
    label = _text(fields, "Label")
    if label is not None and (len(label) > MAX_LABEL_LENGTH or _LABEL.fullmatch(label) is None):
        rule = f"must have 1 to {MAX_LABEL_LENGTH} characters that AWS allows in labels"
        report(pointer_to(pointer, "Label"), f"{rule}, got {label[:80]!r}")
    return label


# ---- ItemReader, ItemBatcher, ResultWriter


def _reader(fields: Fields, pointer: str, report: Report) -> ItemReader | None:
    written = fields.get("ItemReader")
    if not isinstance(written, dict):
        return None
    at = pointer_to(pointer, "ItemReader")
    config, config_at = _object(written, "ReaderConfig"), pointer_to(at, "ReaderConfig")
    _check_at_most_one(config, ("MaxItems", "MaxItemsPath"), config_at, report)
    resource = _s3(written, ("getObject", "listObjectsV2"), at, report)
    _check_reader_config(config, resource, config_at if config else at, report)
    path = compile_integer_path(
        config, "MaxItemsPath", at_least=-(10**18), at_most=10**18, pointer=config_at, report=report
    )
    return ItemReader(
        resource=resource,
        parameters=_parameters(written, at, report),
        config={name: value for name, value in config.items() if name not in _EVALUATED},
        max_items=path or _integer(config, "MaxItems"),
    )


_EVALUATED = ("Comment", "MaxItems", "MaxItemsPath")


def _check_reader_config(config: Fields, resource: Resource, pointer: str, report: Report) -> None:
    """What fields mean together: AWS Developer Guide, "ItemReader"."""
    input_type = config.get("InputType")
    if resource.resource == "getObject" and input_type is None and config.get("ManifestType") != "S3_INVENTORY":
        report(pointer, f"These fields are required: [{'InputType' if config else 'ReaderConfig'}]")
    if config.get("Transformation") == "LOAD_AND_FLATTEN" and input_type is None:
        report(pointer, "Transformation LOAD_AND_FLATTEN requires the field InputType")
    if config.get("ManifestType") == "S3_INVENTORY" and input_type not in (None, "MANIFEST"):
        report(pointer_to(pointer, "InputType"), "must not be given with the ManifestType S3_INVENTORY")
    if config.get("CSVHeaderLocation") == "GIVEN" and "CSVHeaders" not in config:
        report(pointer, "CSVHeaderLocation GIVEN requires the field CSVHeaders")


def _batcher(fields: Fields, pointer: str, report: Report) -> ItemBatcher | None:
    written = fields.get("ItemBatcher")
    if not isinstance(written, dict):
        return None
    at = pointer_to(pointer, "ItemBatcher")
    limits = ("MaxItemsPerBatch", "MaxItemsPerBatchPath", "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath")
    if not any(limit in written for limit in limits):
        report(at, f"at least one of {', '.join(limits)} is required")
    _check_at_most_one(written, limits[:2], at, report)
    _check_at_most_one(written, limits[2:], at, report)
    batch_input: Evaluate | None = None
    if "BatchInput" in written:
        batch_input = compile_template(written["BatchInput"], pointer=pointer_to(at, "BatchInput"), report=report)
    items = compile_integer_path(written, limits[1], at_least=1, pointer=at, report=report)
    bytes_ = compile_integer_path(written, limits[3], at_least=1, pointer=at, report=report)
    return ItemBatcher(
        max_items=items or _integer(written, limits[0]),
        max_bytes=bytes_ or _integer(written, limits[2]),
        batch_input=batch_input,
    )


def _writer(fields: Fields, pointer: str, report: Report) -> ResultWriter | None:
    written = fields.get("ResultWriter")
    if not isinstance(written, dict):
        return None
    at = pointer_to(pointer, "ResultWriter")
    exports = "Resource" in written or "Parameters" in written
    if not exports and "WriterConfig" not in written:
        report(at, "either WriterConfig, or Resource and Parameters, or all three are required")
    if exports and not ("Resource" in written and "Parameters" in written):
        missing = "Parameters" if "Resource" in written else "Resource"
        report(at, f"These fields are required: [{missing}]")
    config = _object(written, "WriterConfig")
    transformation: Transformation = "NONE" if exports else "COMPACT"
    for known in _TRANSFORMATIONS:
        if config.get("Transformation") == known:
            transformation = known
    return ResultWriter(
        resource=_s3(written, ("putObject",), at, report) if exports else None,
        parameters=_parameters(written, at, report) if exports else None,
        transformation=transformation,
        output_type="JSONL" if config.get("OutputType") == "JSONL" else "JSON",
    )


_TRANSFORMATIONS: tuple[Transformation, ...] = ("NONE", "COMPACT", "FLATTEN")


def _s3(written: Fields, actions: tuple[str, ...], pointer: str, report: Report) -> Resource:
    """Return the Resource; what is no string, or is missing, is reported with the rest of the shape."""
    text = _text(written, "Resource")
    allowed = " or ".join(f"arn:aws:states:::s3:{action}" for action in actions)
    if text is not None:
        try:
            resource = parse_resource(text)
        except ResourceFault:
            resource = None
        if resource is not None and resource.resource_type == "s3" and resource.resource in actions:
            return resource
        report(pointer_to(pointer, "Resource"), f"must be {allowed}, got {text[:200]!r}")
    return Resource(kind="SERVICE", resource_type="s3", resource=actions[0])


def _parameters(written: Fields, pointer: str, report: Report) -> Evaluate:
    parameters = written.get("Parameters")
    if not isinstance(parameters, dict):
        return _none
    return compile_template(parameters, pointer=pointer_to(pointer, "Parameters"), report=report)


def _none(_value: Json, _environment: Environment) -> Json:
    return {}


# ---- values of the type they should have; what is not is reported with the rest of the state's shape


def _check_at_most_one(fields: Fields, names: tuple[str, ...], pointer: str, report: Report) -> None:
    written = [name for name in names if name in fields]
    if len(written) > 1:
        report(pointer, f"at most one of {', '.join(names)} is allowed, got {', '.join(written)}")


def _text(fields: Fields, field: str) -> str | None:
    value = fields.get(field)
    return value if isinstance(value, str) else None


def _integer(fields: Fields, field: str) -> int | None:
    value = fields.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _object(fields: Fields, field: str) -> Fields:
    value = fields.get(field)
    return value if isinstance(value, dict) else {}
