"""Task: asks for work outside; answers come as commands (see decide.py)."""

from __future__ import annotations

from processor.interpreter.retry import RUNTIME
from processor.interpreter.turn import Turn
from processor.model import events as e
from processor.model.definition import Evaluate, StateFailure, TaskState
from processor.model.ids import Millis

MAX_ROLE_LENGTH = 2_048  # IAM API reference, data type Role: Arn


def run_task(turn: Turn, state: TaskState) -> e.AnyEvent:
    timeout = _seconds(turn, state.timeout_seconds)
    heartbeat = _seconds(turn, state.heartbeat_seconds)
    role = state.credentials(turn.scope.value, turn) if state.credentials is not None else None
    assert role is None or isinstance(role, str)
    if role is not None and len(role) > MAX_ROLE_LENGTH:
        raise StateFailure(RUNTIME, f"The RoleArn parameter has more than {MAX_ROLE_LENGTH:,} characters")
    resource = state.resource
    return e.TaskScheduled(
        **turn.envelope(),
        kind=resource.kind,
        resource_type=resource.resource_type,
        resource=resource.resource,
        attempt=turn.scope.retry_count,
        arguments=turn.prepared(),
        role=role,
        timeout_seconds=timeout,
        heartbeat_seconds=heartbeat,
        timeout_at=_after(turn, timeout),
        heartbeat_at=_after(turn, heartbeat),
    )


def _seconds(turn: Turn, written: int | Evaluate | None) -> int | None:
    if written is None or isinstance(written, int):
        return written
    seconds = written(turn.scope.value, turn)
    assert isinstance(seconds, int)
    return seconds


def _after(turn: Turn, seconds: int | None) -> Millis | None:
    return None if seconds is None else Millis(turn.execution.time + seconds * 1000)
