"""Durable workflows in the Amazon States Language, with Kafka as the only shared infrastructure.

The interpreter is pure and event-sourced; it can be used on its own:

    workflow = parse({"StartAt": "Start", "States": {
        "Start": {"Type": "Wait", "Seconds": 10, "Next": "End"}, "End": {"Type": "Succeed"}}})
    outcome = start(workflow, {"user": "a@example.com"}, context={"environment": "staging"})
    finish = FireTimer.of(next(e for e in outcome.events if isinstance(e, WaitStarted)))
    resume(outcome.execution, finish)                            # Succeeded(output, events)
    recover(workflow, outcome.events).execution == outcome.execution     # True
    render_history(outcome.events)                               # as AWS's GetExecutionHistory has it

A task is answered with `CompleteTask.of(scheduled, output)` or `FailTask.of(scheduled, error=…, cause=…)`, where
`scheduled` is its TaskScheduled.

Commands and events are in `processor.model.commands` and `processor.model.events`; all of them are exported here.
"""

from processor.errors import AslError, Diagnostic, InvalidCommand, InvalidDefinition
from processor.interpreter.history import render_history
from processor.interpreter.interpreter import (
    ZERO,
    Aborted,
    Continued,
    Failed,
    Outcome,
    Rejected,
    Succeeded,
    TimedOut,
    recover,
    resume,
    start,
)
from processor.interpreter.parse import parse
from processor.model.commands import (
    CompleteTask,
    FailTask,
    FireTimer,
    HeartbeatTask,
    PurgeExecution,
    RedriveExecution,
    ReleaseExecution,
    StartExecution,
    StopExecution,
    SubmitTask,
)
from processor.model.definition import Workflow
from processor.model.events import (
    AnyEvent,
    EvaluationFailed,
    ExecutionAborted,
    ExecutionFailed,
    ExecutionQuarantined,
    ExecutionRedriven,
    ExecutionReleased,
    ExecutionStarted,
    ExecutionSucceeded,
    ExecutionTimedOut,
    MapFailed,
    MapIterationAborted,
    MapIterationFailed,
    MapIterationStarted,
    MapIterationSucceeded,
    MapRunAborted,
    MapRunFailed,
    MapRunRedriven,
    MapRunStarted,
    MapRunSucceeded,
    MapStarted,
    MapSucceeded,
    ParallelFailed,
    ParallelStarted,
    ParallelSucceeded,
    RetryScheduled,
    StateAborted,
    StateEntered,
    StateExited,
    TaskFailed,
    TaskHeartbeatRecorded,
    TaskScheduled,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TaskTimedOut,
    WaitStarted,
)
from processor.model.execution import Execution
from processor.model.ids import EPOCH, Millis

__version__ = "0.1.0"

__all__ = [
    "EPOCH",
    "ZERO",
    "Aborted",
    "AnyEvent",
    "AslError",
    "CompleteTask",
    "Continued",
    "Diagnostic",
    "EvaluationFailed",
    "Execution",
    "ExecutionAborted",
    "ExecutionFailed",
    "ExecutionQuarantined",
    "ExecutionRedriven",
    "ExecutionReleased",
    "ExecutionStarted",
    "ExecutionSucceeded",
    "ExecutionTimedOut",
    "FailTask",
    "Failed",
    "FireTimer",
    "HeartbeatTask",
    "InvalidCommand",
    "InvalidDefinition",
    "MapFailed",
    "MapIterationAborted",
    "MapIterationFailed",
    "MapIterationStarted",
    "MapIterationSucceeded",
    "MapRunAborted",
    "MapRunFailed",
    "MapRunRedriven",
    "MapRunStarted",
    "MapRunSucceeded",
    "MapStarted",
    "MapSucceeded",
    "Millis",
    "Outcome",
    "ParallelFailed",
    "ParallelStarted",
    "ParallelSucceeded",
    "PurgeExecution",
    "RedriveExecution",
    "Rejected",
    "ReleaseExecution",
    "RetryScheduled",
    "StartExecution",
    "StateAborted",
    "StateEntered",
    "StateExited",
    "StopExecution",
    "SubmitTask",
    "Succeeded",
    "TaskFailed",
    "TaskHeartbeatRecorded",
    "TaskScheduled",
    "TaskStarted",
    "TaskSubmitted",
    "TaskSucceeded",
    "TaskTimedOut",
    "TimedOut",
    "WaitStarted",
    "Workflow",
    "parse",
    "recover",
    "render_history",
    "resume",
    "start",
]
