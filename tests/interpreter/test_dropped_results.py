"""Results that are together more than a state may hold: the state drops them, and nothing else shows it.

The limit is AWS's 262,144 bytes; docs/decisions/0022.
"""

from __future__ import annotations

from typing import Any

import pytest
from immutables import Map

from processor import (
    MapFailed,
    MapIterationFailed,
    ParallelFailed,
    RedriveExecution,
    StopExecution,
    recover,
    resume,
)
from processor.model.execution import Branches, Iterations
from tests.interpreter.scenario import Run, machine, scope_of, told
from tests.interpreter.test_distributed import asks, distributed
from tests.interpreter.test_distributed_items import WRITE

MOST = 262_144
TOO_LARGE = {
    "error": "States.DataLimitExceeded",
    "cause": "The state/task 'M' returned a result with a size exceeding the maximum number of bytes service limit.",
}
NOTHING_IS_KEPT: dict[str, Any] = {"results": Map(), "dropped": True}


def each(**fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": asks(), "End": True, **fields}


def branching() -> dict[str, Any]:
    branches = [asks("A"), asks("B"), asks("C")]
    return machine("M", {"M": {"Type": "Parallel", "Branches": branches, "End": True}})


def iterations(run: Run) -> Iterations:
    children = run.execution.scopes[()].children
    assert isinstance(children, Iterations)
    return children


def kept(run: Run) -> dict[str, Any]:
    children = iterations(run)
    return {"results": children.results, "dropped": children.dropped}


def text(size: int) -> str:
    """Return a text whose JSON has so many bytes."""
    return "x" * (size - 2)


def test_a_map_keeps_the_count_of_results_that_are_too_large_and_fails_at_its_end() -> None:
    run = Run(scope_of("M", each(MaxConcurrency=1)), [1, 2, 3, 4])
    run.complete("A", text(200_000))
    assert kept(run) == {"results": Map({0: text(200_000)}), "dropped": False}
    run.complete("A", text(100_000))
    run.complete("A", "small")
    assert iterations(run) == Iterations(
        items=[1, 2, 3, 4],
        mode="INLINE",
        first="A",
        max_concurrency=1,
        next_index=4,
        next_item=4,
        running=1,
        ended=3,
        result_bytes=300_007,
        **NOTHING_IS_KEPT,
    )
    assert run.complete("A", "small")[3] == run.built(*[(MapFailed, (), "M", TOO_LARGE)] * 4)[3]
    assert run.status == "FAILED"


def test_a_parallel_keeps_the_count_of_results_that_are_too_large_and_fails_at_its_end() -> None:
    run = Run(branching(), {})
    run.complete("B", text(200_000))
    run.complete("C", text(62_145))
    children = Branches(count=3, ended=2, result_bytes=262_145, **NOTHING_IS_KEPT)
    assert run.execution.scopes[()].children == children
    assert run.complete("A", 1)[2] == run.built(*[(ParallelFailed, (), "M", TOO_LARGE)] * 3)[2]


@pytest.mark.parametrize(("last", "dropped"), [(62_144, False), (62_145, True)])
def test_a_parallels_results_are_kept_up_to_the_last_byte(last: int, dropped: bool) -> None:
    run = Run(branching(), {})
    run.complete("A", text(200_000))
    run.complete("B", text(last))
    children = run.execution.scopes[()].children
    assert isinstance(children, Branches)
    assert (children.dropped, len(children.results)) == (dropped, 0 if dropped else 2)


@pytest.mark.parametrize(("last", "dropped"), [(62_148, False), (62_149, True)])
def test_a_maps_results_are_kept_as_long_as_flattening_might_save_them(last: int, dropped: bool) -> None:
    """Two bytes of each: its brackets."""
    run = Run(scope_of("M", each()), [1, 2, 3])
    run.complete("A", [text(199_998)], scope=(0,))
    run.complete("A", [text(last - 2)], scope=(1,))
    assert (iterations(run).dropped, len(iterations(run).results)) == (dropped, 0 if dropped else 2)


@pytest.mark.parametrize(("last", "status"), [(131_071, "SUCCEEDED"), (131_072, "FAILED")])
def test_results_that_are_too_large_unless_they_are_flattened_are_flattened(last: int, status: str) -> None:
    """["…","…"] has 5 bytes beside the two texts, so that the array of both arrays is too large and this one is not."""
    writer = {"WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSON"}}
    run = Run(scope_of("M", distributed(asks(), ResultWriter=writer)), [1, 2])
    run.complete("A", [text(131_070)], scope=(0,))
    run.complete("A", [text(last)], scope=(1,))
    assert run.status == status


@pytest.mark.parametrize(
    "writer",
    [
        {"WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSON"}},
        {"Resource": WRITE, "Parameters": {"Bucket": "out"}},
    ],
)
def test_a_result_writer_has_nothing_to_write_of_results_that_are_too_large(writer: dict[str, Any]) -> None:
    run = Run(scope_of("M", distributed(asks(), ResultWriter=writer)), [1, 2, 3])
    run.complete("A", text(200_000), scope=(0,))
    run.complete("A", text(200_000), scope=(1,))
    assert kept(run) == NOTHING_IS_KEPT
    run.complete("A", [], scope=(2,))
    assert run.execution.error == "States.DataLimitExceeded"


def test_a_writers_parameters_fail_before_the_size_does() -> None:
    writer = {"Resource": WRITE, "Parameters": {"Bucket.$": "$.nothing"}}
    run = Run(scope_of("M", distributed(asks(), ItemsPath="$.l", ResultWriter=writer)), {"l": [1, 2]})
    run.complete("A", text(200_000), scope=(0,))
    run.complete("A", text(200_000), scope=(1,))
    assert run.execution.error == "States.Runtime"


def test_failures_that_are_tolerated_are_dropped_too_and_are_still_known_as_failures() -> None:
    run = Run(scope_of("M", distributed(asks(), ToleratedFailureCount=3)), [1, 2, 3, 4, 5])
    run.complete("A", text(200_000), scope=(3,))
    run.fail("A", "E", "c" * 32_000, scope=(0,))
    assert (len(iterations(run).results), len(iterations(run).failures)) == (1, 1)
    assert iterations(run).failure_bytes > 32_000
    run.fail("A", "E", "c" * 32_000, scope=(1,))
    run.fail("A", "E", "c" * 32_000, scope=(2,))
    at = iterations(run)
    assert (at.results, at.failures, at.dropped) == (Map(), Map({0: None, 1: None, 2: None}), True)
    assert (at.ended, at.failed, at.running) == (1, 3, 1)
    cut = told(run.stop())
    assert cut[-1] == ("ExecutionAborted", (), "")


def test_what_failed_is_not_cut_again_though_what_it_came_to_was_dropped() -> None:
    run = Run(scope_of("M", distributed(asks(), ToleratedFailureCount=1)), [1, 2, 3, 4])
    run.complete("A", text(240_000), scope=(3,))
    run.fail("A", "E", "c" * 32_000, scope=(0,))
    assert iterations(run).failures == Map({0: None})
    told_of = run.fail("A", "E", scope=(2,))
    assert told(told_of) == [
        ("TaskFailed", (2,), "A"),
        ("MapIterationFailed", (2,), "M"),
        ("MapIterationAborted", (1,), "M"),
        ("StateAborted", (1,), "A"),
        ("MapRunFailed", (), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert isinstance(told_of[1], MapIterationFailed)


def test_a_map_with_tolerated_failures_that_are_too_large_fails_at_its_end() -> None:
    run = Run(scope_of("M", distributed(asks(), ToleratedFailureCount=1)), [1, 2, 3])
    run.complete("A", text(240_000), scope=(2,))
    run.fail("A", "E", "c" * 32_000, scope=(0,))
    assert told(run.complete("A", 1, scope=(1,)))[3:] == [
        ("MapRunSucceeded", (), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.execution.error == "States.DataLimitExceeded"


def test_a_retry_begins_with_nothing_dropped() -> None:
    retry = [{"ErrorEquals": ["States.DataLimitExceeded"], "MaxAttempts": 1}]
    run = Run(scope_of("M", each(Retry=retry)), [1, 2])
    run.complete("A", text(200_000), scope=(0,))
    run.complete("A", text(200_000), scope=(1,))
    run.fire("retry", "M")
    assert kept(run) == {"results": Map(), "dropped": False}
    run.complete("A", "a", scope=(0,))
    run.complete("A", "b", scope=(1,))
    assert run.execution.output == ["a", "b"]


# ---- redrive


REDRIVE = RedriveExecution(execution_id="local:1")


def test_a_map_whose_results_were_too_large_runs_again_as_a_whole_when_redriven() -> None:
    """Documented: "the Inline Map state is rerun, including the iterations that were successful"."""
    run = Run(scope_of("M", each()), [1, 2])
    run.complete("A", text(200_000), scope=(0,))
    run.complete("A", text(200_000), scope=(1,))
    assert told(run.give(REDRIVE))[:4] == [
        ("ExecutionRedriven", (), ""),
        ("MapStarted", (), "M"),
        ("MapIterationStarted", (0,), "M"),
        ("MapIterationStarted", (1,), "M"),
    ]
    run.complete("A", "a", scope=(0,))
    run.complete("A", "b", scope=(1,))
    assert run.execution.output == ["a", "b"]


def test_results_that_were_too_large_by_their_commas_run_again_too() -> None:
    run = Run(scope_of("M", each()), [1, 2])
    run.complete("A", text(131_071), scope=(0,))
    run.complete("A", text(131_071), scope=(1,))
    assert kept(run)["dropped"] is False
    assert told(run.give(REDRIVE))[1] == ("MapStarted", (), "M")


def test_results_that_just_fit_are_not_made_again() -> None:
    selector = {"x.$": "$.nothing"}
    run = Run(scope_of("M", each(ResultSelector=selector)), [1, 2])
    run.complete("A", text(131_070), scope=(0,))
    run.complete("A", text(131_071), scope=(1,))
    assert run.execution.error == "States.Runtime"
    assert told(run.give(REDRIVE))[1] == ("MapSucceeded", (), "M")


def test_a_parallel_whose_results_were_too_large_runs_again_within_a_branch() -> None:
    """Nested, where its failure was passed on."""
    inner = branching()
    outer = {"Type": "Parallel", "Branches": [inner, asks("Z")], "End": True}
    run = Run(machine("P", {"P": outer}), {})
    for name in ("A", "B", "C"):
        run.complete(name, text(100_000))
    assert run.status == "FAILED"
    assert told(run.give(REDRIVE))[:2] == [("ExecutionRedriven", (), ""), ("ParallelStarted", (0,), "M")]
    for name in ("A", "B", "C", "Z"):
        run.complete(name, name)
    assert run.execution.output == [["A", "B", "C"], "Z"]


def test_an_output_that_was_too_large_is_made_of_new_results() -> None:
    """The results were not, but what the state made of them."""
    run = Run(scope_of("M", each(ResultSelector={"a.$": "$", "b.$": "$"})), [1, 2])
    run.complete("A", text(100_000), scope=(0,))
    run.complete("A", text(100_000), scope=(1,))
    assert run.execution.error == "States.DataLimitExceeded"
    assert told(run.give(REDRIVE))[1] == ("MapStarted", (), "M")


def test_an_iteration_that_failed_of_its_size_is_run_again_alone() -> None:
    run = Run(scope_of("M", each()), [1, 2])
    run.complete("A", "kept", scope=(0,))
    run.complete("A", text(MOST + 1), scope=(1,))
    assert run.execution.error == "States.DataLimitExceeded"
    assert told(run.give(REDRIVE)) == [("ExecutionRedriven", (), ""), ("TaskScheduled", (1,), "A")]
    run.complete("A", "again", scope=(1,))
    assert run.execution.output == ["kept", "again"]


def test_a_map_that_was_stopped_between_two_iterations_goes_on() -> None:
    """All that was started has ended, and is too large; what is left decides no less."""
    run = Run(scope_of("M", each(MaxConcurrency=1)), [1, 2, 3])
    run.complete("A", text(200_000))
    *_, succeeded, _, _, _ = run.complete("A", text(200_000))
    before = recover(run.workflow, run.events[: succeeded.sequence + 1]).execution
    assert before is not None
    stopped = resume(before, StopExecution(execution_id="local:1")).execution
    assert stopped is not None
    assert told(resume(stopped, REDRIVE).events)[:2] == [
        ("ExecutionRedriven", (), ""),
        ("MapIterationStarted", (2,), "M"),
    ]


def test_iterations_that_failed_are_run_again_alone_though_the_results_were_dropped() -> None:
    """It failed of something else, and fails of its size at its end; then it runs again as a whole."""
    run = Run(scope_of("M", each()), [1, 2, 3])
    run.complete("A", text(200_000), scope=(0,))
    run.complete("A", text(200_000), scope=(1,))
    run.fail("A", "E", scope=(2,))
    assert told(run.give(REDRIVE)) == [("ExecutionRedriven", (), ""), ("TaskScheduled", (2,), "A")]
    run.complete("A", 1, scope=(2,))
    assert run.execution.error == "States.DataLimitExceeded"
    assert told(run.give(REDRIVE))[1] == ("MapStarted", (), "M")
