"""The context object of a state on trial: AWS's own for it, or the caller's, handed on as it is.

Source: recordings of TestState. The texts for a field of the wrong type and for Map are as LocalStack has them, which
checks itself against AWS; the others are recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NoReturn, TypeAlias

from processor.interpreter.context import ARN_PREFIX, timestamp
from processor.interpreter.entropy import draw, uuid_of
from processor.interpreter.trial_request import STATE_NAME, refuse
from processor.model.definition import AnyState, MapState, ParallelState, TaskState
from processor.model.ids import TOP, Millis
from processor.model.json import Json

_Kind: TypeAlias = Literal["string", "integer", "anything"]

_FIELDS: Mapping[str, Mapping[str, _Kind]] = {
    "Execution": {
        "Id": "string",
        "Input": "anything",
        "Name": "string",
        "RoleArn": "string",
        "StartTime": "string",
        "RedriveCount": "integer",
        "RedriveTime": "string",
    },
    "State": {"EnteredTime": "string", "Name": "string", "RetryCount": "integer"},
    "StateMachine": {"Id": "string", "Name": "string"},
    "Task": {"Token": "string"},
}
"""Developer Guide, "Accessing execution data from the Context object"."""


def check_context(context: Json, state: AnyState) -> None:
    """Raise RequestRefused where the caller's context object holds what AWS's would not."""
    if not isinstance(context, dict):
        _refuse("Context object must be a JSON object")
    for name, fields in context.items():
        if name == "Map":
            _refuse("'Map' field is not supported when mocking a Context object")
        if name not in _FIELDS:
            _refuse(f"Field '{name}' is not allowed")
        if not isinstance(fields, dict):
            _refuse(f"{name} must be a object")
        for field, value in fields.items():
            _check_field(name, field, value)
    if "Task" in context and not (isinstance(state, TaskState) and state.resource.pattern != "REQUEST_RESPONSE"):
        _refuse(
            "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' "
            "service integration pattern"
        )


def _check_field(name: str, field: str, value: Json) -> None:
    match _FIELDS[name].get(field):
        case None:
            _refuse(f"Field '{field}' is not allowed")
        case "string" if not isinstance(value, str):
            _refuse(f"{name}.{field} must be a string")
        case "integer" if not isinstance(value, int) or isinstance(value, bool):
            _refuse(f"{name}.{field} must be a integer")
        case _:
            pass


def _refuse(reason: str) -> NoReturn:
    refuse(f"Invalid Context object provided: {reason}")


def default_context(
    state: AnyState, *, input: Json, role_arn: str | None, retry_count: int, now: Millis, seed: bytes
) -> Json:
    """Return what AWS makes up: an Express execution of a machine that nobody has, both named by UUIDs. There is no
    RedriveCount, and every state is called StateName."""
    drawn = (draw(seed, scope=TOP, visit=0, attempt=0, number=number) for number in (0, 1))
    machine, name = map(uuid_of, drawn)
    entered: dict[str, Json] = {"Name": STATE_NAME, "EnteredTime": timestamp(now)}
    if isinstance(state, TaskState | MapState | ParallelState):
        entered["RetryCount"] = retry_count
    return {
        "Execution": {
            "Id": f"{ARN_PREFIX}:express:{machine}:{name}",
            "Input": input,
            "StartTime": timestamp(now),
            "Name": name,
            "RoleArn": role_arn,
        },
        "StateMachine": {"Id": f"{ARN_PREFIX}:stateMachine:{machine}", "Name": machine},
        "State": entered,
    }
