"""Map: iterations, slots, failures that cut siblings, retries, nesting."""

from __future__ import annotations

from typing import Any

import pytest

from processor import (
    CompleteTask,
    ExecutionFailed,
    ExecutionSucceeded,
    MapFailed,
    MapIterationAborted,
    MapIterationFailed,
    MapIterationStarted,
    MapIterationSucceeded,
    MapStarted,
    MapSucceeded,
    RetryScheduled,
    StateAborted,
    StateEntered,
    StateExited,
    TaskFailed,
    TaskScheduled,
    TaskSucceeded,
)
from processor.model.execution import Iterations
from tests.interpreter.scenario import Run, begun, machine, scope_of, task, told

HANDLED: dict[str, Any] = {"Type": "Pass", "End": True}


def each(processor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}


def asks(name: str = "A", **fields: Any) -> dict[str, Any]:
    return scope_of(name, task(name, **fields))


def asked(arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"kind": "LAMBDA", "resource": "a", "arguments": arguments, **fields}


def started(length: int, **fields: Any) -> dict[str, Any]:
    return {"length": length, "first": "A", "max_concurrency": 40, **fields}


# ---- success


def test_iterations_start_before_any_of_them_runs() -> None:
    """The container goes before its children, so it fills its free slots first (event model, rule 6)."""
    run = Run(scope_of("M", each(asks())), ["x", "y"])
    assert begun(run) == run.built(
        (StateEntered, (), "M", {"type": "Map"}),
        (MapStarted, (), "M", started(2)),
        (MapIterationStarted, (0,), "M"),
        (MapIterationStarted, (1,), "M"),
        (StateEntered, (0,), "A", {"type": "Task"}),
        (TaskScheduled, (0,), "A", asked("x")),
        (StateEntered, (1,), "A", {"type": "Task"}),
        (TaskScheduled, (1,), "A", asked("y")),
    )


def test_its_result_is_the_iterations_outputs_by_index_whatever_order_they_end_in() -> None:
    run = Run(scope_of("M", each(asks())), ["x", "y"])
    assert run.complete("A", 2, scope=(1,)) == run.built(
        (TaskSucceeded, (1,), "A", {"output": 2}),
        (StateExited, (1,), "A", {"output_of": "RESULT"}),
        (MapIterationSucceeded, (1,), "M"),
    )
    assert run.complete("A", 1, scope=(0,)) == run.built(
        (TaskSucceeded, (0,), "A", {"output": 1}),
        (StateExited, (0,), "A", {"output_of": "RESULT"}),
        (MapIterationSucceeded, (0,), "M"),
        (MapSucceeded, (), "M"),
        (StateExited, (), "M", {"output_of": "RESULT"}),
        (ExecutionSucceeded, (), "", {"output": [1, 2]}),
    )


def test_an_empty_array_is_done_at_once() -> None:
    run = Run(scope_of("M", each(asks())), [])
    assert begun(run) == run.built(
        (StateEntered, (), "M", {"type": "Map"}),
        (MapStarted, (), "M", started(0)),
        (MapSucceeded, (), "M"),
        (StateExited, (), "M", {"output_of": "RESULT"}),
        (ExecutionSucceeded, (), "", {"output": []}),
    )


def test_items_that_are_not_the_input_stand_in_its_start() -> None:
    run = Run(scope_of("M", each(scope_of("A", HANDLED), ItemsPath="$.list", ResultPath="$.r")), {"list": [5]})
    assert begun(run) == run.built(
        (StateEntered, (), "M", {"type": "Map"}),
        (MapStarted, (), "M", started(1, items=[5])),
        (MapIterationStarted, (0,), "M"),
        (StateEntered, (0,), "A", {"type": "Pass"}),
        (StateExited, (0,), "A", {"output_of": "INPUT"}),
        (MapIterationSucceeded, (0,), "M"),
        (MapSucceeded, (), "M"),
        (StateExited, (), "M", {"output_of": "VALUE", "output": {"list": [5], "r": [5]}}),
        (ExecutionSucceeded, (), "", {"output": {"list": [5], "r": [5]}}),
    )


@pytest.mark.parametrize("field", ["ItemSelector", "Parameters"])
def test_a_selector_makes_each_iterations_input(field: str) -> None:
    selector = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "all.$": "$.k", "fixed": [1]}
    run = Run(scope_of("M", each(asks(), ItemsPath="$.list", **{field: selector})), {"list": ["x", "y"], "k": 0})
    assert (
        begun(run)[2:5]
        == run.built(
            (StateEntered, (), "M", {"type": "Map"}),
            (MapStarted, (), "M", started(2, items=["x", "y"])),
            (MapIterationStarted, (0,), "M", {"has_input": True, "input": {"i": 0, "v": "x", "all": 0, "fixed": [1]}}),
            (MapIterationStarted, (1,), "M", {"has_input": True, "input": {"i": 1, "v": "y", "all": 0, "fixed": [1]}}),
            (StateEntered, (0,), "A", {"type": "Task"}),
        )[2:5]
    )


def test_states_of_an_iteration_read_its_item_in_the_context() -> None:
    """Index and value are of the item, not of what the selector made of it."""
    inside = {
        "Type": "Pass",
        "Parameters": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "x.$": "$"},
        "End": True,
    }
    run = Run(scope_of("M", each(scope_of("A", inside), ItemSelector={"n": 1})), ["x", "y"])
    assert run.execution.output == [{"i": 0, "v": "x", "x": {"n": 1}}, {"i": 1, "v": "y", "x": {"n": 1}}]


# ---- concurrency


def test_a_freed_slot_is_filled_by_the_next_item() -> None:
    run = Run(scope_of("M", each(asks(), MaxConcurrency=2)), [0, 1, 2])
    assert told(run.events)[2:] == [
        ("MapStarted", (), "M"),
        ("MapIterationStarted", (0,), "M"),
        ("MapIterationStarted", (1,), "M"),
        ("StateEntered", (0,), "A"),
        ("TaskScheduled", (0,), "A"),
        ("StateEntered", (1,), "A"),
        ("TaskScheduled", (1,), "A"),
    ]
    assert told(run.complete("A", "b", scope=(1,))) == [
        ("TaskSucceeded", (1,), "A"),
        ("StateExited", (1,), "A"),
        ("MapIterationSucceeded", (1,), "M"),
        ("MapIterationStarted", (2,), "M"),
        ("StateEntered", (2,), "A"),
        ("TaskScheduled", (2,), "A"),
    ]


def test_without_a_limit_forty_run_at_once() -> None:
    """Developer Guide, "Map state": inline Map states run up to 40 iterations at once."""
    for limit in ({}, {"MaxConcurrency": 0}, {"MaxConcurrency": 1000}, {"MaxConcurrencyPath": "$[0]"}):
        run = Run(scope_of("M", each(asks(), **limit)), [0] * 41)
        assert sum(isinstance(event, MapIterationStarted) for event in run.events) == 40


def test_max_concurrency_by_a_path() -> None:
    run = Run(scope_of("M", each(asks(), ItemsPath="$.list", MaxConcurrencyPath="$.n")), {"list": [1, 2, 3], "n": 2})
    assert sum(isinstance(event, MapIterationStarted) for event in run.events) == 2


def test_a_negative_max_concurrency_starts_nothing_until_the_execution_is_stopped() -> None:
    """Recorded: test_max_concurrency_path_negative goes on running, for ever."""
    run = Run(scope_of("M", each(asks(), ItemsPath="$.list", MaxConcurrencyPath="$.n")), {"list": [1], "n": -1})
    assert told(run.events)[-1:] == [("MapStarted", (), "M")]
    assert run.execution.at_rest
    run.stop()
    assert run.status == "ABORTED"


def test_ended_iterations_leave_only_their_result() -> None:
    run = Run(scope_of("M", each(asks(), MaxConcurrency=1)), list(range(50)))
    for index in range(49):
        run.complete("A", index, scope=(index,))
    assert set(run.execution.scopes) == {(), (49,)}


# ---- failure


def test_a_failing_iteration_cuts_its_siblings_in_the_order_of_their_indexes() -> None:
    run = Run(scope_of("M", each(asks())), [0, 1, 2])
    assert run.fail("A", "E", "C", scope=(1,)) == run.built(
        (TaskFailed, (1,), "A", {"error": "E", "cause": "C"}),
        (MapIterationAborted, (0,), "M"),
        (StateAborted, (0,), "A"),
        (MapIterationAborted, (2,), "M"),
        (StateAborted, (2,), "A"),
        (StateAborted, (1,), "A"),
        (MapIterationFailed, (1,), "M", {"error": "E", "cause": "C"}),
        (MapFailed, (), "M", {"error": "E", "cause": "C"}),
        (ExecutionFailed, (), "", {"error": "E", "cause": "C"}),
    )


def test_iterations_that_ended_or_never_started_are_not_cut() -> None:
    run = Run(scope_of("M", each(asks(), MaxConcurrency=2)), [0, 1, 2, 3])
    run.complete("A", 0, scope=(0,))
    assert told(run.fail("A", "E", scope=(1,))) == [
        ("TaskFailed", (1,), "A"),
        ("MapIterationAborted", (2,), "M"),
        ("StateAborted", (2,), "A"),
        ("StateAborted", (1,), "A"),
        ("MapIterationFailed", (1,), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_fail_state_in_an_iteration() -> None:
    """Recorded: test_map_state_catch: FailStateEntered, MapIterationFailed, MapStateFailed, MapStateExited."""
    caught = each(scope_of("F", {"Type": "Fail", "Error": "E"}), Catch=[{"ErrorEquals": ["E"], "Next": "H"}])
    run = Run(machine("M", {"M": caught, "H": HANDLED}), [1])
    assert told(run.events)[2:] == [
        ("MapStarted", (), "M"),
        ("MapIterationStarted", (0,), "M"),
        ("StateEntered", (0,), "F"),
        ("MapIterationFailed", (0,), "M"),
        ("MapFailed", (), "M"),
        ("StateExited", (), "M"),
        ("StateEntered", (), "H"),
        ("StateExited", (), "H"),
        ("ExecutionSucceeded", (), ""),
    ]


def test_a_retry_of_the_map_starts_all_over_without_telling_a_failure() -> None:
    """Recorded: test_map_state_retry: MapIterationFailed, then MapStateStarted again."""
    run = Run(scope_of("M", each(asks(), Retry=[{"ErrorEquals": ["E"]}])), [0, 1])
    old = run.task("A", (0,))
    run.complete("A", "first", scope=(1,))
    assert (
        run.fail("A", "E", scope=(0,), now=500)[-2:]
        == run.built(
            (TaskFailed, (0,), "A"),
            (StateAborted, (0,), "A"),
            (MapIterationFailed, (0,), "M", {"error": "E"}),
            (RetryScheduled, (), "M", {"attempt": 1, "retrier": 0, "error": "E", "due": 1_500}),
        )[-2:]
    )
    assert run.fire("retry", "M")[:3] == run.built(
        (MapStarted, (), "M", started(2, attempt=1)),
        (MapIterationStarted, (0,), "M"),
        (MapIterationStarted, (1,), "M"),
    )
    assert run.refused(CompleteTask.of(old, 1)) == "TaskNotPending"
    run.complete("A", "a", scope=(0,))
    run.complete("A", "b", scope=(1,))
    assert run.execution.output == ["a", "b"]


def test_a_failure_within_an_iteration_can_be_caught_there() -> None:
    inside = machine("A", {"A": task("A", Catch=[{"ErrorEquals": ["E"], "Next": "H"}]), "H": HANDLED})
    run = Run(scope_of("M", each(inside)), [0, 1])
    run.fail("A", "E", scope=(0,))
    run.complete("A", 1, scope=(1,))
    assert run.execution.output == [{"Error": "E", "Cause": None}, 1]


def test_a_runtime_error_in_an_iteration_fails_the_execution_at_once() -> None:
    breaks = scope_of("A", {"Type": "Pass", "InputPath": "$.no", "End": True})
    run = Run(scope_of("M", each(breaks)), [0, 1])
    assert told(run.events)[-2:] == [("StateEntered", (0,), "A"), ("ExecutionFailed", (), "")]


@pytest.mark.parametrize(
    ("fields", "input", "cause"),
    [
        ({}, {"a": 1}, 'Reference path "$" must point to array.'),
        ({"ItemsPath": "$.a"}, {"a": 1}, 'Reference path "$.a" must point to array.'),
        ({"ItemsPath": "$.no"}, {"a": 1}, "Invalid path '$.no' : No results for path: $['no']"),
        (
            {"ItemsPath": "$.l", "MaxConcurrencyPath": "$.a"},
            {"a": "x", "l": []},
            'The MaxConcurrencyPath field refers to value "x" which is not a valid integer: $.a',
        ),
    ],
)
def test_a_map_that_cannot_start_fails_the_execution(fields: dict[str, Any], input: Any, cause: str) -> None:
    run = Run(scope_of("M", each(asks(), **fields)), input)
    assert told(run.events)[1:] == [("StateEntered", (), "M"), ("ExecutionFailed", (), "")]
    said = run.execution.cause
    assert said is not None
    assert said.startswith("An error occurred while executing the state 'M' (entered at the event id #2). ")
    assert cause in said


def test_items_that_take_more_than_a_state_may_hold_fail_the_map() -> None:
    """A path may name a value many times: here every level of a deep input with all that is below it."""
    deep: Any = "x" * 2000
    for _ in range(200):
        deep = [deep]
    run = Run(scope_of("M", each(asks(), ItemsPath="$..*")), deep)
    assert told(begun(run)) == [("StateEntered", (), "M"), ("MapFailed", (), "M"), ("ExecutionFailed", (), "")]
    assert run.execution.error == "States.DataLimitExceeded"


def test_a_selector_whose_input_is_too_large_cuts_what_runs() -> None:
    """The container's own failure while children run: they are cut first."""
    selector = {"v.$": "$$.Map.Item.Value", "w.$": "$$.Map.Item.Value"}
    run = Run(scope_of("M", each(asks(), ItemSelector=selector, MaxConcurrency=2)), ["a", "b", "x" * 140_000])
    assert told(run.complete("A", 1, scope=(0,)))[3:] == [
        ("MapIterationAborted", (1,), "M"),
        ("StateAborted", (1,), "A"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.execution.error == "States.DataLimitExceeded"


def test_a_selector_that_finds_nothing_fails_the_execution() -> None:
    run = Run(scope_of("M", each(asks(), ItemSelector={"x.$": "$$.Map.Item.Value.no"})), [{"no": 1}, {}])
    assert told(run.events)[-2:] == [("MapIterationStarted", (0,), "M"), ("ExecutionFailed", (), "")]


def test_a_joined_result_over_the_limit_fails_the_map() -> None:
    run = Run(scope_of("M", each(asks())), [0, 1])
    run.complete("A", "x" * 140_000, scope=(0,))
    assert told(run.complete("A", "x" * 140_000, scope=(1,)))[2:] == [
        ("MapIterationSucceeded", (1,), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_result_that_cannot_be_placed_can_be_caught() -> None:
    caught = each(asks(), ItemsPath="$.l", ResultPath="$.l.x", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "H"}])
    run = Run(machine("M", {"M": caught, "H": HANDLED}), {"l": [0]})
    assert told(run.complete("A", 1))[2:6] == [
        ("MapIterationSucceeded", (0,), "M"),
        ("MapSucceeded", (), "M"),
        ("MapFailed", (), "M"),
        ("StateExited", (), "M"),
    ]


# ---- nested


def test_a_nested_map_reads_the_innermost_item() -> None:
    inside = {"Type": "Pass", "Parameters": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}, "End": True}
    run = Run(scope_of("M", each(scope_of("N", each(scope_of("A", inside))))), [["x", "y"], []])
    assert run.execution.output == [[{"i": 0, "v": "x"}, {"i": 1, "v": "y"}], []]
    assert [row for row in told(run.events) if row[0] == "MapIterationSucceeded"] == [
        ("MapIterationSucceeded", (0, 0), "N"),
        ("MapIterationSucceeded", (0, 1), "N"),
        ("MapIterationSucceeded", (0,), "M"),
        ("MapIterationSucceeded", (1,), "M"),
    ]


def test_a_failure_goes_up_through_nested_maps() -> None:
    run = Run(scope_of("M", each(scope_of("N", each(asks())))), [[0, 1], [2]])
    assert told(run.fail("A", "E", scope=(0, 1))) == [
        ("TaskFailed", (0, 1), "A"),
        ("MapIterationAborted", (0, 0), "N"),
        ("StateAborted", (0, 0), "A"),
        ("StateAborted", (0, 1), "A"),
        ("MapIterationFailed", (0, 1), "N"),
        ("MapFailed", (0,), "N"),
        ("MapIterationAborted", (1,), "M"),
        ("MapIterationAborted", (1, 0), "N"),
        ("StateAborted", (1, 0), "A"),
        ("StateAborted", (1,), "N"),
        ("MapIterationFailed", (0,), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_parallel_in_a_map_in_a_parallel() -> None:
    inner = {"Type": "Parallel", "Branches": [asks("A"), scope_of("B", HANDLED)], "End": True}
    outer = {"Type": "Parallel", "Branches": [scope_of("M", each(scope_of("Q", inner))), asks("C")], "End": True}
    run = Run(scope_of("P", outer), [1, 2])
    run.complete("A", "a2", scope=(0, 1, 0))
    run.complete("C", "c")
    run.complete("A", "a1", scope=(0, 0, 0))
    assert run.execution.output == [[["a1", 1], ["a2", 2]], "c"]

    again = Run(scope_of("P", outer), [1, 2])
    assert told(again.fail("A", "E", scope=(0, 1, 0))) == [
        ("TaskFailed", (0, 1, 0), "A"),
        ("StateAborted", (0, 1, 0), "A"),
        ("ParallelFailed", (0, 1), "Q"),
        ("MapIterationAborted", (0, 0), "M"),
        ("StateAborted", (0, 0, 0), "A"),
        ("StateAborted", (0, 0), "Q"),
        ("MapIterationFailed", (0, 1), "M"),
        ("MapFailed", (0,), "M"),
        ("StateAborted", (1,), "C"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]


def test_counters_of_a_map_follow_its_iterations() -> None:
    run = Run(scope_of("M", each(asks(), MaxConcurrency=2)), [0, 1, 2])
    run.complete("A", "r", scope=(0,))
    children = run.execution.scopes[()].children
    assert isinstance(children, Iterations)
    assert (children.next_index, children.running, dict(children.results)) == (3, 2, {0: "r"})
    assert (children.result_bytes, children.started, children.has_work) == (3, 3, False)


def test_each_item_draws_its_own_random_values() -> None:
    """Also where the items are alike: the place of a draw is the index."""
    selector = {"id.$": "States.UUID()"}
    run = Run(scope_of("M", each(scope_of("A", HANDLED), ItemSelector=selector)), [7, 7])
    first, second = [event.input for event in run.events if isinstance(event, MapIterationStarted)]
    assert run.execution.output == [first, second]
    assert first != second
