"""render_history: AWS's types, ids and details. Most rules are checked against recordings in tests/conformance; here
is what these do not show, and what the rest of the tests would not notice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from processor import (
    CompleteTask,
    EvaluationFailed,
    ExecutionQuarantined,
    ExecutionRedriven,
    ExecutionReleased,
    ExecutionStarted,
    MapRunRedriven,
    MapRunStarted,
    Millis,
    StateExited,
    Succeeded,
    TaskScheduled,
    parse,
    recover,
    resume,
)
from processor.interpreter.evolve import begin
from processor.interpreter.history import HistoryEvent, render_history
from processor.interpreter.interpreter import first_event, proceed
from processor.model.commands import StartExecution
from processor.model.events import NO_CAUSE, AnyEvent
from processor.model.execution import Execution
from tests.interpreter.scenario import Run, machine, scope_of, task

ACTIVITY = "arn:aws:states:us-east-1:111111111111:activity:a"
QUEUE = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
WHOLE = {"truncated": False}


def pointers(history: list[HistoryEvent]) -> list[tuple[Any, ...]]:
    """(id, type, previousEventId) of each event."""
    return [(event["id"], event["type"], event["previousEventId"]) for event in history]


def detailed(event: HistoryEvent) -> tuple[object, ...]:
    """(type, details)"""
    return event["type"], *(value for key, value in event.items() if key.endswith("EventDetails"))


def test_the_history_of_a_task() -> None:
    run = Run(scope_of("A", task("A", TimeoutSeconds=9)), {"n": 1}, now=1_500)
    run.complete("A", [2], now=2_000)
    assert render_history(run.events) == [
        {
            "timestamp": 1.5,
            "type": "ExecutionStarted",
            "id": 1,
            "previousEventId": 0,
            "executionStartedEventDetails": {"input": '{"n":1}', "inputDetails": WHOLE, "roleArn": ""},
        },
        {
            "timestamp": 1.5,
            "type": "TaskStateEntered",
            "id": 2,
            "previousEventId": 0,
            "stateEnteredEventDetails": {"name": "A", "input": '{"n":1}', "inputDetails": WHOLE},
        },
        {
            "timestamp": 1.5,
            "type": "LambdaFunctionScheduled",
            "id": 3,
            "previousEventId": 2,
            "lambdaFunctionScheduledEventDetails": {
                "resource": "a",
                "input": '{"n":1}',
                "inputDetails": WHOLE,
                "timeoutInSeconds": 9,
            },
        },
        {"timestamp": 1.5, "type": "LambdaFunctionStarted", "id": 4, "previousEventId": 3},
        {
            "timestamp": 2.0,
            "type": "LambdaFunctionSucceeded",
            "id": 5,
            "previousEventId": 4,
            "lambdaFunctionSucceededEventDetails": {"output": "[2]", "outputDetails": WHOLE},
        },
        {
            "timestamp": 2.0,
            "type": "TaskStateExited",
            "id": 6,
            "previousEventId": 5,
            "stateExitedEventDetails": {"name": "A", "output": "[2]", "outputDetails": WHOLE},
        },
        {
            "timestamp": 2.0,
            "type": "ExecutionSucceeded",
            "id": 7,
            "previousEventId": 6,
            "executionSucceededEventDetails": {"output": "[2]", "outputDetails": WHOLE},
        },
    ]


def test_the_details_of_a_service_task() -> None:
    states = {
        "A": task(
            "A", Resource=QUEUE, Parameters={}, TimeoutSeconds=9, HeartbeatSeconds=3, Credentials={"RoleArn": "arn:r"}
        )
    }
    run = Run(machine("A", states), 1)
    run.submit("A", {"id": 7})
    run.heartbeat("A")
    run.fire("heartbeat", "A", now=9_000)
    called = {"resourceType": "sqs", "resource": "sendMessage.waitForTaskToken"}
    assert [detailed(event) for event in render_history(run.events)[2:]] == [
        (
            "TaskScheduled",
            {
                **called,
                "region": "us-east-1",
                "parameters": "{}",
                "timeoutInSeconds": 9,
                "heartbeatInSeconds": 3,
                "taskCredentials": {"roleArn": "arn:r"},
            },
        ),
        ("TaskStarted", called),
        ("TaskSubmitted", {**called, "output": '{"id":7}', "outputDetails": WHOLE}),
        ("TaskTimedOut", {**called, "error": "States.Timeout"}),
        ("ExecutionFailed", {"error": "States.Timeout"}),
    ]


def test_the_details_of_an_activity() -> None:
    run = Run(scope_of("A", task("A", Resource=ACTIVITY)), 1)
    run.heartbeat("A", worker="w")
    run.fail("A", "E", "C")
    assert [detailed(event) for event in render_history(run.events)[2:]] == [
        ("ActivityScheduled", {"resource": ACTIVITY, "input": "1", "inputDetails": WHOLE}),
        ("ActivityStarted", {"workerName": "w"}),
        ("ActivityFailed", {"error": "E", "cause": "C"}),
        ("ExecutionFailed", {"error": "E", "cause": "C"}),
    ]


def test_retries_and_waits_are_not_in_it() -> None:
    run = Run(scope_of("A", task("A", Retry=[{"ErrorEquals": ["E"]}])), 1)
    run.fail("A", "E")
    run.fire("retry", "A")
    assert pointers(render_history(run.events))[4:] == [
        (5, "LambdaFunctionFailed", 4),
        (6, "LambdaFunctionScheduled", 5),
        (7, "LambdaFunctionStarted", 6),
    ]


def test_branches_have_chains_of_their_own() -> None:
    branches = [machine("A", {"A": task("A", "X"), "X": {"Type": "Pass", "End": True}}), scope_of("B", task("B"))]
    run = Run(scope_of("P", {"Type": "Parallel", "Branches": branches, "End": True}), 1)
    run.complete("B", 2)
    run.complete("A", 1)
    assert pointers(render_history(run.events))[1:] == [
        (2, "ParallelStateEntered", 0),
        (3, "ParallelStateStarted", 2),
        (4, "TaskStateEntered", 3),
        (5, "LambdaFunctionScheduled", 4),
        (6, "LambdaFunctionStarted", 5),
        (7, "TaskStateEntered", 3),
        (8, "LambdaFunctionScheduled", 7),
        (9, "LambdaFunctionStarted", 8),
        (10, "LambdaFunctionSucceeded", 9),
        (11, "TaskStateExited", 10),
        (12, "LambdaFunctionSucceeded", 6),
        (13, "TaskStateExited", 12),
        (14, "PassStateEntered", 13),
        (15, "PassStateExited", 14),
        (16, "ParallelStateSucceeded", 15),
        (17, "ParallelStateExited", 15),
        (18, "ExecutionSucceeded", 17),
    ]


def test_what_a_failure_cuts_points_at_the_failure() -> None:
    """By analogy: recorded are only the failing Task's own StateAborted and what follows it."""
    branches = [scope_of("A", task("A")), scope_of("W", {"Type": "Wait", "Seconds": 1, "End": True})]
    run = Run(scope_of("P", {"Type": "Parallel", "Branches": branches, "End": True}), 1)
    run.fail("A", "E")
    assert pointers(render_history(run.events))[6:] == [
        (7, "WaitStateEntered", 3),
        (8, "LambdaFunctionFailed", 6),
        (9, "WaitStateAborted", 8),
        (10, "TaskStateAborted", 8),
        (11, "ParallelStateFailed", 8),
        (12, "ExecutionFailed", 11),
    ]


def test_iterations_in_fresh_and_freed_slots() -> None:
    each = {"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": scope_of("A", task("A")), "End": True}
    run = Run(scope_of("M", each), [0, 1, 2])
    run.complete("A", "b", scope=(1,))
    run.complete("A", "c", scope=(2,))
    run.complete("A", "a", scope=(0,))
    assert pointers(render_history(run.events))[1:] == [
        (2, "MapStateEntered", 0),
        (3, "MapStateStarted", 2),
        (4, "MapIterationStarted", 3),
        (5, "MapIterationStarted", 3),
        (6, "TaskStateEntered", 4),
        (7, "LambdaFunctionScheduled", 6),
        (8, "LambdaFunctionStarted", 7),
        (9, "TaskStateEntered", 5),
        (10, "LambdaFunctionScheduled", 9),
        (11, "LambdaFunctionStarted", 10),
        (12, "LambdaFunctionSucceeded", 11),
        (13, "TaskStateExited", 12),
        (14, "MapIterationSucceeded", 13),
        (15, "MapIterationStarted", 13),  # in the freed slot: after the iteration's last, not its Succeeded
        (16, "TaskStateEntered", 15),
        (17, "LambdaFunctionScheduled", 16),
        (18, "LambdaFunctionStarted", 17),
        (19, "LambdaFunctionSucceeded", 18),
        (20, "TaskStateExited", 19),
        (21, "MapIterationSucceeded", 20),
        (22, "LambdaFunctionSucceeded", 8),
        (23, "TaskStateExited", 22),
        (24, "MapIterationSucceeded", 23),
        (25, "MapStateSucceeded", 24),
        (26, "MapStateExited", 24),
        (27, "ExecutionSucceeded", 26),
    ]
    started = [event for event in render_history(run.events) if event["type"] == "MapIterationStarted"]
    assert [detailed(event)[1] for event in started] == [{"name": "M", "index": index} for index in range(3)]


def test_a_map_without_items() -> None:
    run = Run(scope_of("M", {"Type": "Map", "ItemProcessor": scope_of("A", task("A")), "End": True}), [])
    assert pointers(render_history(run.events))[2:] == [
        (3, "MapStateStarted", 2),
        (4, "MapStateSucceeded", 3),
        (5, "MapStateExited", 3),
        (6, "ExecutionSucceeded", 5),
    ]


def test_a_retry_of_a_map_points_at_what_failed() -> None:
    """Recorded: test_map_state_retry."""
    each = {
        "Type": "Map",
        "ItemProcessor": scope_of("F", {"Type": "Fail", "Error": "E"}),
        "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}],
        "End": True,
    }
    run = Run(scope_of("M", each), [0])
    run.fire("retry", "M")
    assert pointers(render_history(run.events))[2:] == [
        (3, "MapStateStarted", 2),
        (4, "MapIterationStarted", 3),
        (5, "FailStateEntered", 4),
        (6, "MapIterationFailed", 5),
        (7, "MapStateStarted", 5),
        (8, "MapIterationStarted", 7),
        (9, "FailStateEntered", 8),
        (10, "MapIterationFailed", 9),
        (11, "MapStateFailed", 9),
        (12, "ExecutionFailed", 11),
    ]


def test_a_stopped_execution() -> None:
    run = Run(scope_of("A", {"Type": "Wait", "Seconds": 1, "End": True}), 1)
    run.stop("E", "C")
    assert detailed(render_history(run.events)[-1]) == ("ExecutionAborted", {"error": "E", "cause": "C"})


def test_an_execution_that_timed_out_points_at_nothing_and_says_states_timeout_there_alone() -> None:
    """Second-hand: measured on AWS in August 2026 (floci pull request 2782)."""
    run = Run(scope_of("A", {"Type": "Wait", "Seconds": 9, "End": True}) | {"TimeoutSeconds": 3}, 1)
    run.fire("execution")
    last = render_history(run.events)[-1]
    assert (last["id"], last["previousEventId"]) == (3, 0)
    assert detailed(last) == ("ExecutionTimedOut", {"error": "States.Timeout"})
    assert (run.execution.error, run.execution.cause) == (None, None)


def test_alias_version_and_role_stand_in_its_start() -> None:
    workflow = parse(scope_of("A", {"Type": "Pass", "End": True}))
    command = StartExecution(execution_id="m:n", input=1, role="arn:role", alias="live", version=3)
    started = first_event(workflow, command, now=Millis(0), seed=bytes(16), cause=NO_CAUSE)
    assert isinstance(started, ExecutionStarted)
    _, events = proceed(begin(workflow, started))
    assert detailed(render_history([started, *events])[0]) == (
        "ExecutionStarted",
        {
            "input": "1",
            "inputDetails": WHOLE,
            "roleArn": "arn:role",
            "stateMachineAliasArn": "arn:aws:states:us-east-1:111111111111:stateMachine:m:live",
            "stateMachineVersionArn": "arn:aws:states:us-east-1:111111111111:stateMachine:m:3",
        },
    )


# ---- events that later issues decide


def appended(
    events: tuple[AnyEvent, ...], *more: tuple[type[Any], tuple[int, ...], str, dict[str, Any]]
) -> list[AnyEvent]:
    made = list(events)
    for event_type, scope, state, fields in more:
        made.append(
            event_type(
                execution_id=made[0].execution_id,
                sequence=len(made),
                time=made[-1].time,
                caused_by=made[-1].caused_by,
                scope=scope,
                state=state,
                **fields,
            )
        )
    return made


def test_a_failed_expression() -> None:
    run = Run(scope_of("A", task("A")), 1)
    failed = {"error": "States.QueryEvaluationError", "cause": "C", "location": "Output"}
    events = appended(run.events, (EvaluationFailed, (), "A", failed))
    assert detailed(render_history(events)[-1]) == ("EvaluationFailed", {**failed, "state": "A"})


def test_assigned_variables() -> None:
    run = Run(scope_of("A", {"Type": "Wait", "Seconds": 1, "End": True}), 1)
    exited = {"output_of": "INPUT", "assigned": {"x": [1], "y": "text"}}
    events = appended(run.events, (StateExited, (), "A", exited))
    assert detailed(render_history(events)[-1])[1] == {
        "name": "A",
        "output": "1",
        "outputDetails": WHOLE,
        "assignedVariables": {"x": "[1]", "y": '"text"'},
        "assignedVariablesDetails": WHOLE,
    }


def test_quarantine_and_release_are_not_in_it_and_a_redrive_is() -> None:
    run = Run(scope_of("A", task("A")), 1)
    run.stop()
    redriven = {"redrive_count": 1, "revision": "r", "definition_hash": run.workflow.definition_hash}
    events = appended(
        run.events,
        (ExecutionRedriven, (), "", redriven),
        (ExecutionQuarantined, (), "", {"reason": "a bug"}),
        (ExecutionReleased, (), "", {}),
        (TaskScheduled, (), "A", {"kind": "LAMBDA", "resource": "a", "arguments": 1}),
    )
    assert pointers(render_history(events))[4:] == [
        (5, "ExecutionAborted", 4),
        (6, "ExecutionRedriven", 5),
        (7, "LambdaFunctionScheduled", 6),
        (8, "LambdaFunctionStarted", 7),
    ]
    assert detailed(render_history(events)[5]) == ("ExecutionRedriven", {"redriveCount": 1})


def test_a_map_run_that_is_redriven_shows_it_and_goes_on() -> None:
    each = {"Type": "Map", "Label": "L", "ToleratedFailureCount": 0, "End": True}
    processor = scope_of("A", task("A")) | {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    run = Run(scope_of("M", {**each, "ItemProcessor": processor}), ["x", "y"])
    run.complete("A", 1, scope=(0,))
    run.fail("A", "E", scope=(1,))
    map_run = next(event.map_run for event in run.events if isinstance(event, MapRunStarted))
    redriven = {"redrive_count": 1, "revision": "r", "definition_hash": run.workflow.definition_hash}
    events = appended(
        run.events,
        (ExecutionRedriven, (), "", redriven),
        (MapRunRedriven, (), "M", {"map_run": map_run, "redrive_count": 1}),
        (TaskScheduled, (1,), "A", {"kind": "LAMBDA", "resource": "a", "arguments": "y"}),
    )
    assert pointers(render_history(events))[6:] == [
        (7, "ExecutionFailed", 6),
        (8, "ExecutionRedriven", 7),
        (9, "MapRunRedriven", 8),
    ]
    arn = f"arn:aws:states:us-east-1:111111111111:mapRun:{map_run}"
    assert detailed(render_history(events)[8]) == ("MapRunRedriven", {"mapRunArn": arn, "redriveCount": 1})
    outcome = resume(recovered(run, events), CompleteTask.of(cast(TaskScheduled, events[-1]), 2))
    assert isinstance(outcome, Succeeded)
    assert outcome.output == [1, 2]


def recovered(run: Run, events: Sequence[AnyEvent]) -> Execution:
    execution = recover(run.workflow, events).execution
    assert execution is not None
    return execution


def test_nothing_has_no_history() -> None:
    assert render_history([]) == []
    assert resume(Run(scope_of("A", task("A")), 1).execution).events == ()
