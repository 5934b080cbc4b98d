"""Wishes, imperative. One class per member of the union in `schemas/command.avsc`, in its order.

Each carries its envelope itself, as events do, and can be made from the event it answers: `CompleteTask.of(scheduled,
output)`, `FireTimer.of(wait_started)`. What an id embeds (token, timer id) is enough to route the command.
"""

from __future__ import annotations

from typing import Self, TypeAlias

from msgspec import Struct

from processor.errors import InvalidCommand
from processor.model import events as e
from processor.model.ids import (
    Millis,
    TimerKind,
    parse_task_token,
    parse_timer_id,
    task_token,
    timer_id,
)
from processor.model.json import Json

MAX_ERROR_LENGTH = 256
MAX_CAUSE_LENGTH = 32_768
"""Characters of an error and a cause: AWS's API reference, SendTaskFailure and ExecutionFailedEventDetails."""


class Command(Struct, frozen=True, kw_only=True):
    """The envelope. `command_id` None: the log's `<partition>/<offset>` stands for it."""

    execution_id: str
    command_id: str | None = None
    issuer: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None


class StartExecution(Command, frozen=True, kw_only=True):
    """The machine is the first part of `execution_id`; `revision` None: its latest one."""

    input: Json
    context: Json = None
    revision: str | None = None
    version: int | None = None
    role: str | None = None
    alias: str | None = None
    trace: str | None = None
    parent: e.Parent | None = None
    synchronous: bool = False


class CompleteTask(Command, frozen=True, kw_only=True):
    """The task that waits under `token` is done; `output` is its result, as AWS's SendTaskSuccess has it."""

    token: str
    output: Json

    @classmethod
    def of(cls, event: e.TaskScheduled, output: Json) -> Self:
        """Return the command that completes the task `event` asked for: `CompleteTask.of(scheduled, output)`."""
        return cls(execution_id=event.execution_id, token=token_of(event), output=output)


class FailTask(Command, frozen=True, kw_only=True):
    """The task that waits under `token` has failed, as AWS's SendTaskFailure has it. What is left out is null in the
    error output that a Catch sees. At most 256 characters of error, 32,768 of cause."""

    token: str
    error: str | None = None
    cause: str | None = None

    @classmethod
    def of(cls, event: e.TaskScheduled, *, error: str | None = None, cause: str | None = None) -> Self:
        """Return the command that fails the task `event` asked for: `FailTask.of(scheduled, error="CardDeclined")`."""
        return cls(execution_id=event.execution_id, token=token_of(event), error=error, cause=cause)


class SubmitTask(Command, frozen=True, kw_only=True):
    """The call was made and answered `output`; its result comes later (.sync, .waitForTaskToken)."""

    token: str
    output: Json

    @classmethod
    def of(cls, event: e.TaskScheduled, output: Json) -> Self:
        """Return the command that says the call of the task `event` asked for was made, and answered `output`."""
        return cls(execution_id=event.execution_id, token=token_of(event), output=output)


class HeartbeatTask(Command, frozen=True, kw_only=True):
    """The work on the task that waits under `token` goes on: HeartbeatSeconds begin anew."""

    token: str
    worker: str | None = None
    detail: Json = None

    @classmethod
    def of(cls, event: e.TaskScheduled, *, worker: str | None = None, detail: Json = None) -> Self:
        """Return the heartbeat of the task `event` asked for."""
        return cls(execution_id=event.execution_id, token=token_of(event), worker=worker, detail=detail)


class FireTimer(Command, frozen=True, kw_only=True):
    timer_id: str

    @classmethod
    def of(cls, event: e.AnyEvent, kind: TimerKind | None = None) -> Self:
        """Return the command that fires the timer `event` set; `kind` only where it set two.

        Raises InvalidCommand where it set none, or not that one.
        """
        kinds = timers_set_by(event)
        if kind is None and len(kinds) == 1:
            kind = kinds[0]
        if kind not in kinds:
            raise InvalidCommand(where="kind", rule=f"must be one of {list(kinds)} for this event", value=kind)
        return cls(
            execution_id=event.execution_id, timer_id=timer_id(event.execution_id, event.scope, event.sequence, kind)
        )


class StopExecution(Command, frozen=True, kw_only=True):
    error: str | None = None
    cause: str | None = None


class RedriveExecution(Command, frozen=True, kw_only=True):
    revision: str | None = None


class ReleaseExecution(Command, frozen=True, kw_only=True):
    pass


class PurgeExecution(Command, frozen=True, kw_only=True):
    """Remove an ended execution from the log. Refused where it did not end with `last_sequence`, or, if `ended_at` is
    given, not then: it was redriven since, or its name given to another."""

    last_sequence: int
    ended_at: Millis | None = None


AnyCommand: TypeAlias = (
    StartExecution | CompleteTask | FailTask | SubmitTask | HeartbeatTask
    | FireTimer | StopExecution | RedriveExecution | ReleaseExecution | PurgeExecution
)  # fmt: skip
COMMAND_TYPES: tuple[type[Command], ...] = (
    StartExecution, CompleteTask, FailTask, SubmitTask, HeartbeatTask,
    FireTimer, StopExecution, RedriveExecution, ReleaseExecution, PurgeExecution,
)  # fmt: skip


def token_of(event: e.TaskScheduled) -> str:
    return task_token(event.execution_id, event.scope, event.sequence)


def timers_set_by(event: e.AnyEvent) -> tuple[TimerKind, ...]:
    match event:
        case e.WaitStarted():
            return ("wait",)
        case e.RetryScheduled():
            return ("retry",)
        case e.TaskScheduled():
            timeout: tuple[TimerKind, ...] = ("timeout",) if event.timeout_at is not None else ()
            heartbeat: tuple[TimerKind, ...] = ("heartbeat",) if event.heartbeat_at is not None else ()
            return timeout + heartbeat
        case e.ExecutionStarted() | e.ExecutionRedriven() if event.timeout_at is not None:
            return ("execution",)
        case _:
            return ()


def check_command(command: AnyCommand) -> None:
    """Raise InvalidCommand where the ids within a command do not belong to its execution."""
    match command:
        case CompleteTask() | FailTask() | SubmitTask() | HeartbeatTask():
            named = parse_task_token(command.token)[0]
        case FireTimer():
            named = parse_timer_id(command.timer_id)[0]
        case _:
            return
    if named != command.execution_id:
        raise InvalidCommand(
            where="execution_id", rule=f"must be {named}, as its token says", value=command.execution_id
        )


def check_lengths(command: FailTask | StopExecution) -> None:
    """Raise InvalidCommand where an error or a cause is longer than AWS takes it: its API refuses these, too."""
    for name, text, most in (("error", command.error, MAX_ERROR_LENGTH), ("cause", command.cause, MAX_CAUSE_LENGTH)):
        if text is not None and len(text) > most:
            raise InvalidCommand(where=name, rule=f"must be at most {most} characters", value=len(text))
