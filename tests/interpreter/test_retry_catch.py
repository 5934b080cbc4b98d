"""Retry and Catch of a Task: which failure is whose, when the next attempt comes, where a Catch leads."""

from __future__ import annotations

from typing import Any

import pytest

from processor import (
    ExecutionFailed,
    ExecutionSucceeded,
    ParallelFailed,
    RetryScheduled,
    StateEntered,
    StateExited,
    TaskFailed,
    TaskScheduled,
    TaskSucceeded,
    TaskTimedOut,
)
from processor.interpreter.entropy import draw, fraction
from processor.interpreter.retry import matching_catcher, matching_retrier, retry_delay_ms
from processor.model.definition import Catcher, Retrier
from processor.model.execution import Failed
from tests.interpreter.scenario import Run, machine, scope_of, task, told

HANDLED: dict[str, Any] = {"Type": "Pass", "End": True}


def retrying(*retriers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return scope_of("A", task("A", Retry=list(retriers), **fields))


def catching(*catchers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return machine("A", {"A": task("A", Catch=list(catchers), **fields), "H": HANDLED})


def dues(run: Run) -> list[int]:
    """How long each retry waits."""
    return [event.due - event.time for event in run.events if isinstance(event, RetryScheduled)]


def exhaust(run: Run, error: str = "E") -> Run:
    while run.status == "RUNNING":
        run.fail("A", error)
        if run.status == "RUNNING":
            run.fire("retry", "A")
    return run


# ---- Retry


def test_a_retry_waits_and_asks_anew_with_another_token() -> None:
    run = Run(retrying({"ErrorEquals": ["E"]}, TimeoutSeconds=60), {"n": 1})
    assert run.fail("A", "E", "why", now=4_000) == run.built(
        (TaskFailed, (), "A", {"error": "E", "cause": "why"}),
        (RetryScheduled, (), "A", {"attempt": 1, "retrier": 0, "error": "E", "cause": "why", "due": 5_000}),
    )
    asked = {"kind": "LAMBDA", "resource": "a", "arguments": {"n": 1}, "timeout_seconds": 60, "timeout_at": 65_000}
    assert run.fire("retry", "A") == run.built((TaskScheduled, (), "A", {**asked, "attempt": 1}))
    assert run.complete("A", 7) == run.built(
        (TaskSucceeded, (), "A", {"output": 7}),
        (StateExited, (), "A", {"output_of": "RESULT"}),
        (ExecutionSucceeded, (), "", {"output": 7}),
    )


def test_arguments_are_evaluated_anew_for_each_attempt() -> None:
    """Recorded: RetryCount 0 1 2 3 in the parameters of four attempts."""
    run = exhaust(Run(retrying({"ErrorEquals": ["E"]}, Parameters={"n.$": "$$.State.RetryCount"}), {}))
    asked = [event.arguments for event in run.events if isinstance(event, TaskScheduled)]
    assert asked == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [1_000, 2_000, 4_000]),
        ({"IntervalSeconds": 3, "MaxAttempts": 2}, [3_000, 6_000]),
        ({"BackoffRate": 1.0, "MaxAttempts": 4}, [1_000] * 4),
        ({"BackoffRate": 1.5}, [1_000, 1_500, 2_250]),
        ({"MaxDelaySeconds": 3, "MaxAttempts": 4}, [1_000, 2_000, 3_000, 3_000]),
        ({"MaxAttempts": 0}, []),
        ({"JitterStrategy": "NONE"}, [1_000, 2_000, 4_000]),
    ],
)
def test_how_long_retries_wait(fields: dict[str, Any], expected: list[int]) -> None:
    run = exhaust(Run(retrying({"ErrorEquals": ["States.ALL"], **fields}), {}))
    assert dues(run) == expected
    assert (run.status, run.execution.error) == ("FAILED", "E")


def test_full_jitter_is_drawn_from_the_seed_by_scope_visit_and_attempt() -> None:
    retry = {"ErrorEquals": ["E"], "IntervalSeconds": 100, "JitterStrategy": "FULL"}
    seed = b"0123456789abcdef"
    run = exhaust(Run(retrying(retry), {}, seed=seed))
    drawn = [fraction(draw(seed, scope=(), visit=1, attempt=attempt, number=0)) for attempt in range(3)]
    assert dues(run) == [int(100_000 * 2**n * drawn[n]) for n in range(3)]
    assert dues(exhaust(Run(retrying(retry), {}, seed=seed))) == dues(run)
    assert dues(exhaust(Run(retrying(retry), {}))) != dues(run)


def test_a_retry_never_waits_longer_than_awss_bound() -> None:
    forever = Retrier(errors=("E",), interval_seconds=99_999_999, backoff_rate=10.0)
    assert retry_delay_ms(forever, attempt=1, jitter=0.0) == 31_622_400_000
    assert retry_delay_ms(forever, attempt=10_000, jitter=0.0) == 31_622_400_000  # past what a float holds


def test_each_retrier_counts_its_own_attempts() -> None:
    """ASL specification, "Retrying after error": each retrier tracks its own attempts."""
    run = Run(retrying({"ErrorEquals": ["E1"], "MaxAttempts": 1}, {"ErrorEquals": ["E2"], "IntervalSeconds": 5}), {})
    for error in ("E1", "E2", "E2"):
        run.fail("A", error)
        run.fire("retry", "A")
    scheduled = [(e.retrier, e.attempt, e.due - e.time) for e in run.events if isinstance(e, RetryScheduled)]
    assert scheduled == [(0, 1, 1_000), (1, 1, 5_000), (1, 2, 10_000)]
    assert [type(event) for event in run.fail("A", "E1")] == [TaskFailed, ExecutionFailed]


def test_a_retrier_that_was_passed_over_has_all_its_attempts_left() -> None:
    run = Run(retrying({"ErrorEquals": ["E1"], "MaxAttempts": 1}, {"ErrorEquals": ["E2"]}, {"ErrorEquals": ["E3"]}), {})
    counted = []
    for error in ("E2", "E2", "E1"):
        run.fail("A", error)
        counted.append(run.execution.scopes[()].attempts)
        run.fire("retry", "A")
    assert counted == [(0, 1), (0, 2), (1, 2)]
    assert [type(event) for event in run.fail("A", "E1")] == [TaskFailed, ExecutionFailed]


@pytest.mark.parametrize(("kind", "caught"), [("heartbeat", True), ("timeout", False)])
def test_a_missed_heartbeat_can_be_caught_by_its_own_name_and_a_timeout_cannot(kind: Any, caught: bool) -> None:
    catcher = {"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "H", "ResultPath": None}
    run = Run(catching(catcher, TimeoutSeconds=9, HeartbeatSeconds=3), 1)
    run.fire(kind, "A")
    assert run.status == ("SUCCEEDED" if caught else "FAILED")


def test_an_exhausted_retrier_goes_to_catch() -> None:
    run = Run(
        machine(
            "A",
            {
                "A": task(
                    "A",
                    Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}, {"ErrorEquals": ["States.ALL"]}],
                    Catch=[{"ErrorEquals": ["E"], "Next": "H"}],
                ),
                "H": HANDLED,
            },
        )
    )
    run.fail("A", "E")
    run.fire("retry", "A")
    assert run.fail("A", "E", "C")[:3] == run.built(
        (TaskFailed, (), "A", {"error": "E", "cause": "C"}),
        (
            StateExited,
            (),
            "A",
            {"output_of": "VALUE", "output": {"Error": "E", "Cause": "C"}, "next": "H", "catcher": 0},
        ),
        (StateEntered, (), "H", {"type": "Pass"}),
    )


def test_a_timeout_can_be_retried_and_the_old_timers_are_gone() -> None:
    run = Run(retrying({"ErrorEquals": ["States.Timeout"]}, TimeoutSeconds=5), {})
    old = run.timer("timeout", "A")
    assert run.fire("timeout", "A") == run.built(
        (TaskTimedOut, (), "A", {"error": "States.Timeout"}),
        (RetryScheduled, (), "A", {"attempt": 1, "retrier": 0, "error": "States.Timeout", "due": 6_000}),
    )
    run.fire("retry", "A")
    assert run.refused(old) == "TimerNotPending"
    assert run.refused(run.timer("retry", "A")) == "TimerNotPending"
    run.complete("A", 1)
    assert run.status == "SUCCEEDED"


def test_attempts_are_forgotten_when_the_state_is_entered_again() -> None:
    again = {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "A"}], "Default": "End"}
    states = {
        "A": task("A", "Again", Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}]),
        "Again": again,
        "End": {"Type": "Succeed"},
    }
    run = Run(machine("A", states), {"n": 1})
    for output in ({"n": 1}, {"n": 2}):
        run.fail("A", "E")
        run.fire("retry", "A")
        run.complete("A", output)
    attempts = [(e.attempt, e.due - e.time) for e in run.events if isinstance(e, RetryScheduled)]
    assert (run.status, attempts) == ("SUCCEEDED", [(1, 1_000), (1, 1_000)])


# ---- which failure a name stands for


def named(errors: tuple[str, ...], error: str | None, *, heartbeat: bool = False) -> tuple[bool, bool]:
    """Whether a retrier, a catcher with these errors takes the failure."""
    failure = Failed(error, None, heartbeat=heartbeat)
    retrier = matching_retrier([Retrier(errors=errors)], failure, attempts=())
    catcher = Catcher(errors=errors, next="H", finish=lambda value, result, environment: ("RESULT", result))
    return retrier == 0, matching_catcher([catcher], failure) == 0


@pytest.mark.parametrize(
    ("errors", "error", "taken"),
    [
        (("E",), "E", True),
        (("E",), "F", False),
        (("E",), None, False),
        (("D", "E"), "E", True),
        (("States.ALL",), "E", True),
        (("States.ALL",), None, True),
        (("States.ALL",), "States.Timeout", True),
        (("States.TaskFailed",), "E", True),
        (("States.TaskFailed",), "States.Timeout", False),
        (("States.TaskFailed", "States.Timeout"), "States.Timeout", True),
        (("States.Timeout",), "States.Timeout", True),
        (("States.HeartbeatTimeout",), "States.Timeout", False),
        (("States.DataLimitExceeded",), "States.DataLimitExceeded", True),
    ],
)
def test_which_failures_a_name_stands_for(errors: tuple[str, ...], error: str | None, taken: bool) -> None:
    assert named(errors, error) == (taken, taken)


def test_a_missed_heartbeat_goes_by_both_names() -> None:
    assert named(("States.HeartbeatTimeout",), "States.Timeout", heartbeat=True) == (True, True)
    assert named(("States.Timeout",), "States.Timeout", heartbeat=True) == (True, True)


def test_the_data_limit_is_caught_by_all_but_retried_only_by_name() -> None:
    """Caught: recorded (test_task_lambda_catch_state_all_data_limit_exceeded…). Retried: as documented, not by ALL."""
    assert named(("States.ALL",), "States.DataLimitExceeded") == (False, True)
    unnamed = [Retrier(errors=("States.ALL",)), Retrier(errors=("States.DataLimitExceeded",))]
    failure = Failed("States.DataLimitExceeded", None)
    assert matching_retrier(unnamed, failure, attempts=()) == 1


# ---- Catch


@pytest.mark.parametrize(
    ("place", "output_of", "output"),
    [
        ({}, "VALUE", {"Error": "E", "Cause": "C"}),
        ({"ResultPath": "$"}, "VALUE", {"Error": "E", "Cause": "C"}),
        ({"ResultPath": "$.caught"}, "VALUE", {"n": 1, "caught": {"Error": "E", "Cause": "C"}}),
        ({"ResultPath": "$.n"}, "VALUE", {"n": {"Error": "E", "Cause": "C"}}),
        ({"ResultPath": None}, "INPUT", {"n": 1}),
    ],
)
def test_where_a_catch_puts_the_error(place: dict[str, Any], output_of: str, output: Any) -> None:
    run = Run(catching({"ErrorEquals": ["States.ALL"], "Next": "H", **place}), {"n": 1})
    exited = {"output_of": output_of, "next": "H", "catcher": 0}
    if output_of == "VALUE":
        exited["output"] = output
    assert run.fail("A", "E", "C") == run.built(
        (TaskFailed, (), "A", {"error": "E", "cause": "C"}),
        (StateExited, (), "A", exited),
        (StateEntered, (), "H", {"type": "Pass"}),
        (StateExited, (), "H", {"output_of": "INPUT"}),
        (ExecutionSucceeded, (), "", {"output": output}),
    )


def test_the_states_own_paths_do_not_apply_to_a_catch() -> None:
    """The raw input is what the error joins, whatever InputPath and Parameters made of it."""
    catch = {"ErrorEquals": ["E"], "Next": "H", "ResultPath": "$.e"}
    fields = {"InputPath": "$.a", "Parameters": {}, "ResultPath": "$.r", "OutputPath": "$.no"}
    run = Run(catching(catch, **fields), {"a": 1})
    run.fail("A", "E")
    assert run.execution.output == {"a": 1, "e": {"Error": "E", "Cause": None}}


def test_absent_error_and_cause_are_null_in_the_error_output() -> None:
    """Recorded: test_sqs_failure_in_wait_for_task_tok_no_error_field[SQS_WAIT_FOR_TASK_TOKEN_CATCH]."""
    run = Run(catching({"ErrorEquals": ["States.ALL"], "Next": "H"}), {})
    run.fail("A")
    assert run.execution.output == {"Error": None, "Cause": None}


def test_the_first_catcher_that_matches_is_taken() -> None:
    run = Run(
        machine(
            "A",
            {
                "A": task(
                    "A",
                    Catch=[
                        {"ErrorEquals": ["E1"], "Next": "H"},
                        {"ErrorEquals": ["E2", "States.Timeout"], "Next": "G"},
                        {"ErrorEquals": ["States.ALL"], "Next": "H"},
                    ],
                    TimeoutSeconds=5,
                ),
                "G": HANDLED,
                "H": HANDLED,
            },
        )
    )
    error_output = {"Error": "States.Timeout", "Cause": None}
    assert (
        run.fire("timeout", "A")[1:2]
        == run.built(
            (TaskTimedOut, (), "A", {"error": "States.Timeout"}),
            (StateExited, (), "A", {"output_of": "VALUE", "output": error_output, "next": "G", "catcher": 1}),
        )[1:]
    )


@pytest.mark.parametrize("handler", ["Retry", "Catch"])
def test_a_runtime_error_is_neither_retried_nor_caught(handler: str) -> None:
    """Developer Guide: States.ALL does not take States.Runtime. Second-hand: not even by its own name."""
    handlers: dict[str, Any] = {"ErrorEquals": ["States.Runtime", "States.TaskFailed"]} | (
        {"Next": "H"} if handler == "Catch" else {}
    )
    states = {"A": {**task("A", ResultSelector={"x.$": "$.no"}), handler: [handlers]}}
    if handler == "Catch":
        states["H"] = HANDLED
    run = Run(machine("A", states), {})
    assert [type(event) for event in run.complete("A", {})] == [TaskSucceeded, ExecutionFailed]
    assert run.execution.error == "States.Runtime"


def test_a_result_that_cannot_be_placed_is_caught_as_such() -> None:
    run = Run(catching({"ErrorEquals": ["States.ResultPathMatchFailure"], "Next": "H"}, ResultPath="$.a.b"), {"a": 1})
    assert [type(e) for e in run.complete("A", 5)[:3]] == [TaskSucceeded, StateExited, StateEntered]
    output = run.execution.output
    assert isinstance(output, dict)
    assert output["Error"] == "States.ResultPathMatchFailure"


def test_a_result_that_cannot_be_placed_can_be_retried() -> None:
    run = Run(retrying({"ErrorEquals": ["States.ResultPathMatchFailure"]}, ResultPath="$.a.b"), {"a": 1})
    assert [type(event) for event in run.complete("A", 5)] == [TaskSucceeded, RetryScheduled]
    assert [type(event) for event in run.fire("retry", "A")] == [TaskScheduled]


def test_a_catch_that_fails_itself_is_not_caught_by_another() -> None:
    catch = [
        {"ErrorEquals": ["E"], "Next": "H", "ResultPath": "$.a.b"},
        {"ErrorEquals": ["States.ALL"], "Next": "H"},
    ]
    run = Run(catching(*catch), {"a": 1})
    assert [type(event) for event in run.fail("A", "E")] == [TaskFailed, ExecutionFailed]
    assert run.execution.error == "States.ResultPathMatchFailure"


def test_an_error_output_that_makes_the_state_too_large_fails_the_execution() -> None:
    run = Run(catching({"ErrorEquals": ["E"], "Next": "H", "ResultPath": "$.e"}), {"a": "x" * 240_000})
    run.fail("A", "E", "y" * 30_000)
    assert (run.status, run.execution.error) == ("FAILED", "States.DataLimitExceeded")


# ---- a retry whose arguments fail: only RetryCount, a digit longer, makes the tenth attempt's too large


def too_large_at_last(**fields: Any) -> Run:
    handlers = {"Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 99}], **fields}
    state = task("A", Parameters={"a.$": "$", "n.$": "$$.State.RetryCount"}, **handlers)
    run = Run(machine("A", {"A": state, **({"H": HANDLED} if "Catch" in fields else {})}), "x" * (262_144 - 14))
    for _ in range(9):
        run.fail("A", "E")
        run.fire("retry", "A")
    run.fail("A", "E")
    return run


LIMIT = {
    "error": "States.DataLimitExceeded",
    "cause": "The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit.",
}


def test_a_retry_that_cannot_be_asked_for_fails_the_execution() -> None:
    run = too_large_at_last()
    assert run.fire("retry", "A") == run.built((ExecutionFailed, (), "", LIMIT))


def test_a_retry_that_cannot_be_asked_for_can_be_caught() -> None:
    run = too_large_at_last(Catch=[{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "H", "ResultPath": None}])
    assert run.fire("retry", "A")[:2] == run.built(
        (StateExited, (), "A", {"output_of": "INPUT", "next": "H", "catcher": 0}),
        (StateEntered, (), "H", {"type": "Pass"}),
    )


# ---- a Catch that fails itself, in a branch


def caught_badly(**catch: Any) -> Run:
    """A Task whose Catch fails, beside another task, in a Parallel that catches everything."""
    catcher = {"ErrorEquals": ["E"], "Next": "H", **catch}
    branch = machine("A", {"A": task("A", Catch=[catcher]), "H": HANDLED})
    everything = [{"ErrorEquals": ["States.ALL"], "Next": "R", "ResultPath": None}]
    fork = {"Type": "Parallel", "Branches": [branch, scope_of("B", task("B"))], "Catch": everything, "End": True}
    return Run(machine("P", {"P": fork, "R": HANDLED}), {"text": "t"})


def test_a_catch_that_fails_with_a_runtime_error_fails_the_execution_at_once() -> None:
    run = caught_badly(Assign={"x.$": "$.nothing"})
    assert told(run.fail("A", "E")) == [("TaskFailed", (0,), "A"), ("ExecutionFailed", (), "")]
    assert run.execution.error == "States.Runtime"


def test_a_catch_that_fails_with_another_error_fails_the_container_which_may_catch_it() -> None:
    run = caught_badly(ResultPath="$.text.deeper")
    events = run.fail("A", "E")
    assert told(events) == [
        ("TaskFailed", (0,), "A"),
        ("StateAborted", (1,), "B"),
        ("StateAborted", (0,), "A"),
        ("ParallelFailed", (), "P"),
        ("StateExited", (), "P"),
        ("StateEntered", (), "R"),
        ("StateExited", (), "R"),
        ("ExecutionSucceeded", (), ""),
    ]
    assert [event.error for event in events if isinstance(event, ParallelFailed)] == ["States.ResultPathMatchFailure"]


# ---- random values


def test_each_attempt_and_each_visit_of_a_state_draws_anew() -> None:
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 1}]
    again = [{"ErrorEquals": ["E"], "Next": "A"}]
    run = Run(scope_of("A", task("A", Parameters={"id.$": "States.UUID()"}, Retry=retry, Catch=again)), {})
    run.fail("A", "E")
    run.fire("retry", "A")
    run.fail("A", "E")
    asked = [str(event.arguments) for event in run.events if isinstance(event, TaskScheduled)]
    assert len(asked) == 3
    assert sorted(set(asked)) == sorted(asked)
