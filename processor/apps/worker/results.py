"""What a function gave or raised, as the command that says so, in AWS's words."""

from __future__ import annotations

import traceback
from typing import Final

from processor.apps.worker.routes import invokes_lambda, output_of, waits_for_token
from processor.apps.worker.sdk import TaskError
from processor.errors import InvalidCommand
from processor.model.commands import CompleteTask, FailTask, SubmitTask
from processor.model.json import json_bytes, private_json, render_json
from processor.model.records import Task

MAX_RESULT_BYTES: Final = 256 * 1024
# Lengths of AWS's SendTaskFailure: longer ones are cut, not refused.
MAX_ERROR_LENGTH: Final = 256
MAX_CAUSE_LENGTH: Final = 32_768


def command_for_result(task: Task, *, route: str, result: object, issuer: str) -> CompleteTask | SubmitTask | FailTask:
    """Return CompleteTask, or SubmitTask where somebody else completes; FailTask where the result cannot be carried.

    The error names are AWS's: Runtime.MarshalError for what is not JSON, States.DataLimitExceeded over 256 KiB.
    """
    try:
        output = output_of(task, route, private_json(result, what="result"))
    except (InvalidCommand, RecursionError) as fault:
        cause = f"Unable to marshal response: {fault}"
        return _failure(task, error="Runtime.MarshalError", cause=cause, issuer=issuer)
    if len(json_bytes(output)) > MAX_RESULT_BYTES:
        cause = (
            f"The state/task '{task.resource}' returned a result with a size exceeding "
            "the maximum number of bytes service limit."
        )
        return FailTask(
            execution_id=task.execution_id,
            issuer=issuer,
            token=task.token,
            error="States.DataLimitExceeded",
            cause=cause,
        )
    kind = SubmitTask if waits_for_token(task) else CompleteTask
    return kind(execution_id=task.execution_id, issuer=issuer, token=task.token, output=output)


def command_for_exception(task: Task, *, raised: BaseException, issuer: str) -> FailTask:
    """Return FailTask under the exception's class name, as Lambda does; TaskError names error and cause itself."""
    if isinstance(raised, TaskError):
        return FailTask(
            execution_id=task.execution_id,
            issuer=issuer,
            token=task.token,
            error=raised.error[:MAX_ERROR_LENGTH],
            cause=None if raised.cause is None else raised.cause[:MAX_CAUSE_LENGTH],
        )
    # The first frame is the runner's own.
    trace = traceback.format_tb(raised.__traceback__)[1:]
    return _failure(task, error=type(raised).__name__, cause=str(raised), issuer=issuer, trace=trace)


def _failure(task: Task, *, error: str, cause: str, issuer: str, trace: list[str] | None = None) -> FailTask:
    if task.kind == "LAMBDA" or invokes_lambda(task):
        cause = _lambda_cause(error, cause, trace or [])
    return FailTask(
        execution_id=task.execution_id,
        issuer=issuer,
        token=task.token,
        error=error[:MAX_ERROR_LENGTH],
        cause=cause[:MAX_CAUSE_LENGTH],
    )


def _lambda_cause(error: str, message: str, trace: list[str]) -> str:
    """What AWS's Python runtime answers for an exception; still JSON when cut: the oldest frames go first."""
    message = message[: MAX_CAUSE_LENGTH // 4]
    while True:
        cause = render_json({"errorMessage": message, "errorType": error, "stackTrace": [*trace]})
        if len(cause) <= MAX_CAUSE_LENGTH or not trace:
            return cause
        trace = trace[len(trace) // 2 + 1 :]
