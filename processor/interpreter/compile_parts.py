"""What the compilation of states in both query languages shares: fields read by their type, Resource, Retry, Catch, and
checks over several fields.
"""

from __future__ import annotations

from collections.abc import Mapping

from processor.interpreter.dataflow import compile_assign, compile_caught
from processor.interpreter.paths import rendered
from processor.interpreter.resources import ResourceFault, parse_resource, refusal
from processor.interpreter.templates import Report, compile_template, pointer_to
from processor.model.definition import Catcher, Environment, Evaluate, Resource, Retrier, StateFailure
from processor.model.events import MachineType, OutputOf
from processor.model.json import Json

Fields = Mapping[str, Json]
NO_RESOURCE = Resource(kind="LAMBDA", resource="")


# ---- their parts


def handed(prepare: Evaluate | None) -> OutputOf:
    """Return what a state that makes no result of its own hands on: its input, unless a field has changed it."""
    return "INPUT" if prepare is None else "VALUE"


def without_result(fields: Fields) -> Fields:
    """Return the fields of a state that has no result to place: OutputPath is all that shapes its output."""
    return {"OutputPath": fields["OutputPath"]} if "OutputPath" in fields else {}


def compile_resource(fields: Fields, machine_type: MachineType, pointer: str, report: Report) -> Resource:
    text = text_of(fields, "Resource")
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


def compile_credentials(fields: Fields, pointer: str, report: Report) -> Evaluate | None:
    credentials = fields.get("Credentials")
    if not isinstance(credentials, dict):
        return None
    at = pointer_to(pointer, "Credentials")
    if "RoleArn" not in credentials and "RoleArn.$" not in credentials:
        report(at, "The field 'RoleArn' is required but was missing")
    if "RoleArn" in credentials and not isinstance(credentials["RoleArn"], str):
        report(pointer_to(at, "RoleArn"), "Expected value of type [STRING]")
    evaluate = compile_template(credentials, pointer=at, report=report)

    def evaluate_role(value: Json, environment: Environment) -> Json:
        made = evaluate(value, environment)
        role = made.get("RoleArn") if isinstance(made, dict) else None
        if not isinstance(role, str):  # by analogy with a Fail's paths; without a role the task would have other rights
            said = f"The RoleArn parameter does not reference a string value: {credentials.get('RoleArn.$')}"
            raise StateFailure("States.Runtime", f"{said} == {rendered(role)}")
        return role

    return evaluate_role


def compile_retriers(fields: Fields, pointer: str, report: Report) -> tuple[Retrier, ...]:
    return tuple(
        Retrier(
            errors=errors,
            interval_seconds=1 if (interval := integer_of(entry, "IntervalSeconds")) is None else interval,
            max_attempts=3 if (attempts := integer_of(entry, "MaxAttempts")) is None else attempts,
            backoff_rate=number_of(entry, "BackoffRate", default=2.0),
            max_delay_seconds=integer_of(entry, "MaxDelaySeconds"),
            jitter=entry.get("JitterStrategy") == "FULL",
        )
        for _, entry, errors in error_entries(fields, "Retry", pointer, report)
    )


def compile_catchers(fields: Fields, pointer: str, report: Report) -> tuple[Catcher, ...]:
    return tuple(
        Catcher(
            errors=errors,
            next=text_of(entry, "Next") or "",
            finish=compile_caught(entry, pointer=at, report=report),
            assign=compile_assign(entry, pointer=at, report=report),
        )
        for at, entry, errors in error_entries(fields, "Catch", pointer, report)
    )


def error_entries(
    fields: Fields, field: str, pointer: str, report: Report
) -> list[tuple[str, dict[str, Json], tuple[str, ...]]]:
    """Return each entry of Retry or Catch with its place and errors. States.ALL stands alone, in the last one."""
    written = array_of(fields, field)
    entries: list[tuple[str, dict[str, Json], tuple[str, ...]]] = []
    for index, entry in enumerate(written):
        if isinstance(entry, dict):
            at = pointer_to(pointer, field, index)
            errors = tuple(error for error in array_of(entry, "ErrorEquals") if isinstance(error, str))
            if "States.ALL" in errors and (len(errors) > 1 or index < len(written) - 1):
                report(pointer_to(at, "ErrorEquals"), "States.ALL must appear alone and at end of list")
            entries.append((at, entry, errors))
    return entries


def check_heartbeat(
    timeout: int | Evaluate | None, heartbeat: int | Evaluate | None, pointer: str, report: Report
) -> None:
    """Report a written HeartbeatSeconds that is not less than TimeoutSeconds: it "MUST be smaller" (ASL specification,
    "Task State"), "less than" (AWS Developer Guide, "Task workflow state"). The words are this project's."""
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        report(pointer_to(pointer, "HeartbeatSeconds"), f"must be less than TimeoutSeconds {timeout}, got {heartbeat}")


def start_of(scope: Json) -> str:
    return (text_of(scope, "StartAt") or "") if isinstance(scope, dict) else ""


# ---- checks over several fields


def check_next(fields: Fields, pointer: str, report: Report) -> None:
    """`End` of false, or of no boolean, is as none."""
    written = [field for field in ("Next", "End") if field in fields and (field == "Next" or fields[field] is True)]
    check_one_of(dict.fromkeys(written), ("Next", "End"), pointer, report)


def check_present(fields: Fields, field: str, pointer: str, report: Report) -> None:
    if field not in fields:
        report(pointer, f"These fields are required: [{field}]")
    elif not isinstance(fields[field], str):
        report(pointer_to(pointer, field), "Expected value of type [STRING]")


def check_one_of(fields: Fields, names: tuple[str, ...], pointer: str, report: Report) -> None:
    """Report an object that has none of the fields, or more than one. The words were measured by cdk-preflight."""
    if not any(name in fields for name in names):
        report(pointer, f"This object should have only one of the following fields: [{', '.join(names)}]")
    check_at_most_one(fields, names, pointer, report)


def check_at_most_one(fields: Fields, names: tuple[str, ...], pointer: str, report: Report) -> None:
    if sum(name in fields for name in names) > 1:
        report(pointer, f"There should only be one of the following fields: [{', '.join(names)}]")


# ---- values of the type they should have


def text_of(fields: Fields, field: str) -> str | None:
    value = fields.get(field)
    return value if isinstance(value, str) else None


def integer_of(fields: Fields, field: str) -> int | None:
    value = fields.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number_of(fields: Fields, field: str, *, default: float) -> float:
    value = fields.get(field)
    return float(value) if isinstance(value, int | float) else default


def array_of(fields: Fields, field: str) -> list[Json]:
    value = fields.get(field)
    return value if isinstance(value, list) else []
