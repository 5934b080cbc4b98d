"""Task: what it asks for, which answers it takes, timeouts and heartbeats."""

from __future__ import annotations

from typing import Any

import pytest

from processor import (
    CompleteTask,
    Continued,
    ExecutionFailed,
    ExecutionSucceeded,
    FireTimer,
    HeartbeatTask,
    Millis,
    StateEntered,
    StateExited,
    SubmitTask,
    TaskFailed,
    TaskHeartbeatRecorded,
    TaskScheduled,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TaskTimedOut,
    parse,
    start,
)
from processor.interpreter.decide import timer_due
from tests.interpreter.scenario import Run, begun, scope_of, task

ACTIVITY = "arn:aws:states:us-east-1:111111111111:activity:a"
QUEUE = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f"


@pytest.mark.parametrize(
    ("fields", "scheduled", "aws_events"),
    [
        ({}, {"kind": "LAMBDA", "resource": "a"}, 2),
        ({"Resource": FUNCTION}, {"kind": "LAMBDA", "resource": FUNCTION}, 2),
        ({"Resource": ACTIVITY}, {"kind": "ACTIVITY", "resource": ACTIVITY}, 1),
        (
            {"Resource": QUEUE, "Parameters": {}},
            {
                "kind": "SERVICE",
                "resource_type": "sqs",
                "resource": "sendMessage.waitForTaskToken",
                "arguments": {},
            },
            2,
        ),
        (
            {"TimeoutSeconds": 9, "HeartbeatSeconds": 3},
            {"timeout_seconds": 9, "timeout_at": 9_500, "heartbeat_seconds": 3, "heartbeat_at": 3_500},
            2,
        ),
        ({"TimeoutSecondsPath": "$.n"}, {"timeout_seconds": 7, "timeout_at": 7_500}, 2),
        ({"HeartbeatSecondsPath": "$.n"}, {"heartbeat_seconds": 7, "heartbeat_at": 7_500}, 2),
        ({"Credentials": {"RoleArn.$": "$.role"}}, {"role": "arn:role"}, 2),
        ({"InputPath": "$.n"}, {"arguments": 7}, 2),
        (
            {"Parameters": {"token.$": "$$.Task.Token", "retries.$": "$$.State.RetryCount"}},
            {"arguments": {"token": "local:1##2", "retries": 0}},
            2,
        ),
    ],
)
def test_a_task_asks_for_work(fields: dict[str, Any], scheduled: dict[str, Any], aws_events: int) -> None:
    input = {"n": 7, "role": "arn:role"}
    run = Run(scope_of("A", task("A", **fields)), input, now=500)
    asked = {"kind": "LAMBDA", "resource": "a", "arguments": input, **scheduled}
    assert begun(run) == run.built((StateEntered, (), "A", {"type": "Task"}), (TaskScheduled, (), "A", asked))
    assert run.execution.aws_events == 2 + aws_events


def test_its_result_is_its_output() -> None:
    run = Run(scope_of("A", task("A")), {"n": 1})
    assert run.complete("A", [5], now=40) == run.built(
        (TaskSucceeded, (), "A", {"output": [5]}),
        (StateExited, (), "A", {"output_of": "RESULT"}),
        (ExecutionSucceeded, (), "", {"output": [5]}),
    )


@pytest.mark.parametrize(
    ("fields", "exited", "output"),
    [
        ({"ResultPath": None}, {"output_of": "INPUT"}, {"n": 1}),
        ({"ResultPath": "$.r"}, {"output_of": "VALUE", "output": {"n": 1, "r": {"x": 5}}}, {"n": 1, "r": {"x": 5}}),
        ({"ResultSelector": {"y.$": "$.x"}}, {"output_of": "VALUE", "output": {"y": 5}}, {"y": 5}),
        ({"OutputPath": "$.x"}, {"output_of": "VALUE", "output": 5}, 5),
    ],
)
def test_its_result_is_placed(fields: dict[str, Any], exited: dict[str, Any], output: Any) -> None:
    run = Run(scope_of("A", task("A", **fields)), {"n": 1})
    assert run.complete("A", {"x": 5}) == run.built(
        (TaskSucceeded, (), "A", {"output": {"x": 5}}),
        (StateExited, (), "A", exited),
        (ExecutionSucceeded, (), "", {"output": output}),
    )


def test_its_failure_fails_the_execution() -> None:
    run = Run(scope_of("A", task("A")), {})
    assert run.fail("A", "E", "why") == run.built(
        (TaskFailed, (), "A", {"error": "E", "cause": "why"}),
        (ExecutionFailed, (), "", {"error": "E", "cause": "why"}),
    )


def test_a_failure_without_error_and_cause() -> None:
    """Recorded: test_sqs_failure_in_wait_for_task_tok_no_error_field."""
    run = Run(scope_of("A", task("A")), {})
    assert run.fail("A") == run.built((TaskFailed, (), "A"), (ExecutionFailed, (), ""))


def test_a_result_whose_placing_fails_is_kept_and_the_execution_fails() -> None:
    run = Run(scope_of("A", task("A", ResultSelector={"y.$": "$.no"})), {})
    cause = (
        "An error occurred while executing the state 'A' (entered at the event id #2). "
        "The JSONPath '$.no' specified for the field 'y.$' could not be found in the input '{}'"
    )
    assert run.complete("A", {}) == run.built(
        (TaskSucceeded, (), "A", {"output": {}}),
        (ExecutionFailed, (), "", {"error": "States.Runtime", "cause": cause}),
    )


@pytest.mark.parametrize(
    ("resource", "what"),
    [(FUNCTION, FUNCTION), (QUEUE, "sqs"), (ACTIVITY, ACTIVITY)],
    ids=["lambda", "sqs", "activity"],
)
def test_a_result_over_the_limit_is_a_failure_of_the_task(resource: str, what: str) -> None:
    """Recorded: test_task_lambda_data_limit_exceeded_on_large_utf8_response; text in bytes of UTF-8, not characters."""
    run = Run(scope_of("A", task("A", Resource=resource, Parameters={})), {})
    cause = (
        f"The state/task '{what}' returned a result with a size exceeding the maximum number of bytes service limit."
    )
    failure = {"error": "States.DataLimitExceeded", "cause": cause}
    assert run.complete("A", "ü" * 131_072) == run.built(
        (TaskFailed, (), "A", failure), (ExecutionFailed, (), "", failure)
    )


def test_the_largest_result_is_taken() -> None:
    run = Run(scope_of("A", task("A")), {})
    run.complete("A", "ü" * 131_071)
    assert run.status == "SUCCEEDED"


# ---- submit


def test_a_submitted_task_goes_on_waiting() -> None:
    run = Run(scope_of("A", task("A", Resource=QUEUE, Parameters={})), {})
    assert run.submit("A", {"id": 1}) == run.built((TaskSubmitted, (), "A", {"output": {"id": 1}}))
    assert run.refused(SubmitTask.of(run.task("A"), 2)) == "TaskNotPending"
    assert [type(event) for event in run.complete("A", 7)] == [TaskSucceeded, StateExited, ExecutionSucceeded]


def test_a_submit_that_the_completion_overtook_is_rejected() -> None:
    run = Run(scope_of("A", task("A", Resource=QUEUE, Parameters={})), {})
    run.complete("A", 7)
    assert run.refused(SubmitTask.of(run.task("A"), 1)) == "TaskNotPending"


def test_a_submission_over_the_limit_is_a_failure_of_the_task() -> None:
    run = Run(scope_of("A", task("A", Resource=QUEUE, Parameters={})), {})
    assert [type(event) for event in run.submit("A", "x" * 262_144)] == [TaskFailed, ExecutionFailed]


# ---- timeouts


@pytest.mark.parametrize("kind", ["timeout", "heartbeat"])
def test_a_timeout_fails_the_task(kind: Any) -> None:
    """Recorded: a missed heartbeat too says States.Timeout, without a cause (test_heartbeats, test_timeouts)."""
    run = Run(scope_of("A", task("A", TimeoutSeconds=9, HeartbeatSeconds=3)), {})
    assert run.fire(kind, "A") == run.built(
        (TaskTimedOut, (), "A", {"error": "States.Timeout", "heartbeat": kind == "heartbeat"}),
        (ExecutionFailed, (), "", {"error": "States.Timeout"}),
    )
    assert run.execution.time == {"timeout": 9_000, "heartbeat": 3_000}[kind]


def test_the_timers_of_an_answered_task_are_gone() -> None:
    run = Run(scope_of("A", task("A", TimeoutSeconds=9, HeartbeatSeconds=3)), {})
    timers = [run.timer("timeout", "A"), run.timer("heartbeat", "A")]
    run.complete("A", 1)
    assert [run.refused(timer) for timer in timers] == ["TimerNotPending"] * 2


def test_a_timer_the_task_does_not_have_is_not_pending() -> None:
    run = Run(scope_of("A", task("A", TimeoutSeconds=9)), {})
    id = run.timer("timeout", "A").timer_id
    for kind in ("heartbeat", "wait", "retry"):
        fire = FireTimer(execution_id="local:1", timer_id=id.replace("timeout", kind))
        assert run.refused(fire) == "TimerNotPending"


# ---- heartbeats


def due(run: Run, kind: Any = "heartbeat") -> int | None:
    return timer_due(run.execution, run.timer(kind, "A").timer_id)


def test_a_heartbeat_is_recorded_at_most_once_in_a_third_of_its_interval() -> None:
    run = Run(scope_of("A", task("A", HeartbeatSeconds=9)), {})
    assert due(run) == 9_000
    assert run.heartbeat("A", now=1_000) == run.built((TaskHeartbeatRecorded, (), "A"))
    assert run.heartbeat("A", now=3_999) == ()
    assert isinstance(run.outcome, Continued)
    assert due(run) == 1_000 + 12_000  # an interval, and the third of one in which beats are not recorded
    assert run.heartbeat("A", now=4_000) == run.built((TaskHeartbeatRecorded, (), "A"))
    assert due(run) == 16_000


def test_a_heartbeat_is_recorded_with_its_detail() -> None:
    run = Run(scope_of("A", task("A", HeartbeatSeconds=1)), {})
    heartbeat = HeartbeatTask.of(run.task("A"), detail={"done": 7})
    assert run.give(heartbeat, now=100) == run.built((TaskHeartbeatRecorded, (), "A", {"detail": {"done": 7}}))


def test_a_third_of_an_interval_is_whole_milliseconds_rounded_down() -> None:
    run = Run(scope_of("A", task("A", HeartbeatSeconds=1)), {})
    run.heartbeat("A", now=100)
    assert run.heartbeat("A", now=432) == ()
    assert run.heartbeat("A", now=433) == run.built((TaskHeartbeatRecorded, (), "A"))


def test_a_task_that_never_gave_a_heartbeat_is_timed_out_whatever_the_clock_says() -> None:
    """The timer's own clock may run ahead; were it set again for the same time it would fire again at once."""
    run = Run(scope_of("A", task("A", HeartbeatSeconds=9)), {})
    assert run.fire("heartbeat", "A", now=8_999) == run.built(
        (TaskTimedOut, (), "A", {"error": "States.Timeout", "heartbeat": True}),
        (ExecutionFailed, (), "", {"error": "States.Timeout"}),
    )


def test_a_heartbeats_timer_that_fires_early_is_set_again() -> None:
    run = Run(scope_of("A", task("A", HeartbeatSeconds=9)), {})
    run.heartbeat("A", now=8_000)
    assert run.fire("heartbeat", "A", now=9_000) == ()
    assert isinstance(run.outcome, Continued)
    assert run.fire("heartbeat", "A", now=19_999) == ()
    assert [type(event) for event in run.fire("heartbeat", "A", now=20_000)] == [TaskTimedOut, ExecutionFailed]


def test_a_worker_that_beats_in_time_is_never_timed_out() -> None:
    run = Run(scope_of("A", task("A", HeartbeatSeconds=9)), {})
    for now in range(8_900, 100_000, 8_900):
        run.heartbeat("A", now=now)
        assert run.fire("heartbeat", "A", now=now + 1) == ()
    assert run.status == "RUNNING"


def test_a_heartbeat_of_a_task_without_them_is_nothing() -> None:
    run = Run(scope_of("A", task("A")), {})
    assert run.heartbeat("A") == ()
    assert isinstance(run.outcome, Continued)


def test_the_first_heartbeat_of_an_activity_starts_it() -> None:
    run = Run(scope_of("A", task("A", Resource=ACTIVITY, HeartbeatSeconds=9)), {})
    assert run.heartbeat("A", worker="w", now=2_000) == run.built((TaskStarted, (), "A", {"worker": "w"}))
    assert due(run) == 11_000  # Developer Guide, "Task workflow state": the count begins when it has started
    assert run.execution.aws_events == 4
    assert run.heartbeat("A", now=3_000) == run.built((TaskHeartbeatRecorded, (), "A"))
    assert due(run) == 15_000
    assert run.execution.aws_events == 4


def test_an_activity_whose_worker_falls_silent_at_once_is_timed_out_after_one_interval() -> None:
    run = Run(scope_of("A", task("A", Resource=ACTIVITY, HeartbeatSeconds=9)), {})
    run.heartbeat("A", now=2_000)
    assert run.fire("heartbeat", "A", now=9_000) == ()  # the timer was set when it was scheduled
    assert run.fire("heartbeat", "A", now=10_999) == ()
    assert run.fire("heartbeat", "A", now=11_000) == run.built(
        (TaskTimedOut, (), "A", {"error": "States.Timeout", "heartbeat": True}),
        (ExecutionFailed, (), "", {"error": "States.Timeout"}),
    )


def test_an_activity_without_heartbeats_is_started_once() -> None:
    run = Run(scope_of("A", task("A", Resource=ACTIVITY)), {})
    assert run.heartbeat("A", now=2_000) == run.built((TaskStarted, (), "A"))
    assert run.heartbeat("A", now=9_000) == ()


# ---- what fails before anybody is asked


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        (
            {"TimeoutSecondsPath": "$.text"},
            'The TimeoutSecondsPath field refers to value "soon" which is not a valid integer: $.text',
        ),
        (
            {"HeartbeatSecondsPath": "$.zero"},
            'The HeartbeatSecondsPath field refers to value "0" which is not between 1 and 99999999: $.zero',
        ),
        (
            {"Credentials": {"RoleArn.$": "$.zero"}},
            "The RoleArn parameter does not reference a string value: $.zero == 0",
        ),
        (
            {"Parameters": {"x.$": "$.no"}},
            "The JSONPath '$.no' specified for the field 'x.$' could not be found in the input "
            '\'{"text":"soon","zero":0}\'',
        ),
    ],
)
def test_a_task_that_cannot_be_asked_for_fails_the_execution(fields: dict[str, Any], cause: str) -> None:
    run = Run(scope_of("A", task("A", **fields)), {"text": "soon", "zero": 0})
    said = f"An error occurred while executing the state 'A' (entered at the event id #2). {cause}"
    assert begun(run) == run.built(
        (StateEntered, (), "A", {"type": "Task"}),
        (ExecutionFailed, (), "", {"error": "States.Runtime", "cause": said}),
    )


def test_arguments_over_the_limit_fail_the_state() -> None:
    run = Run(scope_of("A", task("A", Parameters={"a.$": "$", "b.$": "$"})), "x" * 140_000)
    assert (run.status, run.execution.error) == ("FAILED", "States.DataLimitExceeded")


def test_a_token_is_the_same_for_whoever_reads_the_events() -> None:
    outcome = start(parse(scope_of("A", task("A"))), {}, execution_id="m:n", now=Millis(5))
    asked = outcome.events[-1]
    assert isinstance(asked, TaskScheduled)
    assert CompleteTask.of(asked, 1).token == "m:n##2"


@pytest.mark.parametrize(
    ("resource", "has_token"),
    [
        (FUNCTION, False),
        ("arn:aws:states:::sqs:sendMessage", False),
        (QUEUE, True),
        ("arn:aws:states:::states:startExecution.sync:2", True),
        ("a-workers-task", True),
    ],
)
def test_which_tasks_can_read_their_token(resource: str, has_token: bool) -> None:
    """Recorded: no Task in the whole context object of a plain Lambda call, a token in that of .sync."""
    run = Run(scope_of("A", task("A", Resource=resource, Parameters={"all.$": "$$"})), {})
    arguments = run.task("A").arguments
    assert isinstance(arguments, dict)
    assert isinstance(arguments["all"], dict)
    assert arguments["all"].get("Task") == ({"Token": "local:1##2"} if has_token else None)
