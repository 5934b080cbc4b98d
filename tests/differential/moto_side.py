"""What moto's interpreter answers: moto.stepfunctions.parser, which descends from LocalStack's.

Its execution worker is used as moto's own StartSyncExecution does, without a backend, a client or a server. Waiting
before a retry is left out, and every failure is noted where moto meets it; nothing else is changed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from io import StringIO
from typing import Any
from unittest.mock import patch

from moto.stepfunctions.parser.api import StateMachineType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import (
    AWSExecutionDetails,
    EvaluationDetails,
    ExecutionDetails,
    StateMachineDetails,
)
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError, ProgramRunning
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution_worker import SyncExecutionWorker
from moto.stepfunctions.parser.backend.execution_worker_comm import ExecutionWorkerCommunication

from processor.model.json import Json, render_json
from tests.differential.answer import EXECUTION_ARN, MACHINE, MACHINE_ARN, ROLE, RUN, Answer

VERSION = version("moto")
PATIENCE_SECONDS = 20.0


class _Nobody(ExecutionWorkerCommunication):
    """Who moto tells that an execution ended."""

    def terminated(self) -> None:
        pass


class _NoWaiting:
    """In place of the module `time` where moto waits before a retry."""

    @staticmethod
    def sleep(_seconds: float) -> None:
        pass


@contextmanager
def _noting() -> Iterator[dict[str, None]]:
    """Yield the failures of a run, in the order in which moto meets them; one that is passed on stands there once.

    What a branch meets while moto stops it is left out: it is chance.
    """
    failures: dict[str, None] = {}
    fail, failure_of = Environment.set_error, ExecutionState._from_error

    def note(environment: Environment, details: Any) -> None:
        if not isinstance(environment.program_state(), ProgramRunning):
            return
        details = details or {}
        failures[f"{details.get('error')}: {details.get('cause')}"] = None

    def set_error(self: Environment, error: Any) -> None:  # a machine, a branch or an iteration has failed
        note(self, error)
        fail(self, error)

    def from_error(
        self: ExecutionState, env: Environment, ex: Exception
    ) -> Any:  # a Parallel or Map has, and may catch
        if isinstance(ex, FailureEventException):
            note(env, ex.get_execution_failed_event_details())
        else:
            note(env, {"error": type(ex).__name__, "cause": str(ex)})
        return failure_of(self, env, ex)

    with patch.object(Environment, "set_error", set_error), patch.object(ExecutionState, "_from_error", from_error):
        yield failures


def worker_of(definition: Json, input: Json) -> SyncExecutionWorker:
    """Return what parses and runs the definition when `run` starts it."""
    return SyncExecutionWorker(
        evaluation_details=EvaluationDetails(
            aws_execution_details=AWSExecutionDetails("111111111111", "us-east-1", ROLE),
            execution_details=ExecutionDetails(EXECUTION_ARN, RUN, ROLE, input, "1970-01-01T00:00:00.000Z"),
            state_machine_details=StateMachineDetails(
                MACHINE_ARN, MACHINE, StateMachineType.STANDARD, render_json(definition)
            ),
        ),
        exec_comm=_Nobody(),
        cloud_watch_logging_session=None,
        activity_store={},
    )


def run(worker: SyncExecutionWorker) -> Environment:
    """Run it on this thread, and return how it ended. Raises what moto's parser does."""
    worker.start()  # type: ignore[no-untyped-call]
    assert worker.env is not None
    return worker.env


@contextmanager
def parsed_before(definition: Json) -> Iterator[None]:
    """Within it, workers of this definition do not parse it: that has been done once."""
    parsed = AmazonStateLanguageParser.parse(render_json(definition))
    with patch.object(AmazonStateLanguageParser, "parse", lambda _definition: parsed):
        yield


def answer(definition: Json, input: Json) -> Answer:
    """Raises TimeoutError where moto does not end."""
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    text = render_json(definition)
    try:
        with redirect_stderr(StringIO()):  # where the ANTLR runtime of intrinsic functions tells its troubles
            AmazonStateLanguageParser.parse(text)
    except Exception as refused:  # moto's own API answers InvalidDefinition to whatever its parser raises
        return Answer(status="REFUSED", cause=f"{type(refused).__name__}: {refused}")
    worker = worker_of(definition, input)
    with patch.object(retrier_decl, "time", _NoWaiting), redirect_stderr(StringIO()), _noting() as failures:
        running = threading.Thread(target=run, args=(worker,), daemon=True)
        running.start()
        running.join(PATIENCE_SECONDS)
    if running.is_alive() or worker.env is None:
        raise TimeoutError(text)
    return _told(worker.env, tuple(failures))


def _told(environment: Any, met: tuple[str, ...]) -> Answer:
    state = environment.program_state()
    match state:
        case ProgramEnded():
            return Answer(status="SUCCEEDED", output=render_json(environment.states.get_input()), met=met)
        case ProgramError(error=details):
            details = details or {}
            return Answer(status="FAILED", error=details.get("error"), cause=details.get("cause"), met=met)
        case _:
            raise AssertionError(f"moto ended with {state}")
