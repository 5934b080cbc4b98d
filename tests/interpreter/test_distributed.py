"""Distributed Map: its run's events, what fails in it, what its children see.

Recorded: histories of test_map_state_config_distributed_*, test_map_item_reader_*, test_map_state_tolerated_failure_*.
Documented: AWS Developer Guide, "Using Map state in Distributed mode". The rest is by analogy and says so.
"""

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
    MapRunAborted,
    MapRunFailed,
    MapRunStarted,
    MapRunSucceeded,
    MapStarted,
    MapSucceeded,
    ParallelFailed,
    RetryScheduled,
    StateAborted,
    StateEntered,
    StateExited,
    TaskFailed,
    TaskScheduled,
    TaskSucceeded,
)
from processor.interpreter.history import render_history
from tests.interpreter.scenario import Run, begun, machine, scope_of, task, told

HANDLED: dict[str, Any] = {"Type": "Pass", "End": True}
EXCEEDED = {
    "error": "States.ExceedToleratedFailureThreshold",
    "cause": "The specified tolerated failure threshold was exceeded",
}
MAP_RUN = {"map_run": "local/L:b54668b4-1990-4fa6-9386-a57311138a2b"}
ARN = "arn:aws:states:us-east-1:111111111111"


def distributed(processor: dict[str, Any], execution_type: str = "STANDARD", **fields: Any) -> dict[str, Any]:
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": execution_type}}
    leads = {} if "Next" in fields else {"End": True}
    return {"Type": "Map", "ItemProcessor": processor | config, "Label": "L", **leads, **fields}


def asks(name: str = "A", **fields: Any) -> dict[str, Any]:
    return scope_of(name, task(name, **fields))


def passes(**fields: Any) -> dict[str, Any]:
    return scope_of("A", {"Type": "Pass", "End": True, **fields})


def fails(error: str = "E") -> dict[str, Any]:
    return scope_of("A", {"Type": "Fail", "Error": error, "Cause": "C"})


def started(length: int, **fields: Any) -> dict[str, Any]:
    return {"length": length, "mode": "DISTRIBUTED", "first": "A", "max_concurrency": 1000, **fields}


def asked(arguments: Any) -> dict[str, Any]:
    return {"kind": "LAMBDA", "resource": "a", "arguments": arguments}


def typed(run: Run) -> list[tuple[int, Any, Any]]:
    """Return id, type and previousEventId of the rendered history."""
    return [(int(str(e["id"])), e["type"], e["previousEventId"]) for e in render_history(run.events)]


# ---- the run


def test_its_run_starts_and_ends_around_its_iterations() -> None:
    run = Run(scope_of("M", distributed(asks())), ["x", "y"])
    assert begun(run) == run.built(
        (StateEntered, (), "M", {"type": "Map"}),
        (MapStarted, (), "M", started(2)),
        (MapRunStarted, (), "M", MAP_RUN),
        (MapIterationStarted, (0,), "M"),
        (MapIterationStarted, (1,), "M"),
        (StateEntered, (0,), "A", {"type": "Task"}),
        (TaskScheduled, (0,), "A", asked("x")),
        (StateEntered, (1,), "A", {"type": "Task"}),
        (TaskScheduled, (1,), "A", asked("y")),
    )
    run.complete("A", 2, scope=(1,))
    assert run.complete("A", 1, scope=(0,)) == run.built(
        (TaskSucceeded, (0,), "A", {"output": 1}),
        (StateExited, (0,), "A", {"output_of": "RESULT"}),
        (MapIterationSucceeded, (0,), "M"),
        (MapRunSucceeded, (), "M"),
        (MapSucceeded, (), "M"),
        (StateExited, (), "M", {"output_of": "RESULT"}),
        (ExecutionSucceeded, (), "", {"output": [1, 2]}),
    )


def test_its_history_shows_the_run_and_nothing_of_the_children() -> None:
    """Recorded; MapStateExited points at MapRunStarted, MapStateSucceeded at MapRunSucceeded."""
    run = Run(machine("M", {"M": distributed(passes(), Next="H"), "H": HANDLED}), ["x", "y"])
    assert typed(run) == [
        (1, "ExecutionStarted", 0),
        (2, "MapStateEntered", 0),
        (3, "MapStateStarted", 2),
        (4, "MapRunStarted", 3),
        (5, "MapRunSucceeded", 4),
        (6, "MapStateSucceeded", 5),
        (7, "MapStateExited", 4),
        (8, "PassStateEntered", 7),
        (9, "PassStateExited", 8),
        (10, "ExecutionSucceeded", 9),
    ]
    assert render_history(run.events)[3]["mapRunStartedEventDetails"] == {
        "mapRunArn": f"{ARN}:mapRun:{MAP_RUN['map_run']}"
    }


def test_no_items_are_a_run_all_the_same() -> None:
    run = Run(scope_of("M", distributed(passes())), [])
    assert told(run.events)[2:] == [
        ("MapStarted", (), "M"),
        ("MapRunStarted", (), "M"),
        ("MapRunSucceeded", (), "M"),
        ("MapSucceeded", (), "M"),
        ("StateExited", (), "M"),
        ("ExecutionSucceeded", (), ""),
    ]
    assert run.execution.output == []


def test_without_a_label_one_is_made_the_same_for_every_run_of_a_definition() -> None:
    each = distributed(passes())
    del each["Label"]
    runs = [Run(scope_of("M", each), [1], seed=bytes([n] * 16)) for n in range(2)]
    ids = [event.map_run for run in runs for event in run.events if isinstance(event, MapRunStarted)]
    assert [id.partition(":")[0] for id in ids] == ["local/df1c44a1-d3e8-424b-8190-ea42102a5af4"] * 2
    assert len(set(ids)) == 2


def test_by_default_a_thousand_children_run_at_once() -> None:
    """AWS runs 10,000; inside the execution a tenth of them do."""
    for limit in (None, 0, 5000):
        each = distributed(asks()) | ({} if limit is None else {"MaxConcurrency": limit})
        run = Run(scope_of("M", each), [0] * 3)
        event = run.events[2]
        assert isinstance(event, MapStarted)
        assert event.max_concurrency == 1000
    run = Run(scope_of("M", distributed(asks(), MaxConcurrency=2)), [0] * 3)
    assert sum(isinstance(event, MapIterationStarted) for event in run.events) == 2


def test_a_negative_max_concurrency_starts_not_even_the_run() -> None:
    run = Run(scope_of("M", distributed(asks(), ItemsPath="$.l", MaxConcurrencyPath="$.n")), {"l": [1], "n": -1})
    assert told(run.events)[-1:] == [("MapStarted", (), "M")]
    assert run.execution.at_rest


def test_the_members_of_an_object_are_items_with_a_key() -> None:
    """Developer Guide, "ItemReader": Step Functions iterates over "the key-value pairs of a JSON object"."""
    run = Run(scope_of("M", distributed(passes())), {"a": 1, "b": [2]})
    assert run.execution.output == [{"Key": "a", "Value": 1}, {"Key": "b", "Value": [2]}]

    selector = {"k.$": "$$.Map.Item.Key", "v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"}
    selected = Run(
        scope_of("M", distributed(passes(), ItemsPath="$.o", ItemSelector=selector)), {"o": {"a": 1, "b": 2}}
    )
    assert selected.execution.output == [{"k": "a", "v": 1, "i": 0}, {"k": "b", "v": 2, "i": 1}]
    assert begun(selected)[:2] == selected.built(
        (StateEntered, (), "M", {"type": "Map"}),
        (MapStarted, (), "M", started(2, items={"a": 1, "b": 2})),
    )


def test_what_is_neither_array_nor_object_fails_the_execution() -> None:
    run = Run(scope_of("M", distributed(passes(), ItemsPath="$.n")), {"n": 5})
    assert told(run.events)[1:] == [("StateEntered", (), "M"), ("ExecutionFailed", (), "")]
    whole = Run(scope_of("M", distributed(passes())), "text")
    assert whole.execution.error == "States.Runtime"


# ---- failures


def test_a_child_that_fails_fails_the_run_where_none_is_tolerated() -> None:
    """Documented: "The default percentage value is zero"."""
    run = Run(scope_of("M", distributed(asks())), [0, 1, 2])
    assert run.fail("A", "E", "C", scope=(1,)) == run.built(
        (TaskFailed, (1,), "A", {"error": "E", "cause": "C"}),
        (MapIterationFailed, (1,), "M", {"error": "E", "cause": "C"}),
        (MapIterationAborted, (0,), "M"),
        (StateAborted, (0,), "A"),
        (MapIterationAborted, (2,), "M"),
        (StateAborted, (2,), "A"),
        (MapRunFailed, (), "M", EXCEEDED),
        (MapFailed, (), "M", EXCEEDED),
        (ExecutionFailed, (), "", EXCEEDED),
    )
    assert typed(run)[2:] == [
        (3, "MapStateStarted", 2),
        (4, "MapRunStarted", 3),
        (5, "MapRunFailed", 4),
        (6, "MapStateFailed", 5),
        (7, "ExecutionFailed", 6),
    ]


def test_as_many_as_are_tolerated_may_fail_and_are_records_among_the_results() -> None:
    """Documented: "If a child workflow execution fails, Step Functions returns its execution result unchanged"."""
    run = Run(scope_of("M", distributed(asks(), ToleratedFailureCount=1)), ["x", "y"], now=1000)
    run.fail("A", "E", "C", scope=(0,), now=3000)
    run.complete("A", 5, scope=(1,))
    name = "cd0029ca-83e1-4fdf-b4e5-80c898008c38"
    failed = {
        "Cause": "C",
        "Error": "E",
        "ExecutionArn": f"{ARN}:execution:local/L:{name}",
        "Input": '"x"',
        "InputDetails": {"Included": True},
        "Name": name,
        "RedriveCount": 0,
        "RedriveStatus": "REDRIVABLE_BY_MAP_RUN",
        "StartDate": "1970-01-01T00:00:01.000Z",
        "StateMachineArn": f"{ARN}:stateMachine:local/L",
        "Status": "FAILED",
        "StopDate": "1970-01-01T00:00:03.000Z",
    }
    assert run.execution.output == [failed, 5]


@pytest.mark.parametrize(
    ("fields", "tolerated"),
    [
        ({"ToleratedFailureCount": 2}, 2),
        ({"ToleratedFailureCountPath": "$.n"}, 2),
        ({"ToleratedFailureCountPath": "$.none"}, 0),
        ({"ToleratedFailurePercentagePath": "$.none"}, 0),
        ({"ToleratedFailurePercentagePath": "$.all"}, 4),
        ({"ToleratedFailurePercentage": 50}, 2),
        ({"ToleratedFailurePercentage": 49.9}, 1),
        ({"ToleratedFailurePercentagePath": "$.p"}, 3),
        ({"ToleratedFailurePercentagePath": "$.text"}, 2),
        ({"ToleratedFailurePercentage": 100}, 4),
        ({"ToleratedFailureCount": 3, "ToleratedFailurePercentage": 25}, 1),
        ({"ToleratedFailureCount": 0, "ToleratedFailurePercentage": 100}, 0),
    ],
)
def test_what_is_tolerated_by_count_and_percentage(fields: dict[str, Any], tolerated: int) -> None:
    """Documented: "If you specify both values, the workflow fails when it exceeds either value"."""
    input = {"l": [0] * 4, "n": 2, "p": 75, "text": "50", "none": 0, "all": 100}
    run = Run(scope_of("M", distributed(asks(), ItemsPath="$.l", **fields)), input)
    failed = 0
    while run.status == "RUNNING":
        run.fail("A", "E", scope=(failed,))
        failed += 1
    assert (run.status, failed) == (("FAILED", tolerated + 1) if tolerated < 4 else ("SUCCEEDED", 4))


@pytest.mark.parametrize(
    ("fields", "value", "cause"),
    [
        (
            {"ToleratedFailureCountPath": "$.v"},
            {},
            'The ToleratedFailureCountPath field refers to value "{}" which is not a valid integer: $.v',
        ),
        ({"ToleratedFailureCountPath": "$.v"}, -1, "ToleratedFailureCount cannot be negative."),
        (
            {"ToleratedFailurePercentagePath": "$.v"},
            {},
            'The ToleratedFailurePercentagePath field refers to value "{}" which is not a valid float: $.v',
        ),
        ({"ToleratedFailurePercentagePath": "$.v"}, 100.1, "ToleratedFailurePercentage must be between 0 and 100."),
    ],
)
@pytest.mark.parametrize("mode", ["INLINE", "DISTRIBUTED"])
def test_what_is_no_tolerance_fails_the_execution_after_the_map_has_started(
    mode: str, fields: dict[str, Any], value: Any, cause: str
) -> None:
    """Recorded for DISTRIBUTED: MapStateStarted, then ExecutionFailed, and no run."""
    each = distributed(passes(), ItemsPath="$.l", **fields)
    if mode == "INLINE":
        each = {"Type": "Map", "ItemProcessor": passes(), "End": True, "ItemsPath": "$.l", **fields}
    run = Run(scope_of("M", each), {"l": [0], "v": value})
    assert told(run.events)[2:] == [("MapStarted", (), "M"), ("ExecutionFailed", (), "")]
    opening = "An error occurred while executing the state 'M' (entered at the event id #2). "
    assert (run.execution.error, run.execution.cause) == ("States.Runtime", opening + cause)


def test_an_inline_map_evaluates_its_tolerance_and_tolerates_nothing() -> None:
    """Recorded in JSONata: the field is allowed. Documented for the mode DISTRIBUTED alone."""
    each = {"Type": "Map", "ItemProcessor": fails(), "End": True, "ToleratedFailureCount": 5}
    assert Run(scope_of("M", each), [0]).execution.error == "E"


def test_a_runtime_error_fails_its_child_only() -> None:
    """To itself a child is an execution: States.Runtime fails that."""
    breaks = passes(InputPath="$.no")
    run = Run(scope_of("M", distributed(breaks, ToleratedFailureCount=1)), [{"no": 1}, {}])
    assert told(run.events)[-9:] == [
        ("StateEntered", (0,), "A"),
        ("StateExited", (0,), "A"),
        ("MapIterationSucceeded", (0,), "M"),
        ("StateEntered", (1,), "A"),
        ("MapIterationFailed", (1,), "M"),
        ("MapRunSucceeded", (), "M"),
        ("MapSucceeded", (), "M"),
        ("StateExited", (), "M"),
        ("ExecutionSucceeded", (), ""),
    ]


def test_a_runtime_error_deep_in_a_child_cuts_the_rest_of_that_child_first() -> None:
    breaks = machine("W", {"W": {"Type": "Wait", "Seconds": 1, "OutputPath": "$.no", "End": True}})
    inner = {"Type": "Parallel", "Branches": [asks("B"), breaks, scope_of("N", each_asks("C"))], "End": True}
    run = Run(scope_of("M", distributed(scope_of("P", inner), ToleratedFailureCount=1)), [[1], [2]])
    event = run.fire("wait", "W", scope=(0, 1))
    assert told(event) == [
        ("TaskFailed", (0, 1), "W"),
        ("StateAborted", (0, 0), "B"),
        ("MapIterationAborted", (0, 2, 0), "N"),
        ("StateAborted", (0, 2, 0), "C"),
        ("StateAborted", (0, 2), "N"),
        ("MapIterationFailed", (0,), "M"),
    ]
    assert run.status == "RUNNING"
    assert run.refused(CompleteTask.of(run.task("B", (0, 0)), 1)) == "TaskNotPending"


def each_asks(name: str) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": asks(name), "End": True}


def test_a_selector_that_fails_within_a_child_cuts_its_own_iterations() -> None:
    broken = {**each_asks("C"), "ItemSelector": {"x.$": "$$.Map.Item.Value.no"}, "MaxConcurrency": 1}
    run = Run(scope_of("M", distributed(scope_of("N", broken), ToleratedFailureCount=1)), [[{"no": 1}, {}]])
    assert told(run.complete("C", 1))[2:5] == [
        ("MapIterationSucceeded", (0, 0), "N"),
        ("MapIterationFailed", (0,), "M"),
        ("MapRunSucceeded", (), "M"),
    ]
    two = {**broken, "MaxConcurrency": 2}
    run = Run(scope_of("M", distributed(scope_of("N", two), ToleratedFailureCount=1)), [[{"no": 1}, {"no": 2}, {}]])
    assert told(run.complete("C", 1, scope=(0, 0)))[2:6] == [
        ("MapIterationSucceeded", (0, 0), "N"),
        ("MapIterationAborted", (0, 1), "N"),
        ("StateAborted", (0, 1), "C"),
        ("MapIterationFailed", (0,), "M"),
    ]


def test_a_runtime_error_in_a_catch_fails_its_child() -> None:
    caught = asks(Catch=[{"ErrorEquals": ["E"], "ResultPath": "$.a.b", "Next": "H"}])
    caught["States"]["H"] = HANDLED
    run = Run(scope_of("M", distributed(caught, ToleratedFailureCount=1)), [{"a": 1}])
    assert told(run.fail("A", "E"))[:2] == [("TaskFailed", (0,), "A"), ("MapIterationFailed", (0,), "M")]


def test_a_retry_in_a_child_has_no_aws_event_either() -> None:
    run = Run(scope_of("M", distributed(asks(Retry=[{"ErrorEquals": ["E"]}]))), [1])
    run.fail("A", "E")
    run.fire("retry", "A")
    run.complete("A", 2)
    assert [type for _, type, _ in typed(run)][2:-1] == [
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
    ]


def test_a_retry_of_the_map_is_a_new_run() -> None:
    """Documented: "When you retry a Map state, it creates a new Map Run"."""
    each = distributed(asks(), Retry=[{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"]}])
    run = Run(scope_of("M", each), [0])
    assert (
        run.fail("A", "E")[-2:]
        == run.built(
            (TaskFailed, (0,), "A", {"error": "E"}),
            (MapIterationFailed, (0,), "M", {"error": "E"}),
            (MapRunFailed, (), "M", EXCEEDED),
            (RetryScheduled, (), "M", {"attempt": 1, "retrier": 0, "due": 1000, **EXCEEDED}),
        )[-2:]
    )
    assert run.fire("retry", "M")[:2] == run.built(
        (MapStarted, (), "M", started(1, attempt=1)),
        (MapRunStarted, (), "M", {"map_run": "local/L:36ebce69-7ce0-4b87-a0cc-d20aaad856fb"}),
    )
    run.complete("A", 1)
    assert run.execution.output == [1]
    assert typed(run)[4:8] == [
        (5, "MapRunFailed", 4),
        (6, "MapStateStarted", 5),
        (7, "MapRunStarted", 6),
        (8, "MapRunSucceeded", 7),
    ]


def test_a_failed_run_can_be_caught_and_leaves_nothing_behind() -> None:
    each = distributed(asks(), Catch=[{"ErrorEquals": ["States.ALL"], "Next": "H"}], ToleratedFailureCount=1)
    run = Run(machine("M", {"M": each, "H": task("H")}), [0, 1, 2])
    run.fail("A", "E", scope=(2,))
    run.fail("A", "E", scope=(0,))
    assert set(run.execution.scopes) == {()}
    run.complete("H", 1)
    assert run.status == "SUCCEEDED"


def test_a_selector_that_finds_nothing_ends_the_run_and_fails_the_execution() -> None:
    """By analogy with what is recorded of a reader that fails: a run that has started ends."""
    selector = {"x.$": "$$.Map.Item.Value.no"}
    run = Run(scope_of("M", distributed(asks(), ItemSelector=selector)), [{"no": 1}, {}])
    assert told(run.events)[3:] == [
        ("MapRunStarted", (), "M"),
        ("MapIterationStarted", (0,), "M"),
        ("MapIterationAborted", (0,), "M"),
        ("MapRunFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.execution.error == "States.Runtime"


def test_results_over_the_limit_fail_the_map_after_its_run() -> None:
    """Documented: States.DataLimitExceeded where "the returned output size exceeds 256 KiB"."""
    run = Run(scope_of("M", distributed(asks())), [0, 1])
    run.complete("A", "x" * 140_000, scope=(0,))
    assert told(run.complete("A", "x" * 140_000, scope=(1,)))[2:] == [
        ("MapIterationSucceeded", (1,), "M"),
        ("MapRunSucceeded", (), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.execution.error == "States.DataLimitExceeded"


def test_a_run_that_is_cut_with_its_map_is_aborted() -> None:
    """By analogy: MapRunAborted is what AWS has for a run whose Map does not go on."""
    outer = {"Type": "Parallel", "Branches": [scope_of("M", distributed(asks())), asks("C")], "End": True}
    run = Run(scope_of("P", outer), [1])
    assert run.fail("C", "E") == run.built(
        (TaskFailed, (1,), "C", {"error": "E"}),
        (MapIterationAborted, (0, 0), "M"),
        (StateAborted, (0, 0), "A"),
        (MapRunAborted, (0,), "M"),
        (StateAborted, (0,), "M"),
        (StateAborted, (1,), "C"),
        (ParallelFailed, (), "P", {"error": "E"}),
        (ExecutionFailed, (), "", {"error": "E"}),
    )


def test_distributed_maps_nest() -> None:
    inner = scope_of("N", distributed(asks(), Label="I"))
    run = Run(scope_of("M", distributed(inner)), [["x"], ["y", "z"]])
    for scope, output in (((0, 0), 1), ((1, 1), 3), ((1, 0), 2)):
        run.complete("A", output, scope=scope)
    assert run.execution.output == [[1], [2, 3]]
    assert [type for _, type, _ in typed(run)][3:6] == ["MapRunStarted", "MapRunSucceeded", "MapStateSucceeded"]
