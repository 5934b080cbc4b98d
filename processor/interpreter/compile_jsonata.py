"""One state of the query language JSONata → a state of `model/definition.py`. As `compilation.py`, total.

Source: Developer Guide, "Transforming data with JSONata in Step Functions", and the recordings.
"""

from __future__ import annotations

from typing import assert_never

from processor.interpreter.compile_map import object_of, processor_of, reader_of, writer_of
from processor.interpreter.compile_parts import (
    array_of,
    check_heartbeat,
    check_next,
    check_one_of,
    check_present,
    compile_resource,
    compile_retriers,
    error_entries,
    start_of,
    text_of,
)
from processor.interpreter.fields import RANGES, SECONDS, Range
from processor.interpreter.jsonata import EvaluationFailed
from processor.interpreter.jsonata_fields import Fields
from processor.interpreter.templates import Report, pointer_to
from processor.model.definition import (
    AnyState,
    Catcher,
    ChoiceState,
    Environment,
    Evaluate,
    FailState,
    ItemBatcher,
    ItemReader,
    MapState,
    ParallelState,
    PassState,
    ResultWriter,
    Rule,
    SucceedState,
    TaskState,
    WaitState,
)
from processor.model.events import MachineType, StateType
from processor.model.json import Json, render_json


def compile_jsonata_state(
    name: str, fields: Fields, *, kind: StateType, machine_type: MachineType, report: Report
) -> AnyState:
    if kind in ("Pass", "Task", "Wait", "Parallel", "Map"):
        check_next(fields.written, fields.pointer, report)
    match kind:
        case "Pass":
            return PassState(
                name=name,
                finish=fields.finish(result=None, default="INPUT"),
                assign=fields.assign(result=None),
                next=text_of(fields.written, "Next"),
            )
        case "Task":
            return _task(name, fields, machine_type, report)
        case "Choice":
            return _choice(name, fields, report)
        case "Wait":
            return _wait(name, fields, report)
        case "Succeed":
            return SucceedState(name=name, finish=fields.finish(result=None, default="INPUT"))
        case "Fail":
            finish = fields.finish(result=None, default="INPUT")
            return FailState(name=name, finish=finish, error=fields.text("Error"), cause=fields.text("Cause"))
        case "Parallel":
            return ParallelState(
                name=name,
                prepare=fields.any("Arguments"),
                finish=fields.finish(result="result", default="RESULT"),
                assign=fields.assign(result="result"),
                next=text_of(fields.written, "Next"),
                branches=tuple(start_of(branch) for branch in array_of(fields.written, "Branches")),
                retriers=compile_retriers(fields.written, fields.pointer, report),
                catchers=_catchers(fields, report),
            )
        case "Map":
            return _map(name, fields, report)
        case other:
            assert_never(other)


def _task(name: str, fields: Fields, machine_type: MachineType, report: Report) -> TaskState:
    timeout = fields.integer("TimeoutSeconds", SECONDS)
    heartbeat = fields.integer("HeartbeatSeconds", SECONDS)
    check_heartbeat(timeout, heartbeat, fields.pointer, report)
    return TaskState(
        name=name,
        prepare=fields.any("Arguments"),
        finish=fields.finish(result="result", default="RESULT"),
        assign=fields.assign(result="result"),
        next=text_of(fields.written, "Next"),
        resource=compile_resource(fields.written, machine_type, fields.pointer, report),
        timeout_seconds=timeout,
        heartbeat_seconds=heartbeat,
        credentials=_credentials(fields, report),
        retriers=compile_retriers(fields.written, fields.pointer, report),
        catchers=_catchers(fields, report),
    )


def _credentials(fields: Fields, report: Report) -> Evaluate | None:
    credentials = fields.written.get("Credentials")
    if not isinstance(credentials, dict):
        return None
    if "RoleArn" not in credentials:
        report(pointer_to(fields.pointer, "Credentials"), "The field 'RoleArn' is required but was missing")
        return None
    role = fields.within(credentials, "Credentials", "Credentials").text("RoleArn")
    return role if callable(role) else lambda value, environment: role


def _choice(name: str, fields: Fields, report: Report) -> ChoiceState:
    rules: list[Rule] = []
    for index, entry in enumerate(array_of(fields.written, "Choices")):
        at = pointer_to(fields.pointer, "Choices", index)
        if not isinstance(entry, dict):
            report(at, "Expected value of type [OBJECT]")
            continue
        rule = fields.within(entry, f"Choices[{index}]", "Choices", index)
        check_present(entry, "Next", at, report)
        if "Condition" not in entry:
            selectors = "[And, Or, Not, Variable, Condition]"
            report(at, f"The object must have only one of the following fields, {selectors}")
        for field in entry.keys() - {"Condition", "Next", "Output", "Assign", "Comment"}:
            report(at, f"Field '{field}' is not supported")
        rules.append(
            Rule(
                when=rule.condition(),
                next=text_of(entry, "Next") or "",
                finish=rule.finish(result=None, default="INPUT"),
                assign=rule.assign(result=None),
            )
        )
    return ChoiceState(
        name=name,
        finish=fields.finish(result=None, default="INPUT"),
        assign=fields.assign(result=None),
        next=text_of(fields.written, "Default"),
        rules=tuple(rules),
    )


def _wait(name: str, fields: Fields, report: Report) -> WaitState:
    written = {form: None for form in ("Seconds", "Timestamp") if form in fields.written}
    check_one_of(written, ("SecondsPath", "Seconds", "TimestampPath", "Timestamp"), fields.pointer, report)
    return WaitState(
        name=name,
        finish=fields.finish(result=None, default="INPUT"),
        assign=fields.assign(result=None),
        next=text_of(fields.written, "Next"),
        seconds=fields.integer("Seconds", Range(0)),
        timestamp=fields.timestamp("Timestamp"),
    )


def _map(name: str, fields: Fields, report: Report) -> MapState:
    written = fields.written
    check_one_of(written, ("ItemProcessor", "Iterator"), fields.pointer, report)
    processor, config = processor_of(written)
    distributed = config.get("Mode") == "DISTRIBUTED"
    return MapState(
        name=name,
        finish=fields.finish(result="result", default="RESULT"),
        assign=fields.assign(result="result"),
        next=text_of(written, "Next"),
        first=text_of(processor, "StartAt") or "",
        mode="DISTRIBUTED" if distributed else "INLINE",
        execution_type="EXPRESS" if config.get("ExecutionType") == "EXPRESS" else "STANDARD",
        items=fields.items("Items", objects=distributed),
        check=_check_items_or_object if distributed else _check_items,
        selector=fields.any("ItemSelector"),
        max_concurrency=fields.integer("MaxConcurrency", RANGES["MaxConcurrency"]) or 0,
        tolerated_count=fields.integer("ToleratedFailureCount", RANGES["ToleratedFailureCount"]),
        tolerated_percentage=fields.percentage("ToleratedFailurePercentage"),
        label=text_of(written, "Label"),
        reader=_reader(fields, report) if distributed else None,
        batcher=_batcher(fields, report) if distributed else None,
        writer=_writer(fields, report) if distributed else None,
        retriers=compile_retriers(written, fields.pointer, report),
        catchers=_catchers(fields, report),
    )


def _reader(fields: Fields, report: Report) -> ItemReader | None:
    written = fields.written.get("ItemReader")
    if not isinstance(written, dict):
        return None
    reader = fields.within(written, "ItemReader", "ItemReader")
    config = reader.within(object_of(written, "ReaderConfig"), "ReaderConfig", "ReaderConfig")
    return reader_of(
        written,
        parameters=reader.any("Arguments") or _nothing,
        max_items=config.integer("MaxItems", RANGES["MaxItems"]),
        pointer=reader.pointer,
        report=report,
    )


def _batcher(fields: Fields, report: Report) -> ItemBatcher | None:
    written = fields.written.get("ItemBatcher")
    if not isinstance(written, dict):
        return None
    batcher = fields.within(written, "ItemBatcher", "ItemBatcher")
    limits = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")
    if not any(limit in written for limit in limits):
        report(batcher.pointer, f"at least one of {', '.join(limits)} is required")
    return ItemBatcher(
        max_items=batcher.integer(limits[0], RANGES[limits[0]]),
        max_bytes=batcher.integer(limits[1], RANGES[limits[1]]),
        batch_input=batcher.any("BatchInput"),
    )


def _writer(fields: Fields, report: Report) -> ResultWriter | None:
    written = fields.written.get("ResultWriter")
    if not isinstance(written, dict):
        return None
    writer = fields.within(written, "ResultWriter", "ResultWriter")
    return writer_of(
        written,
        parameters=writer.any("Arguments") or _nothing,
        name="Arguments",
        pointer=writer.pointer,
        report=report,
    )


def _nothing(_value: Json, _environment: Environment) -> Json:
    return {}


def _check_items(value: Json) -> list[Json]:
    """Without Items the input is what a Map runs over. The cause, and that it names no place, is recorded."""
    if not isinstance(value, list):
        raise EvaluationFailed(f"Map state input must be an array but was: {render_json(value)}", location=None)
    return value


def _check_items_or_object(value: Json) -> list[Json] | dict[str, Json]:
    return value if isinstance(value, dict) else _check_items(value)


def _catchers(fields: Fields, report: Report) -> tuple[Catcher, ...]:
    catchers: list[Catcher] = []
    for index, (_, entry, errors) in enumerate(error_entries(fields.written, "Catch", fields.pointer, report)):
        catcher = fields.within(entry, f"Catch[{index}]", "Catch", index)
        catchers.append(
            Catcher(
                errors=errors,
                next=text_of(entry, "Next") or "",
                finish=catcher.finish(result="errorOutput", default="VALUE"),
                assign=catcher.assign(result="errorOutput"),
            )
        )
    return tuple(catchers)
