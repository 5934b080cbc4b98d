"""A Map state as written → MapState: where its items come from, how many go where, what becomes of the results.

Each field that AWS lets an expression compute is a closure in the compiled state, or a constant. Retry, Catch and where
the state leads are compiled with every other state's, in `compilation.py`.
"""

from __future__ import annotations

from processor.interpreter.compile_parts import Fields, check_at_most_one, check_one_of, integer_of, text_of
from processor.interpreter.dataflow import compile_assign, compile_finish, compile_prepare
from processor.interpreter.fields import (
    ANY,
    RANGES,
    check_items,
    check_items_or_object,
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
from processor.model.json import Json


def compile_map(
    name: str,
    fields: Fields,
    *,
    next: str | None,
    retriers: tuple[Retrier, ...],
    catchers: tuple[Catcher, ...],
    pointer: str,
    report: Report,
) -> MapState:
    """Return the Map state. Faults go to `report`; what is returned then is of no use."""
    processor, config = processor_of(fields)
    distributed = config.get("Mode") == "DISTRIBUTED"
    check_one_of(fields, ("ItemProcessor", "Iterator"), pointer, report)
    check_at_most_one(fields, ("ItemSelector", "Parameters"), pointer, report)
    selector: Evaluate | None = None
    for field in ("ItemSelector", "Parameters"):
        if field in fields:
            selector = compile_template(fields[field], pointer=pointer_to(pointer, field), report=report)
    return MapState(
        name=name,
        prepare=compile_prepare(fields, template=None, pointer=pointer, report=report),
        finish=compile_finish(fields, result="RESULT", pointer=pointer, report=report),
        next=next,
        assign=compile_assign(fields, pointer=pointer, report=report),
        first=text_of(processor, "StartAt") or "",
        mode="DISTRIBUTED" if distributed else "INLINE",
        execution_type="EXPRESS" if config.get("ExecutionType") == "EXPRESS" else "STANDARD",
        items=compile_items_path(fields, objects=distributed, pointer=pointer, report=report),
        check=check_items_or_object if distributed else check_items,
        selector=selector,
        max_concurrency=_concurrency(fields, pointer, report),
        tolerated_count=_tolerated_count(fields, pointer, report),
        tolerated_percentage=_tolerated_percentage(fields, pointer, report),
        label=text_of(fields, "Label"),
        reader=_reader(fields, pointer, report) if distributed else None,
        batcher=_batcher(fields, pointer, report) if distributed else None,
        writer=_writer(fields, pointer, report) if distributed else None,
        retriers=retriers,
        catchers=catchers,
    )


def processor_of(fields: Fields) -> tuple[Fields, Fields]:
    """Return the item processor and its ProcessorConfig, {} for what is not there or no object."""
    processor = object_of(fields, "ItemProcessor" if "ItemProcessor" in fields else "Iterator")
    return processor, object_of(processor, "ProcessorConfig")


def _concurrency(fields: Fields, pointer: str, report: Report) -> int | Evaluate:
    check_at_most_one(fields, ("MaxConcurrency", "MaxConcurrencyPath"), pointer, report)
    # Recorded: a negative MaxConcurrencyPath is no failure; the Map starts nothing, until a timeout or a stop.
    path = compile_integer_path(fields, "MaxConcurrencyPath", range=ANY, pointer=pointer, report=report)
    return path or integer_of(fields, "MaxConcurrency") or 0


def _tolerated_count(fields: Fields, pointer: str, report: Report) -> int | Evaluate | None:
    path = compile_tolerated_count_path(fields, pointer=pointer, report=report)
    return path or integer_of(fields, "ToleratedFailureCount")


def _tolerated_percentage(fields: Fields, pointer: str, report: Report) -> float | Evaluate | None:
    path = compile_tolerated_percentage_path(fields, pointer=pointer, report=report)
    if path is not None:
        return path
    value = fields.get("ToleratedFailurePercentage")
    return float(value) if isinstance(value, int | float) else None


# ---- ItemReader, ItemBatcher, ResultWriter


def _reader(fields: Fields, pointer: str, report: Report) -> ItemReader | None:
    written = fields.get("ItemReader")
    if not isinstance(written, dict):
        return None
    at = pointer_to(pointer, "ItemReader")
    config, config_at = object_of(written, "ReaderConfig"), pointer_to(at, "ReaderConfig")
    # Recorded: one below 0 fails the reader.
    path = compile_integer_path(config, "MaxItemsPath", range=ANY, pointer=config_at, report=report)
    return reader_of(
        written,
        parameters=_parameters(written, at, report),
        max_items=path or integer_of(config, "MaxItems"),
        pointer=at,
        report=report,
    )


def reader_of(
    written: Fields, *, parameters: Evaluate, max_items: int | Evaluate | None, pointer: str, report: Report
) -> ItemReader:
    """Return the reader of what is the same in both query languages, and of what is given."""
    config = object_of(written, "ReaderConfig")
    # What may be read is told with the rest of the definition.
    resource = _s3(written, ("getObject", "listObjectsV2"), pointer, lambda at, message: None)
    _check_reader_config(config, resource, pointer_to(pointer, "ReaderConfig") if config else pointer, report)
    return ItemReader(
        resource=resource,
        parameters=parameters,
        config={name: value for name, value in config.items() if name not in _EVALUATED},
        max_items=max_items,
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


def _batcher(fields: Fields, pointer: str, report: Report) -> ItemBatcher | None:
    written = fields.get("ItemBatcher")
    if not isinstance(written, dict):
        return None
    at = pointer_to(pointer, "ItemBatcher")
    limits = ("MaxItemsPerBatch", "MaxItemsPerBatchPath", "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath")
    if not any(limit in written for limit in limits):
        report(at, f"at least one of {', '.join(limits)} is required")
    batch_input: Evaluate | None = None
    if "BatchInput" in written:
        batch_input = compile_template(written["BatchInput"], pointer=pointer_to(at, "BatchInput"), report=report)
    items = compile_integer_path(written, limits[1], range=RANGES[limits[0]], pointer=at, report=report)
    bytes_ = compile_integer_path(written, limits[3], range=RANGES[limits[2]], pointer=at, report=report)
    return ItemBatcher(
        max_items=items or integer_of(written, limits[0]),
        max_bytes=bytes_ or integer_of(written, limits[2]),
        batch_input=batch_input,
    )


def _writer(fields: Fields, pointer: str, report: Report) -> ResultWriter | None:
    written = fields.get("ResultWriter")
    if not isinstance(written, dict):
        return None
    at = pointer_to(pointer, "ResultWriter")
    return writer_of(written, parameters=_parameters(written, at, report), name="Parameters", pointer=at, report=report)


def writer_of(written: Fields, *, parameters: Evaluate, name: str, pointer: str, report: Report) -> ResultWriter:
    """Return the writer of what is the same in both query languages; `name` is the field of the parameters."""
    exports = "Resource" in written or name in written
    if not exports and "WriterConfig" not in written:
        report(pointer, f"either WriterConfig, or Resource and {name}, or all three are required")
    if exports and not ("Resource" in written and name in written):
        missing = name if "Resource" in written else "Resource"
        report(pointer, f"These fields are required: [{missing}]")
    config = object_of(written, "WriterConfig")
    transformation: Transformation = "NONE" if exports else "COMPACT"
    for known in _TRANSFORMATIONS:
        if config.get("Transformation") == known:
            transformation = known
    return ResultWriter(
        resource=_s3(written, ("putObject",), pointer, report) if exports else None,
        parameters=parameters if exports else None,
        transformation=transformation,
        output_type="JSONL" if config.get("OutputType") == "JSONL" else "JSON",
    )


_TRANSFORMATIONS: tuple[Transformation, ...] = ("NONE", "COMPACT", "FLATTEN")


def _s3(written: Fields, actions: tuple[str, ...], pointer: str, report: Report) -> Resource:
    """Return the Resource; what is no string, or is missing, is reported with the rest of the shape."""
    text = text_of(written, "Resource")
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


def object_of(fields: Fields, field: str) -> Fields:
    value = fields.get(field)
    return value if isinstance(value, dict) else {}
