"""One state as written → a state of `model/definition.py`, with everything that can be computed beforehand compiled.

Total: whatever is written, faults go to `report` and something is returned; a definition with faults is never run.
Shapes (types, ranges, fields that do not belong) are reported by `parse.py` from `written.py`.
"""

from __future__ import annotations

from typing import assert_never

from processor.interpreter.compile_map import compile_map
from processor.interpreter.compile_parts import (
    Fields,
    array_of,
    check_at_most_one,
    check_heartbeat,
    check_next,
    check_one_of,
    check_present,
    compile_catchers,
    compile_credentials,
    compile_resource,
    compile_retriers,
    handed,
    integer_of,
    start_of,
    text_of,
    without_result,
)
from processor.interpreter.dataflow import compile_assign, compile_finish, compile_prepare
from processor.interpreter.fields import (
    SECONDS,
    compile_integer_path,
    compile_seconds_path,
    compile_text,
    compile_timestamp_path,
)
from processor.interpreter.rules import compile_rule
from processor.interpreter.templates import Report, pointer_to
from processor.interpreter.timestamps import parse_timestamp
from processor.model.definition import (
    AnyState,
    ChoiceState,
    FailState,
    MapState,
    ParallelState,
    PassState,
    Rule,
    SucceedState,
    TaskState,
    WaitState,
)
from processor.model.events import MachineType, StateType
from processor.model.ids import Millis


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
    check_next(fields, pointer, report)
    return PassState(
        name=name,
        prepare=prepare,
        finish=compile_finish(
            fields, result="VALUE" if has_result else handed(prepare), pointer=pointer, report=report
        ),
        assign=compile_assign(fields, pointer=pointer, report=report),
        next=text_of(fields, "Next"),
        has_result=has_result,
        result=fields.get("Result"),
    )


def _task(name: str, fields: Fields, machine_type: MachineType, pointer: str, report: Report) -> TaskState:
    check_next(fields, pointer, report)
    check_at_most_one(fields, ("TimeoutSeconds", "TimeoutSecondsPath"), pointer, report)
    check_at_most_one(fields, ("HeartbeatSeconds", "HeartbeatSecondsPath"), pointer, report)
    timeout, heartbeat = integer_of(fields, "TimeoutSeconds"), integer_of(fields, "HeartbeatSeconds")
    check_heartbeat(timeout, heartbeat, pointer, report)
    timeout_path = compile_integer_path(fields, "TimeoutSecondsPath", range=SECONDS, pointer=pointer, report=report)
    heartbeat_path = compile_integer_path(fields, "HeartbeatSecondsPath", range=SECONDS, pointer=pointer, report=report)
    return TaskState(
        name=name,
        prepare=compile_prepare(fields, template="Parameters", pointer=pointer, report=report),
        finish=compile_finish(fields, result="RESULT", pointer=pointer, report=report),
        assign=compile_assign(fields, pointer=pointer, report=report),
        next=text_of(fields, "Next"),
        resource=compile_resource(fields, machine_type, pointer, report),
        timeout_seconds=timeout_path or timeout,
        heartbeat_seconds=heartbeat_path or heartbeat,
        credentials=compile_credentials(fields, pointer, report),
        retriers=compile_retriers(fields, pointer, report),
        catchers=compile_catchers(fields, pointer, report),
    )


def _choice(name: str, fields: Fields, pointer: str, report: Report) -> ChoiceState:
    prepare = compile_prepare(fields, template=None, pointer=pointer, report=report)
    finish = compile_finish(without_result(fields), result=handed(prepare), pointer=pointer, report=report)
    rules: list[Rule] = []
    for index, entry in enumerate(array_of(fields, "Choices")):
        at = pointer_to(pointer, "Choices", index)
        when = compile_rule(entry, pointer=at, report=report)
        if isinstance(entry, dict):
            assign = compile_assign(entry, pointer=at, report=report)
            rules.append(Rule(when=when, next=text_of(entry, "Next") or "", finish=finish, assign=assign))
            check_present(entry, "Next", at, report)
    return ChoiceState(
        name=name,
        prepare=prepare,
        finish=finish,
        assign=compile_assign(fields, pointer=pointer, report=report),
        next=text_of(fields, "Default"),
        rules=tuple(rules),
    )


def _wait(name: str, fields: Fields, pointer: str, report: Report) -> WaitState:
    check_next(fields, pointer, report)
    forms = ("SecondsPath", "Seconds", "TimestampPath", "Timestamp")
    check_one_of(fields, forms, pointer, report)
    moment: Millis | None = None
    if (written := text_of(fields, "Timestamp")) is not None and (moment := parse_timestamp(written)) is None:
        report(pointer_to(pointer, "Timestamp"), "String does not match RFC3339 timestamp")
    seconds_path = compile_seconds_path(fields, pointer=pointer, report=report)
    timestamp_path = compile_timestamp_path(fields, pointer=pointer, report=report)
    prepare = compile_prepare(fields, template=None, pointer=pointer, report=report)
    return WaitState(
        name=name,
        prepare=prepare,
        finish=compile_finish(without_result(fields), result=handed(prepare), pointer=pointer, report=report),
        assign=compile_assign(fields, pointer=pointer, report=report),
        next=text_of(fields, "Next"),
        seconds=seconds_path or integer_of(fields, "Seconds"),
        timestamp=timestamp_path or moment,
    )


def _succeed(name: str, fields: Fields, pointer: str, report: Report) -> SucceedState:
    prepare = compile_prepare(fields, template=None, pointer=pointer, report=report)
    finish = compile_finish(without_result(fields), result=handed(prepare), pointer=pointer, report=report)
    return SucceedState(name=name, prepare=prepare, finish=finish)


def _fail(name: str, fields: Fields, pointer: str, report: Report) -> FailState:
    check_at_most_one(fields, ("Error", "ErrorPath"), pointer, report)
    check_at_most_one(fields, ("Cause", "CausePath"), pointer, report)
    return FailState(
        name=name,
        finish=compile_finish({}, result="INPUT", pointer=pointer, report=report),
        error=compile_text(fields, "Error", pointer=pointer, report=report),
        cause=compile_text(fields, "Cause", pointer=pointer, report=report),
    )


def _parallel(name: str, fields: Fields, pointer: str, report: Report) -> ParallelState:
    check_next(fields, pointer, report)
    return ParallelState(
        name=name,
        prepare=compile_prepare(fields, template="Parameters", pointer=pointer, report=report),
        finish=compile_finish(fields, result="RESULT", pointer=pointer, report=report),
        assign=compile_assign(fields, pointer=pointer, report=report),
        next=text_of(fields, "Next"),
        branches=tuple(start_of(branch) for branch in array_of(fields, "Branches")),
        retriers=compile_retriers(fields, pointer, report),
        catchers=compile_catchers(fields, pointer, report),
    )


def _map(name: str, fields: Fields, machine_type: MachineType, pointer: str, report: Report) -> MapState:
    check_next(fields, pointer, report)
    return compile_map(
        name,
        fields,
        next=text_of(fields, "Next"),
        retriers=compile_retriers(fields, pointer, report),
        catchers=compile_catchers(fields, pointer, report),
        pointer=pointer,
        report=report,
    )
