"""One state as written → a state of `model/definition.py`, with everything that can be computed beforehand compiled.

Total: whatever is written, faults go to `report` and something is returned; a definition with faults is never run.
Shapes (types, ranges, fields that do not belong) are reported by `parse.py` from `written.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from processor.interpreter.compile_map import compile_map
from processor.interpreter.dataflow import compile_caught, compile_finish, compile_prepare
from processor.interpreter.fields import (
    compile_integer_path,
    compile_seconds_path,
    compile_text,
    compile_timestamp_path,
)
from processor.interpreter.resources import ResourceFault, parse_resource, refusal
from processor.interpreter.rules import compile_rule
from processor.interpreter.templates import Report, compile_template, pointer_to
from processor.interpreter.timestamps import parse_timestamp
from processor.model.definition import (
    AnyState,
    Catcher,
    ChoiceState,
    Environment,
    Evaluate,
    FailState,
    MapState,
    ParallelState,
    PassState,
    Resource,
    Retrier,
    Rule,
    SucceedState,
    TaskState,
    WaitState,
)
from processor.model.events import MachineType, OutputOf, StateType
from processor.model.ids import Millis
from processor.model.json import Json

Fields = Mapping[str, Json]
NO_RESOURCE = Resource(kind="LAMBDA", resource="")


def compile_state(
    name: str, fields: Fields, *, kind: StateType, machine_type: MachineType, pointer: str, report: Report
) -> AnyState:
    match kind:
        case "Pass":
            return _pass(name, fields, pointer, report)
        case "Task":
            return _task(name, fields, machine_type, pointer, report)
        case "Choice":
            return _choice(name, fields, pointer, report)
        case "Wait":
            return _wait(name, fields, pointer, report)
        case "Succeed":
            return _succeed(name, fields, pointer, report)
        case "Fail":
            return _fail(name, fields, pointer, report)
        case "Parallel":
            return _parallel(name, fields, pointer, report)
        case "Map":
            return _map(name, fields, machine_type, pointer, report)
        case other:
            assert_never(other)


# ---- the eight


def _pass(name: str, fields: Fields, pointer: str, report: Report) -> PassState:
    prepare = compile_prepare(fields, template="Parameters", pointer=pointer, report=report)
    has_result = "Result" in fields
    _check_next(fields, pointer, report)
    return PassState(
        name=name,
        prepare=prepare,
        finish=compile_finish(
            fields, result="VALUE" if has_result else _handed(prepare), pointer=pointer, report=report
        ),
        next=_text(fields, "Next"),
        has_result=has_result,
        result=fields.get("Result"),
    )


def _task(name: str, fields: Fields, machine_type: MachineType, pointer: str, report: Report) -> TaskState:
    _check_next(fields, pointer, report)
    _check_at_most_one(fields, ("TimeoutSeconds", "TimeoutSecondsPath"), pointer, report)
    _check_at_most_one(fields, ("HeartbeatSeconds", "HeartbeatSecondsPath"), pointer, report)
    timeout, heartbeat = _integer(fields, "TimeoutSeconds"), _integer(fields, "HeartbeatSeconds")
    if timeout is not None and heartbeat is not None and heartbeat >= timeout:
        report(pointer_to(pointer, "HeartbeatSeconds"), f"must be less than TimeoutSeconds {timeout}, got {heartbeat}")
    timeout_path = compile_integer_path(fields, "TimeoutSecondsPath", at_least=1, pointer=pointer, report=report)
    heartbeat_path = compile_integer_path(fields, "HeartbeatSecondsPath", at_least=1, pointer=pointer, report=report)
    return TaskState(
        name=name,
        prepare=compile_prepare(fields, template="Parameters", pointer=pointer, report=report),
        finish=compile_finish(fields, result="RESULT", pointer=pointer, report=report),
        next=_text(fields, "Next"),
        resource=_resource(fields, machine_type, pointer, report),
        timeout_seconds=timeout_path or timeout,
        heartbeat_seconds=heartbeat_path or heartbeat,
        credentials=_credentials(fields, pointer, report),
        retriers=_retriers(fields, pointer, report),
        catchers=_catchers(fields, pointer, report),
    )


def _choice(name: str, fields: Fields, pointer: str, report: Report) -> ChoiceState:
    prepare = compile_prepare(fields, template=None, pointer=pointer, report=report)
    rules: list[Rule] = []
    for index, entry in enumerate(_array(fields, "Choices")):
        at = pointer_to(pointer, "Choices", index)
        when = compile_rule(entry, pointer=at, report=report)
        if isinstance(entry, dict):
            rules.append(Rule(when=when, next=_text(entry, "Next") or ""))
            _check_present(entry, "Next", at, report)
    return ChoiceState(
        name=name,
        prepare=prepare,
        finish=compile_finish(_without(fields), result=_handed(prepare), pointer=pointer, report=report),
        rules=tuple(rules),
        default=_text(fields, "Default"),
    )


def _wait(name: str, fields: Fields, pointer: str, report: Report) -> WaitState:
    _check_next(fields, pointer, report)
    forms = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
    if not any(form in fields for form in forms):
        report(pointer, f"exactly one of {', '.join(forms)} is required, got none")
    _check_at_most_one(fields, forms, pointer, report)
    moment: Millis | None = None
    if (written := _text(fields, "Timestamp")) is not None and (moment := parse_timestamp(written)) is None:
        report(pointer_to(pointer, "Timestamp"), "String does not match RFC3339 timestamp")
    seconds_path = compile_seconds_path(fields, pointer=pointer, report=report)
    timestamp_path = compile_timestamp_path(fields, pointer=pointer, report=report)
    prepare = compile_prepare(fields, template=None, pointer=pointer, report=report)
    return WaitState(
        name=name,
        prepare=prepare,
        finish=compile_finish(_without(fields), result=_handed(prepare), pointer=pointer, report=report),
        next=_text(fields, "Next"),
        seconds=seconds_path or _integer(fields, "Seconds"),
        timestamp=timestamp_path or moment,
    )


def _succeed(name: str, fields: Fields, pointer: str, report: Report) -> SucceedState:
    prepare = compile_prepare(fields, template=None, pointer=pointer, report=report)
    finish = compile_finish(_without(fields), result=_handed(prepare), pointer=pointer, report=report)
    return SucceedState(name=name, prepare=prepare, finish=finish)


def _fail(name: str, fields: Fields, pointer: str, report: Report) -> FailState:
    _check_at_most_one(fields, ("Error", "ErrorPath"), pointer, report)
    _check_at_most_one(fields, ("Cause", "CausePath"), pointer, report)
    return FailState(
        name=name,
        finish=compile_finish({}, result="INPUT", pointer=pointer, report=report),
        error=compile_text(fields, "Error", pointer=pointer, report=report),
        cause=compile_text(fields, "Cause", pointer=pointer, report=report),
    )


def _parallel(name: str, fields: Fields, pointer: str, report: Report) -> ParallelState:
    _check_next(fields, pointer, report)
    return ParallelState(
        name=name,
        prepare=compile_prepare(fields, template="Parameters", pointer=pointer, report=report),
        finish=compile_finish(fields, result="RESULT", pointer=pointer, report=report),
        next=_text(fields, "Next"),
        branches=tuple(_start_of(branch) for branch in _array(fields, "Branches")),
        retriers=_retriers(fields, pointer, report),
        catchers=_catchers(fields, pointer, report),
    )


def _map(name: str, fields: Fields, machine_type: MachineType, pointer: str, report: Report) -> MapState:
    _check_next(fields, pointer, report)
    return compile_map(
        name,
        fields,
        machine_type=machine_type,
        next=_text(fields, "Next"),
        retriers=_retriers(fields, pointer, report),
        catchers=_catchers(fields, pointer, report),
        pointer=pointer,
        report=report,
    )


# ---- their parts


def _handed(prepare: Evaluate | None) -> OutputOf:
    """Return what a state that makes no result of its own hands on: its input, unless a field has changed it."""
    return "INPUT" if prepare is None else "VALUE"


def _without(fields: Fields) -> Fields:
    """Return the fields of a state that has no result to place: OutputPath is all that shapes its output."""
    return {"OutputPath": fields["OutputPath"]} if "OutputPath" in fields else {}


def _resource(fields: Fields, machine_type: MachineType, pointer: str, report: Report) -> Resource:
    text = _text(fields, "Resource")
    if text is None:
        return NO_RESOURCE
    try:
        resource = parse_resource(text)
    except ResourceFault as fault:
        report(pointer_to(pointer, "Resource"), str(fault))
        return NO_RESOURCE
    if (refused := refusal(resource, type=machine_type)) is not None:
        report(pointer_to(pointer, "Resource"), refused)
    return resource


def _credentials(fields: Fields, pointer: str, report: Report) -> Evaluate | None:
    credentials = fields.get("Credentials")
    if not isinstance(credentials, dict):
        return None
    at = pointer_to(pointer, "Credentials")
    if "RoleArn" not in credentials and "RoleArn.$" not in credentials:
        report(at, "The field 'RoleArn' is required but was missing")
    evaluate = compile_template(credentials, pointer=at, report=report)

    def evaluate_role(value: Json, environment: Environment) -> Json:
        made = evaluate(value, environment)
        return made.get("RoleArn") if isinstance(made, dict) else None

    return evaluate_role


def _retriers(fields: Fields, pointer: str, report: Report) -> tuple[Retrier, ...]:
    return tuple(
        Retrier(
            errors=errors,
            interval_seconds=_integer(entry, "IntervalSeconds") or 1,
            max_attempts=3 if (attempts := _integer(entry, "MaxAttempts")) is None else attempts,
            backoff_rate=_number(entry, "BackoffRate", default=2.0),
            max_delay_seconds=_integer(entry, "MaxDelaySeconds"),
            jitter=entry.get("JitterStrategy") == "FULL",
        )
        for _, entry, errors in _entries(fields, "Retry", pointer, report)
    )


def _catchers(fields: Fields, pointer: str, report: Report) -> tuple[Catcher, ...]:
    return tuple(
        Catcher(
            errors=errors,
            next=_text(entry, "Next") or "",
            finish=compile_caught(entry, pointer=at, report=report),
        )
        for at, entry, errors in _entries(fields, "Catch", pointer, report)
    )


def _entries(
    fields: Fields, field: str, pointer: str, report: Report
) -> list[tuple[str, dict[str, Json], tuple[str, ...]]]:
    """Return each entry of Retry or Catch with its place and errors. States.ALL stands alone, in the last one."""
    written = _array(fields, field)
    entries: list[tuple[str, dict[str, Json], tuple[str, ...]]] = []
    for index, entry in enumerate(written):
        if isinstance(entry, dict):
            at = pointer_to(pointer, field, index)
            errors = tuple(error for error in _array(entry, "ErrorEquals") if isinstance(error, str))
            if "States.ALL" in errors and (len(errors) > 1 or index < len(written) - 1):
                report(pointer_to(at, "ErrorEquals"), f"States.ALL must stand alone, in the last entry of {field}")
            entries.append((at, entry, errors))
    return entries


def _start_of(scope: Json) -> str:
    return (_text(scope, "StartAt") or "") if isinstance(scope, dict) else ""


# ---- checks over several fields


def _check_next(fields: Fields, pointer: str, report: Report) -> None:
    if "Next" in fields and fields.get("End") is True:
        report(pointer, "'Next' and 'End' exclude each other")
    elif "Next" not in fields and fields.get("End") is not True:
        report(pointer, "either 'Next' or 'End': true is required")


def _check_present(fields: Fields, field: str, pointer: str, report: Report) -> None:
    if field not in fields:
        report(pointer, f"These fields are required: [{field}]")
    elif not isinstance(fields[field], str):
        report(pointer_to(pointer, field), "Expected value of type String")


def _check_at_most_one(fields: Fields, names: tuple[str, ...], pointer: str, report: Report) -> None:
    written = [name for name in names if name in fields]
    if len(written) > 1:
        report(pointer, f"at most one of {', '.join(names)} is allowed, got {', '.join(written)}")


# ---- values of the type they should have


def _text(fields: Fields, field: str) -> str | None:
    value = fields.get(field)
    return value if isinstance(value, str) else None


def _integer(fields: Fields, field: str) -> int | None:
    value = fields.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(fields: Fields, field: str, *, default: float) -> float:
    value = fields.get(field)
    return float(value) if isinstance(value, int | float) else default


def _array(fields: Fields, field: str) -> list[Json]:
    value = fields.get(field)
    return value if isinstance(value, list) else []
