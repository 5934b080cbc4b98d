"""What a function gave or raised, as the command that says so, in AWS's words.

An error or a cause that is too long for the command is cut: refused, it would leave the task open.
"""

from __future__ import annotations

from itertools import dropwhile
from traceback import StackSummary, walk_tb
from typing import Final

from processor.apps.client import write_command
from processor.apps.worker.routes import invokes_lambda, output_of, waits_for_token
from processor.apps.worker.sdk import TaskError
from processor.errors import InvalidCommand
from processor.interpreter.turn import MAX_PAYLOAD_BYTES
from processor.model.commands import MAX_CAUSE_LENGTH, MAX_ERROR_LENGTH, CompleteTask, FailTask, SubmitTask
from processor.model.json import json_bytes, private_json, render_json
from processor.model.records import Task

_CALLERS: Final = frozenset({"processor.apps.worker.executor", "processor.apps.worker.sdk"})
"""The modules that call an author's function."""


def command_for_result(task: Task, *, route: str, result: object, issuer: str) -> CompleteTask | SubmitTask | FailTask:
    """Return CompleteTask, or SubmitTask where somebody else completes; FailTask where the result cannot be carried.

    The error names are AWS's: Runtime.MarshalError for what is not JSON, States.DataLimitExceeded over 256 KiB.
    """
    kind = SubmitTask if waits_for_token(task) else CompleteTask
    try:
        output = output_of(task, route, private_json(result, what="result"))
        command = kind(execution_id=task.execution_id, issuer=issuer, token=task.token, output=output)
        write_command(command)  # refuses what is nested too deeply, too
    except (InvalidCommand, RecursionError) as fault:
        cause = f"Unable to marshal response: {fault}"
        return _failure(task, error="Runtime.MarshalError", cause=cause, issuer=issuer)
    if len(json_bytes(output)) > MAX_PAYLOAD_BYTES:
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
    return command


def command_for_exception(task: Task, *, raised: BaseException, issuer: str) -> FailTask:
    """Return FailTask under the exception's class name, as Lambda does; TaskError names error and cause itself."""
    if isinstance(raised, TaskError):
        # Whatever an author gave: TaskError(404) is as good as TaskError("404").
        cause = None if raised.cause is None else _text(raised.cause)[:MAX_CAUSE_LENGTH]
        error = _text(raised.error)[:MAX_ERROR_LENGTH]
        return FailTask(execution_id=task.execution_id, issuer=issuer, token=task.token, error=error, cause=cause)
    return _failure(task, error=type(raised).__name__, cause=raised, issuer=issuer, trace=_frames(raised))


def _frames(raised: BaseException) -> list[str]:
    """Return the frames of the author's function, the oldest first, in the form of AWS's Python runtime: without those
    that called it, and without the marks below a line."""
    around = dropwhile(lambda each: each[0].f_globals.get("__name__") in _CALLERS, walk_tb(raised.__traceback__))
    return StackSummary.from_list(
        [(frame.filename, frame.lineno or 0, frame.name, frame.line) for frame in StackSummary.extract(around)]
    ).format()


def _text(value: object) -> str:
    """What can be written, whatever it is: without an answer the task would stay open for ever."""
    try:
        text = str(value)
    except Exception as fault:  # an author's own __str__
        text = f"<no text: {type(fault).__name__} in __str__>"
    return text.encode("utf-8", "replace").decode()  # a file's name may hold lone surrogates, UTF-8 none


def _failure(task: Task, *, error: str, cause: object, issuer: str, trace: list[str] | None = None) -> FailTask:
    error, message = _text(error), _text(cause)
    if task.kind == "LAMBDA" or invokes_lambda(task):
        message = _lambda_cause(error, message, [_text(frame) for frame in trace or ()])
    return FailTask(
        execution_id=task.execution_id,
        issuer=issuer,
        token=task.token,
        error=error[:MAX_ERROR_LENGTH],
        cause=message[:MAX_CAUSE_LENGTH],
    )


def _lambda_cause(error: str, message: str, trace: list[str]) -> str:
    """What AWS's Python runtime answers for an exception; still JSON when cut: the oldest frames go first."""
    message = message[: MAX_CAUSE_LENGTH // 4]
    while True:
        cause = render_json({"errorMessage": message, "errorType": error, "stackTrace": [*trace]})
        if len(cause) <= MAX_CAUSE_LENGTH or not trace:
            return cause
        trace = trace[len(trace) // 2 + 1 :]
