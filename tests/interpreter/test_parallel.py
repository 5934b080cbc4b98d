"""Parallel: branches side by side, one failing while others wait or are runnable, retried, nested.

The order of the events that cut siblings follows the event model (lowest index first, the failing Task's own last);
AWS's recordings hold the failing Task's StateAborted, those of siblings are second-hand.
"""

from __future__ import annotations

from typing import Any

import pytest

from processor import (
    CompleteTask,
    ExecutionFailed,
    ExecutionSucceeded,
    FailTask,
    ParallelFailed,
    ParallelStarted,
    ParallelSucceeded,
    RetryScheduled,
    StateAborted,
    StateEntered,
    StateExited,
    TaskFailed,
    TaskScheduled,
    TaskSucceeded,
    WaitStarted,
)
from processor.interpreter.history import render_history
from tests.interpreter.scenario import Run, begun, machine, scope_of, task, told

HANDLED: dict[str, Any] = {"Type": "Pass", "End": True}


def parallel(*branches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), "End": True, **fields}


def asks(name: str) -> dict[str, Any]:
    return scope_of(name, task(name))


def waits(name: str) -> dict[str, Any]:
    return scope_of(name, {"Type": "Wait", "Seconds": 10, "End": True})


def asked(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"kind": "LAMBDA", "resource": name.lower(), "arguments": arguments, **fields}


# ---- success


def test_branches_start_in_order_each_running_until_it_rests() -> None:
    run = Run(scope_of("P", parallel(asks("A"), waits("W"), scope_of("X", HANDLED))), {"n": 1})
    assert begun(run) == run.built(
        (StateEntered, (), "P", {"type": "Parallel"}),
        (ParallelStarted, (), "P", {"first": ("A", "W", "X")}),
        (StateEntered, (0,), "A", {"type": "Task"}),
        (TaskScheduled, (0,), "A", asked("A", {"n": 1})),
        (StateEntered, (1,), "W", {"type": "Wait"}),
        (WaitStarted, (1,), "W", {"due": 10_000}),
        (StateEntered, (2,), "X", {"type": "Pass"}),
        (StateExited, (2,), "X", {"output_of": "INPUT"}),
    )


def test_its_result_is_the_branches_outputs_by_index_whatever_order_they_end_in() -> None:
    run = Run(scope_of("P", parallel(asks("A"), asks("B"))), {})
    assert run.complete("B", "b") == run.built(
        (TaskSucceeded, (1,), "B", {"output": "b"}), (StateExited, (1,), "B", {"output_of": "RESULT"})
    )
    assert run.complete("A", "a") == run.built(
        (TaskSucceeded, (0,), "A", {"output": "a"}),
        (StateExited, (0,), "A", {"output_of": "RESULT"}),
        (ParallelSucceeded, (), "P"),
        (StateExited, (), "P", {"output_of": "RESULT"}),
        (ExecutionSucceeded, (), "", {"output": ["a", "b"]}),
    )


def test_branches_share_what_its_parameters_made() -> None:
    run = Run(scope_of("P", parallel(asks("A"), asks("B"), Parameters={"x.$": "$.n"}, ResultPath="$.r")), {"n": 1})
    assert (
        begun(run)[1:4]
        == run.built(
            (StateEntered, (), "P", {"type": "Parallel"}),
            (ParallelStarted, (), "P", {"has_input": True, "input": {"x": 1}, "first": ("A", "B")}),
            (StateEntered, (0,), "A", {"type": "Task"}),
            (TaskScheduled, (0,), "A", asked("A", {"x": 1})),
        )[1:]
    )
    run.complete("A", 1)
    run.complete("B", 2)
    assert run.execution.output == {"n": 1, "r": [1, 2]}


def test_a_joined_result_over_the_limit_fails_the_parallel() -> None:
    run = Run(scope_of("P", parallel(asks("A"), asks("B"))), {})
    run.complete("A", "x" * 140_000)
    events = run.complete("B", "x" * 140_000)
    assert told(events) == [
        ("TaskSucceeded", (1,), "B"),
        ("StateExited", (1,), "B"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]
    what = "The state/task 'P' returned a result"
    limit = f"{what} with a size exceeding the maximum number of bytes service limit."
    assert (run.execution.error, run.execution.cause) == ("States.DataLimitExceeded", limit)


@pytest.mark.parametrize(("depth", "status"), [(252, "SUCCEEDED"), (254, "FAILED")])
def test_results_that_joined_are_nested_too_deeply_fail_the_parallel(depth: int, status: str) -> None:
    """Each can be written down by itself; the array around them is one level more."""
    deep: Any = 0
    for _ in range(depth):
        deep = [deep]
    run = Run(scope_of("P", parallel(asks("A"))), {})
    run.complete("A", deep)
    where = "An error occurred while executing the state 'P' (entered at the event id #2)."
    fault = ("States.Runtime", f"{where} The value is nested too deeply.")
    assert (run.status, run.execution.error, run.execution.cause) == (
        status,
        *(fault if status == "FAILED" else (None, None)),
    )


def test_the_largest_joined_result_is_taken() -> None:
    for excess, status in ((0, "SUCCEEDED"), (1, "FAILED")):
        run = Run(scope_of("P", parallel(asks("A"), asks("B"))), {})
        run.complete("A", "x" * (131_069 - 2))
        run.complete("B", "x" * (131_072 - 2 + excess))  # with the brackets and the comma 262,144 bytes
        assert run.status == status


# ---- failure


def test_a_failing_branch_cuts_those_that_wait() -> None:
    run = Run(scope_of("P", parallel(waits("W"), asks("A"), asks("B"), scope_of("X", HANDLED))), {})
    assert run.fail("A", "E", "C") == run.built(
        (TaskFailed, (1,), "A", {"error": "E", "cause": "C"}),
        (StateAborted, (0,), "W"),
        (StateAborted, (2,), "B"),
        (StateAborted, (1,), "A"),
        (ParallelFailed, (), "P", {"error": "E", "cause": "C"}),
        (ExecutionFailed, (), "", {"error": "E", "cause": "C"}),
    )
    assert run.refused(run.timer("wait", "W")) == "TimerNotPending"


def test_a_branch_that_fails_at_once_cuts_what_has_not_run_yet_without_events() -> None:
    """AWS has Aborted events for Task, Wait, Parallel and Map alone; a state not yet entered has none at all."""
    fails = scope_of("F", {"Type": "Fail", "Error": "E"})
    run = Run(scope_of("P", parallel(asks("A"), fails, asks("B"))), {})
    assert (
        begun(run)[2:]
        == run.built(
            (StateEntered, (), "P", {"type": "Parallel"}),
            (ParallelStarted, (), "P", {"first": ("A", "F", "B")}),
            (StateEntered, (0,), "A", {"type": "Task"}),
            (TaskScheduled, (0,), "A", asked("A", {})),
            (StateEntered, (1,), "F", {"type": "Fail"}),
            (StateAborted, (0,), "A"),
            (ParallelFailed, (), "P", {"error": "E"}),
            (ExecutionFailed, (), "", {"error": "E"}),
        )[2:]
    )


def test_a_failing_branch_cuts_one_that_waits_for_its_retry() -> None:
    again = scope_of("A", task("A", Retry=[{"ErrorEquals": ["E1"]}]))
    run = Run(scope_of("P", parallel(again, asks("B"))), {})
    run.fail("A", "E1")
    retry = run.timer("retry", "A")
    assert told(run.fail("B", "E2")) == [
        ("TaskFailed", (1,), "B"),
        ("StateAborted", (0,), "A"),
        ("StateAborted", (1,), "B"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.refused(retry) == "TimerNotPending"


def test_a_runtime_error_in_a_branch_fails_the_execution_at_once() -> None:
    """Second-hand: no Failed and no Aborted event, whatever the Parallel would catch."""
    breaks = scope_of("X", {"Type": "Pass", "InputPath": "$.no", "End": True})
    caught = parallel(asks("A"), breaks, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "H"}])
    run = Run(machine("P", {"P": caught, "H": HANDLED}), {})
    cause = (
        "An error occurred while executing the state 'X' (entered at the event id #7). "
        "Invalid path '$.no' : No results for path: $['no']"
    )
    assert (
        begun(run)[4:]
        == run.built(
            *[(StateEntered, (), "P", {"type": "Parallel"})] * 4,
            (StateEntered, (1,), "X", {"type": "Pass"}),
            (ExecutionFailed, (), "", {"error": "States.Runtime", "cause": cause}),
        )[4:]
    )


FULL = "x" * 200_000
OVERFLOWS: dict[str, Any] = {"Type": "Wait", "Seconds": 1, "Assign": {"a.$": "$", "b.$": "$"}, "End": True}
"""Its wait ends, and then it has more to assign than AWS takes."""
TOO_MUCH = {
    "error": "States.DataLimitExceeded",
    "cause": "The state/task 'W' returned a result with a size exceeding the maximum number of bytes service limit.",
}


def test_a_wait_whose_end_fails_fails_its_branch_which_the_container_may_catch() -> None:
    caught = [{"ErrorEquals": ["States.DataLimitExceeded"], "ResultPath": "$.e", "Next": "H"}]
    states = {"P": parallel(asks("A"), scope_of("W", OVERFLOWS), Catch=caught), "H": HANDLED}
    run = Run(machine("P", states), {"n": FULL})
    assert run.fire("wait", "W") == run.built(
        (TaskFailed, (1,), "W", TOO_MUCH),
        (StateAborted, (0,), "A"),
        (ParallelFailed, (), "P", TOO_MUCH),
        (StateExited, (), "P", {"output": {"n": FULL, "e": caught_of(TOO_MUCH)}, "output_of": "VALUE", "next": "H",
                                "catcher": 0}),
        (StateEntered, (), "H", {"type": "Pass"}),
        (StateExited, (), "H", {"output_of": "INPUT"}),
        (ExecutionSucceeded, (), "", {"output": {"n": FULL, "e": caught_of(TOO_MUCH)}}),
    )  # fmt: skip
    assert [event["type"] for event in render_history(run.events)][6:9] == [
        "WaitStateEntered", "TaskStateAborted", "ParallelStateFailed",
    ]  # fmt: skip


def test_a_wait_whose_end_fails_fails_its_iteration_and_the_map_is_retried() -> None:
    retried = [{"ErrorEquals": ["States.DataLimitExceeded"], "MaxAttempts": 1}]
    each = {"Type": "Map", "ItemProcessor": scope_of("W", OVERFLOWS), "Retry": retried, "End": True}
    run = Run(scope_of("M", each), [FULL])
    assert told(run.fire("wait", "W")) == [("MapIterationFailed", (0,), "M"), ("RetryScheduled", (), "M")]


def test_a_wait_whose_end_fails_at_the_top_fails_the_execution() -> None:
    run = Run(scope_of("W", OVERFLOWS), FULL)
    assert run.fire("wait", "W") == run.built((ExecutionFailed, (), "", TOO_MUCH))


def caught_of(failure: dict[str, str]) -> dict[str, str]:
    return {"Error": failure["error"], "Cause": failure["cause"]}


def test_a_failure_within_a_branch_can_be_caught_there() -> None:
    caught = machine("A", {"A": task("A", Catch=[{"ErrorEquals": ["E"], "Next": "H"}]), "H": HANDLED})
    run = Run(scope_of("P", parallel(caught, asks("B"))), {})
    assert told(run.fail("A", "E")) == [
        ("TaskFailed", (0,), "A"),
        ("StateExited", (0,), "A"),
        ("StateEntered", (0,), "H"),
        ("StateExited", (0,), "H"),
    ]
    run.complete("B", 1)
    assert run.execution.output == [{"Error": "E", "Cause": None}, 1]


def test_a_caught_failure_of_the_parallel_leaves_no_scope_behind() -> None:
    """Recorded: test_parallel_catch_error…, TaskStateAborted before ParallelStateExited."""
    caught = parallel(asks("A"), waits("W"), Catch=[{"ErrorEquals": ["E"], "Next": "H", "ResultPath": "$.e"}])
    run = Run(machine("P", {"P": caught, "H": task("H")}), {"n": 1})
    output = {"n": 1, "e": {"Error": "E", "Cause": None}}
    assert run.fail("A", "E") == run.built(
        (TaskFailed, (0,), "A", {"error": "E"}),
        (StateAborted, (1,), "W"),
        (StateAborted, (0,), "A"),
        (ParallelFailed, (), "P", {"error": "E"}),
        (StateExited, (), "P", {"output_of": "VALUE", "output": output, "next": "H", "catcher": 0}),
        (StateEntered, (), "H", {"type": "Task"}),
        (TaskScheduled, (), "H", asked("H", output)),
    )
    assert set(run.execution.scopes) == {()}


def test_the_answer_to_a_cut_task_is_refused() -> None:
    caught = parallel(asks("A"), asks("B"), Catch=[{"ErrorEquals": ["E"], "Next": "H"}])
    run = Run(machine("P", {"P": caught, "H": task("H")}), {})
    late = run.task("B")
    run.fail("A", "E")
    assert run.refused(CompleteTask.of(late, 1)) == "TaskNotPending"


# ---- retry


def test_a_retry_of_the_parallel_opens_new_scopes_and_writes_no_failure() -> None:
    """Recorded: test_parallel_catch_error…WITH_RETRY: ParallelStateStarted again, without ParallelStateFailed."""
    run = Run(scope_of("P", parallel(asks("A"), asks("B"), Retry=[{"ErrorEquals": ["E"]}])), {"n": 1})
    run.complete("B", "b")
    assert run.fail("A", "E", now=500) == run.built(
        (TaskFailed, (0,), "A", {"error": "E"}),
        (StateAborted, (0,), "A"),
        (RetryScheduled, (), "P", {"attempt": 1, "retrier": 0, "error": "E", "due": 1_500}),
    )
    assert run.fire("retry", "P") == run.built(
        (ParallelStarted, (), "P", {"attempt": 1, "first": ("A", "B")}),
        (StateEntered, (0,), "A", {"type": "Task"}),
        (TaskScheduled, (0,), "A", asked("A", {"n": 1})),
        (StateEntered, (1,), "B", {"type": "Task"}),
        (TaskScheduled, (1,), "B", asked("B", {"n": 1})),
    )
    run.complete("A", 1)
    run.complete("B", 2)
    assert run.execution.output == [1, 2]


def test_an_exhausted_retry_of_the_parallel_fails_it() -> None:
    run = Run(scope_of("P", parallel(asks("A"), Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}])), {})
    run.fail("A", "E")
    run.fire("retry", "P")
    assert told(run.fail("A", "E")) == [
        ("TaskFailed", (0,), "A"),
        ("StateAborted", (0,), "A"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_joined_result_over_the_limit_can_be_retried_by_name() -> None:
    retry = [{"ErrorEquals": ["States.DataLimitExceeded"]}]
    run = Run(scope_of("P", parallel(asks("A"), asks("B"), Retry=retry)), {})
    run.complete("A", "x" * 140_000)
    assert told(run.complete("B", "x" * 140_000))[2:] == [("RetryScheduled", (), "P")]
    run.fire("retry", "P")
    run.complete("A", 1)
    run.complete("B", 2)
    assert run.execution.output == [1, 2]


def test_a_result_that_cannot_be_placed_is_the_parallels_own_failure() -> None:
    caught = parallel(
        asks("A"), ResultPath="$.a.b", Catch=[{"ErrorEquals": ["States.ResultPathMatchFailure"], "Next": "H"}]
    )
    run = Run(machine("P", {"P": caught, "H": HANDLED}), {"a": 1})
    assert told(run.complete("A", 1)) == [
        ("TaskSucceeded", (0,), "A"),
        ("StateExited", (0,), "A"),
        ("ParallelSucceeded", (), "P"),
        ("ParallelFailed", (), "P"),
        ("StateExited", (), "P"),
        ("StateEntered", (), "H"),
        ("StateExited", (), "H"),
        ("ExecutionSucceeded", (), ""),
    ]


def test_a_retry_that_cannot_be_asked_for_tells_so_before_it_cuts_others() -> None:
    """Only the second attempt's arguments are larger than a state may hold: RetryCount has a digit, then two."""
    again = task(
        "A",
        Parameters={"a.$": "$", "n.$": "$$.State.RetryCount"},
        Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 99}],
    )
    room = 262_144 - len('{"a":"","n":0}')
    run = Run(scope_of("P", parallel(scope_of("A", again), asks("B"))), "x" * room)
    for _ in range(9):
        run.fail("A", "E")
        run.fire("retry", "A")
    run.fail("A", "E")
    limit = {
        "error": "States.DataLimitExceeded",
        "cause": "The state/task 'A' returned a result with a size exceeding the maximum number of bytes service "
        "limit.",
    }
    assert run.fire("retry", "A") == run.built(
        (TaskFailed, (0,), "A", limit),
        (StateAborted, (1,), "B"),
        (StateAborted, (0,), "A"),
        (ParallelFailed, (), "P", limit),
        (ExecutionFailed, (), "", limit),
    )


def test_a_retry_that_cannot_be_asked_for_tells_so_before_its_own_abort() -> None:
    """Also where there are no others to cut."""
    again = task(
        "A",
        Parameters={"a.$": "$", "n.$": "$$.State.RetryCount"},
        Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 99}],
    )
    run = Run(scope_of("P", parallel(scope_of("A", again))), "x" * (262_144 - len('{"a":"","n":0}')))
    for _ in range(9):
        run.fail("A", "E")
        run.fire("retry", "A")
    run.fail("A", "E")
    assert told(run.fire("retry", "A")) == [
        ("TaskFailed", (0,), "A"),
        ("StateAborted", (0,), "A"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_parallel_that_waits_for_its_retry_cuts_nothing_any_more() -> None:
    run = Run(scope_of("P", parallel(asks("A"), asks("B"), Retry=[{"ErrorEquals": ["E"]}])), {})
    told(run.fail("B", "E"))
    scope = run.execution.scopes[()]
    assert (scope.attempts, scope.retry_count, scope.cut_from, scope.aborted) == ((1,), 1, None, False)


# ---- nested


def nested(**fields: Any) -> dict[str, Any]:
    inner = parallel(asks("A"), asks("B"), **fields)
    return scope_of("P", parallel(scope_of("Q", inner), asks("C")))


def test_a_nested_parallel_joins_into_the_outer_one() -> None:
    run = Run(nested(), {})
    run.complete("C", "c")
    run.complete("B", "b")
    assert told(run.complete("A", "a")) == [
        ("TaskSucceeded", (0, 0), "A"),
        ("StateExited", (0, 0), "A"),
        ("ParallelSucceeded", (0,), "Q"),
        ("StateExited", (0,), "Q"),
        ("ParallelSucceeded", (), "P"),
        ("StateExited", (), "P"),
        ("ExecutionSucceeded", (), ""),
    ]
    assert run.execution.output == [["a", "b"], "c"]


def test_a_failure_goes_up_through_nested_parallels() -> None:
    run = Run(nested(), {})
    assert told(run.fail("B", "E")) == [
        ("TaskFailed", (0, 1), "B"),
        ("StateAborted", (0, 0), "A"),
        ("StateAborted", (0, 1), "B"),
        ("ParallelFailed", (0,), "Q"),
        ("StateAborted", (1,), "C"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_failure_beside_a_nested_parallel_cuts_its_branches_first() -> None:
    run = Run(nested(), {})
    assert told(run.fail("C", "E")) == [
        ("TaskFailed", (1,), "C"),
        ("StateAborted", (0, 0), "A"),
        ("StateAborted", (0, 1), "B"),
        ("StateAborted", (0,), "Q"),
        ("StateAborted", (1,), "C"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_nested_parallel_that_waits_for_its_retry_is_cut_too() -> None:
    run = Run(nested(Retry=[{"ErrorEquals": ["E1"]}]), {})
    run.fail("A", "E1")
    retry = run.timer("retry", "Q")
    events = told(run.fail("C", "E2"))
    assert events == [
        ("TaskFailed", (1,), "C"),
        ("StateAborted", (0,), "Q"),
        ("StateAborted", (1,), "C"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.refused(retry) == "TimerNotPending"


def test_a_nested_parallels_failure_can_be_caught_by_the_outer_one() -> None:
    inner = parallel(asks("A"), asks("B"))
    outer = parallel(scope_of("Q", inner), Catch=[{"ErrorEquals": ["E"], "Next": "H"}])
    run = Run(machine("P", {"P": outer, "H": HANDLED}), {})
    run.fail("A", "E", "C")
    assert run.execution.output == {"Error": "E", "Cause": "C"}


@pytest.mark.parametrize("first", ["A", "B"])
def test_two_failures_one_after_the_other_are_one(first: str) -> None:
    run = Run(scope_of("P", parallel(asks("A"), asks("B"), Retry=[{"ErrorEquals": ["States.ALL"]}])), {})
    second = "B" if first == "A" else "A"
    late = run.task(second)
    run.fail(first, "E")
    assert run.refused(FailTask.of(late, error="E")) == "TaskNotPending"
    assert [event.attempt for event in run.events if isinstance(event, RetryScheduled)] == [1]
