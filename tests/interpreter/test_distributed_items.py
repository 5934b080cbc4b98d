"""Distributed Map: items that a reader brings, batches, what becomes of the results, what children see.

Recorded: histories of test_map_item_reader_*, test_reference_in_map_state_max_items_path. Documented: AWS Developer
Guide, "ItemReader", "ItemBatcher", "ResultWriter", "Context object". The rest is by analogy and says so.
"""

from __future__ import annotations

from typing import Any

import pytest

from processor import (
    CompleteTask,
    ExecutionFailed,
    ExecutionSucceeded,
    MapFailed,
    MapIterationStarted,
    MapRunFailed,
    MapRunStarted,
    MapRunSucceeded,
    MapStarted,
    MapSucceeded,
    Rejected,
    StateEntered,
    StateExited,
    SubmitTask,
    TaskFailed,
    TaskScheduled,
    TaskSubmitted,
    TaskSucceeded,
)
from tests.interpreter.scenario import Run, begun, machine, scope_of, told
from tests.interpreter.test_distributed import ARN, MAP_RUN, asks, distributed, passes, started, typed

READ = "arn:aws:states:::s3:getObject"
LISTING = "listObjectsV2"
WRITE = "arn:aws:states:::s3:putObject"
PLACE = {"Bucket.$": "$.b", "Key": "k.json"}


def reads(resource: str = READ, parameters: Any = PLACE, **config: Any) -> dict[str, Any]:
    return {"Resource": resource, "Parameters": parameters, "ReaderConfig": {"InputType": "JSON", **config}}


def asked_to_read(**config: Any) -> dict[str, Any]:
    arguments = {"Parameters": {"Bucket": "in", "Key": "k.json"}, "ReaderConfig": {"InputType": "JSON", **config}}
    return {"kind": "ITEM_READER", "resource_type": "s3", "resource": "getObject", "arguments": arguments}


def page(number: int, items: Any) -> dict[str, Any]:
    return {"Page": number, "Items": items}


# ---- ItemReader


def test_a_reader_is_asked_after_the_run_has_started_and_its_pages_are_the_items() -> None:
    """Recorded: MapStateStarted has the length 0."""
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads())), {"b": "in"})
    assert begun(run) == run.built(
        (StateEntered, (), "M", {"type": "Map"}),
        (MapStarted, (), "M", started(0, items=[])),
        (MapRunStarted, (), "M", MAP_RUN),
        (TaskScheduled, (), "M", asked_to_read(MaxItems=0)),
    )
    assert run.submit("M", page(0, [1, 2])) == run.built((TaskSubmitted, (), "M", {"output": [1, 2]}))
    assert run.submit("M", page(1, [])) == run.built((TaskSubmitted, (), "M", {"output": []}))
    assert told(run.complete("M", page(2, ["three"]))) == [
        ("TaskSucceeded", (), "M"),
        ("MapIterationStarted", (0,), "M"),
        ("MapIterationStarted", (1,), "M"),
        ("MapIterationStarted", (2,), "M"),
        *[
            step
            for i in range(3)
            for step in (("StateEntered", (i,), "A"), ("StateExited", (i,), "A"), ("MapIterationSucceeded", (i,), "M"))
        ],
        ("MapRunSucceeded", (), "M"),
        ("MapSucceeded", (), "M"),
        ("StateExited", (), "M"),
        ("ExecutionSucceeded", (), ""),
    ]
    assert run.execution.output == [1, 2, "three"]
    assert typed(run)[2:] == [
        (3, "MapStateStarted", 2),
        (4, "MapRunStarted", 3),
        (5, "MapRunSucceeded", 4),
        (6, "MapStateSucceeded", 5),
        (7, "MapStateExited", 4),
        (8, "ExecutionSucceeded", 7),
    ]


def test_pages_may_be_objects_whose_members_have_keys() -> None:
    selector = {"k.$": "$$.Map.Item.Key", "v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"}
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads(), ItemSelector=selector)), {"b": "in"})
    run.submit("M", page(0, {"a": 1}))
    run.complete("M", page(1, {"b": 2}))
    assert run.execution.output == [{"k": "a", "v": 1, "i": 0}, {"k": "b", "v": 2, "i": 1}]
    plain = Run(scope_of("M", distributed(passes(), ItemReader=reads())), {"b": "in"})
    plain.complete("M", page(0, {"a": 1}))
    assert plain.execution.output == [{"Key": "a", "Value": 1}]


@pytest.mark.parametrize(
    ("resource", "parameters", "source"),
    [
        (READ, {"Bucket": "in", "Key": "a/k.json"}, "S3://in/a/k.json"),
        ("arn:aws-cn:states:::s3:listObjectsV2", {"Bucket": "in", "Prefix": "a/"}, "S3://in"),
    ],
)
def test_items_know_where_they_were_read(resource: str, parameters: Any, source: str) -> None:
    """Documented: the S3 URI of the object, of a listing that of the bucket."""
    each = distributed(passes(), ItemReader=reads(resource, parameters), ItemSelector={"s.$": "$$.Map.Item.Source"})
    run = Run(scope_of("M", each), {})
    run.complete("M", [1])
    assert run.execution.output == [{"s": source}]


def test_a_reader_without_parameters_asks_with_none() -> None:
    """What that means is the executor's to say."""
    run = Run(scope_of("M", distributed(passes(), ItemReader={"Resource": READ.replace("getObject", LISTING)})), {})
    assert run.task("M").arguments == {"Parameters": {}, "ReaderConfig": {"MaxItems": 0}}


def test_items_of_the_input_are_state_data() -> None:
    """Documented for both modes."""
    inline = {"Type": "Map", "ItemProcessor": passes(), "End": True}
    for each in (inline, distributed(passes())):
        run = Run(scope_of("M", {**each, "ItemSelector": {"s.$": "$$.Map.Item.Source"}}), [1])
        assert run.execution.output == [{"s": "STATE_DATA"}]


def test_a_reader_leaves_items_path_alone() -> None:
    """Recorded: an ItemsPath that is not there, neither in the input nor in the object, does not matter."""
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads(), ItemsPath="$.no")), {"b": "in"})
    run.complete("M", [["x"]])
    assert run.execution.output == [["x"]]


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"MaxItems": 2}, 2),
        ({"MaxItems": 0}, 0),
        ({"MaxItems": 100_000_000}, 100_000_000),
        ({"MaxItemsPath": "$.n"}, 3),
        ({"MaxItemsPath": "$.many"}, 100_000_000),
        ({"MaxItemsPath": "$.text"}, 2),
    ],
)
def test_a_reader_is_told_how_many_items_to_read(config: dict[str, Any], limit: int) -> None:
    """Recorded: 0 stands for all of them, and a string of digits will do."""
    input = {"b": "in", "n": 3, "many": 10**12, "text": "2"}
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads(**config))), input)
    assert run.task("M").arguments == asked_to_read(MaxItems=limit)["arguments"]


def test_a_negative_max_items_fails_the_run() -> None:
    """Recorded: test_map_item_reader_csv_max_items_paths[-1]; the cause has no opening."""
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads(MaxItemsPath="$.n"))), {"b": "in", "n": -1})
    failure = {"error": "States.ItemReaderFailed", "cause": "field MaxItems must be positive"}
    assert (
        begun(run)[2:]
        == run.built(
            (StateEntered, (), "M", {"type": "Map"}),
            (MapStarted, (), "M", started(0, items=[])),
            (MapRunStarted, (), "M", MAP_RUN),
            (MapRunFailed, (), "M", failure),
            (MapFailed, (), "M", failure),
            (ExecutionFailed, (), "", failure),
        )[2:]
    )


@pytest.mark.parametrize(
    ("fields", "input", "cause"),
    [
        (
            {"ItemReader": reads(MaxItemsPath="$.n")},
            {"b": "in", "n": 1.5},
            'The MaxItemsPath field refers to value "1.5" which is not a valid integer: $.n',
        ),
        (
            {"ItemReader": reads()},
            {},
            "The JSONPath '$.b' specified for the field 'Bucket.$' could not be found",
        ),
        (
            {"ItemBatcher": {"MaxItemsPerBatchPath": "$.n"}, "ItemsPath": "$.l"},
            {"n": "x", "l": []},
            'The MaxItemsPerBatchPath field refers to value "x" which is not a valid integer: $.n',
        ),
        (
            {"ItemBatcher": {"MaxInputBytesPerBatchPath": "$.n"}, "ItemsPath": "$.l"},
            {"n": -1, "l": []},
            'The MaxInputBytesPerBatchPath field refers to value "-1" which is not between 0 and 262144: $.n',
        ),
    ],
)
def test_what_is_evaluated_once_fails_before_the_run_starts(fields: dict[str, Any], input: Any, cause: str) -> None:
    """Recorded for MaxItemsPath: MapStateStarted, then ExecutionFailed. The others by analogy."""
    run = Run(scope_of("M", distributed(passes(), **fields)), input)
    assert told(run.events)[2:] == [("MapStarted", (), "M"), ("ExecutionFailed", (), "")]
    opening = "An error occurred while executing the state 'M' (entered at the event id #2). "
    assert run.execution.cause is not None
    assert run.execution.cause.startswith(opening + cause)


def test_a_reader_that_fails_fails_the_run_and_can_be_retried_and_caught() -> None:
    failed = ["States.ItemReaderFailed"]
    handlers = {"Retry": [{"ErrorEquals": failed, "MaxAttempts": 1}], "Catch": [{"ErrorEquals": failed, "Next": "H"}]}
    each = distributed(passes(), ItemReader=reads()) | handlers
    run = Run(machine("M", {"M": each, "H": {"Type": "Pass", "End": True}}), {"b": "in"})
    old = run.task("M")
    assert told(run.fail("M", None, "gone")) == [
        ("TaskFailed", (), "M"),
        ("MapRunFailed", (), "M"),
        ("RetryScheduled", (), "M"),
    ]
    assert run.events[-3].__class__ is TaskFailed
    run.fire("retry", "M")
    assert run.refused(CompleteTask.of(old, [])) == "TaskNotPending"
    run.fail("M", None, "gone again")
    assert run.execution.output == {"Error": "States.ItemReaderFailed", "Cause": "gone again"}
    assert typed(run)[2:-3] == [
        (3, "MapStateStarted", 2),
        (4, "MapRunStarted", 3),
        (5, "MapRunFailed", 4),
        (6, "MapStateStarted", 5),
        (7, "MapRunStarted", 6),
        (8, "MapRunFailed", 7),
        (9, "MapStateFailed", 8),
        (10, "MapStateExited", 9),
    ]


@pytest.mark.parametrize(
    "output",
    ["text", None, {"a": 1}, {"Page": 0, "Items": 5}, {"Page": 0, "Items": [], "x": 1}, {"Page": 1, "Items": []}],
)
def test_what_is_no_page_is_refused(output: Any) -> None:
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads())), {"b": "in"})
    assert run.refused(SubmitTask.of(run.task("M"), output)) == "InvalidCommand"
    assert run.refused(CompleteTask.of(run.task("M"), output)) == "InvalidCommand"
    run.complete("M", [1])
    assert run.execution.output == [1]


def test_a_page_counts_once_however_often_it_is_brought() -> None:
    """An executor that died is run again, from the first page on."""
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads())), {"b": "in"})
    run.submit("M", page(0, [1]))
    run.submit("M", page(1, [2]))
    assert run.refused(SubmitTask.of(run.task("M"), page(0, [1]))) == "TaskNotPending"
    assert run.refused(CompleteTask.of(run.task("M"), page(1, [2]))) == "TaskNotPending"
    assert isinstance(run.outcome, Rejected)
    assert run.outcome.detail == f"page 1 of the task of token {run.task('M').execution_id}##4 was brought before"
    assert run.refused(SubmitTask.of(run.task("M"), page(3, [4]))) == "InvalidCommand"
    assert run.outcome.detail == "output: must be page 2, the next one, got 3"
    assert run.refused(CompleteTask.of(run.task("M"), [1, 2, 3])) == "InvalidCommand"
    run.complete("M", page(2, [3]))
    assert run.execution.output == [1, 2, 3]


def test_a_page_that_is_too_large_fails_the_run() -> None:
    run = Run(scope_of("M", distributed(passes(), ItemReader=reads())), {"b": "in"})
    assert told(run.submit("M", page(0, ["x" * 300_000]))) == [
        ("TaskFailed", (), "M"),
        ("MapRunFailed", (), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.execution.error == "States.DataLimitExceeded"


def test_items_that_are_read_wait_for_a_slot() -> None:
    each = distributed(asks(), ItemReader=reads(), MaxConcurrencyPath="$.n")
    run = Run(scope_of("M", each), {"b": "in", "n": 1})
    assert told(run.complete("M", ["x", "y"]))[1:3] == [("MapIterationStarted", (0,), "M"), ("StateEntered", (0,), "A")]
    none = Run(scope_of("M", each), {"b": "in", "n": -1})
    assert told(none.complete("M", ["x"])) == [("TaskSucceeded", (), "M")]


# ---- ItemBatcher


def test_items_go_to_children_in_batches() -> None:
    """Documented: the items of a batch stand in the array Items, the batch's own input in BatchInput."""
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"all.$": "$.k", "c": 1}}
    run = Run(scope_of("M", distributed(passes(), ItemsPath="$.l", ItemBatcher=batcher)), {"l": [1, 2, 3], "k": "x"})
    assert (
        begun(run)[3:5]
        == run.built(
            (StateEntered, (), "M", {"type": "Map"}),
            (MapStarted, (), "M", started(3, items=[1, 2, 3])),
            (MapRunStarted, (), "M", MAP_RUN),
            (
                MapIterationStarted,
                (0,),
                "M",
                {"has_input": True, "items": 2, "input": {"BatchInput": {"all": "x", "c": 1}, "Items": [1, 2]}},
            ),
            (
                MapIterationStarted,
                (1,),
                "M",
                {"has_input": True, "items": 1, "input": {"BatchInput": {"all": "x", "c": 1}, "Items": [3]}},
            ),
        )[3:5]
    )
    assert run.execution.output == [
        {"BatchInput": {"all": "x", "c": 1}, "Items": [1, 2]},
        {"BatchInput": {"all": "x", "c": 1}, "Items": [3]},
    ]


def test_a_batch_holds_selected_items_each_with_its_own_index() -> None:
    selector = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}
    each = distributed(passes(), ItemSelector=selector, ItemBatcher={"MaxItemsPerBatchPath": "$[0]"})
    run = Run(scope_of("M", each), [2, "b", "c"])
    assert run.execution.output == [{"Items": [{"i": 0, "v": 2}, {"i": 1, "v": "b"}]}, {"Items": [{"i": 2, "v": "c"}]}]


@pytest.mark.parametrize(
    ("batcher", "sizes"),
    [
        ({"MaxInputBytesPerBatch": 18}, [1] * 5),  # {"Items":["a","b"]} has 19 bytes
        ({"MaxInputBytesPerBatch": 19}, [2, 2, 1]),
        ({"MaxInputBytesPerBatch": 22}, [2, 2, 1]),
        ({"MaxInputBytesPerBatch": 23}, [3, 2]),
        ({"MaxInputBytesPerBatch": 23, "MaxItemsPerBatch": 1}, [1] * 5),
        ({"MaxInputBytesPerBatch": 1}, [1] * 5),
        ({"MaxItemsPerBatch": 0}, [5]),
        ({"MaxItemsPerBatch": 0, "MaxInputBytesPerBatch": 23}, [3, 2]),
        ({"MaxItemsPerBatch": 2, "MaxInputBytesPerBatch": 0}, [2, 2, 1]),
        ({"MaxInputBytesPerBatch": 33, "BatchInput": 7}, [1] * 5),  # {"BatchInput":7,"Items":["a","b"]} has 34
        ({"MaxInputBytesPerBatch": 34, "BatchInput": 7}, [2, 2, 1]),
        ({"MaxItemsPerBatch": 9}, [5]),
    ],
)
def test_a_batch_is_no_longer_than_its_bytes_allow_and_never_empty(batcher: dict[str, Any], sizes: list[int]) -> None:
    run = Run(scope_of("M", distributed(passes(), ItemBatcher=batcher)), ["a", "b", "c", "d", "e"])
    assert [event.items for event in run.events if isinstance(event, MapIterationStarted)] == sizes


def test_a_batch_stays_within_what_a_state_may_hold() -> None:
    """Whatever MaxItemsPerBatch says; an item that alone is too much fails the Map."""
    each = distributed(passes(), ItemReader=reads(), ItemBatcher={"MaxItemsPerBatch": 100}, ResultPath=None)
    run = Run(scope_of("M", each), {"b": "in"})
    run.submit("M", page(0, ["x" * 200_000]))
    run.complete("M", page(1, ["y" * 100_000]))
    assert [event.items for event in run.events if isinstance(event, MapIterationStarted)] == [1, 1]

    large = distributed(passes(), ItemReader=reads(), ItemBatcher={"MaxItemsPerBatch": 1, "BatchInput": "z" * 1000})
    run = Run(scope_of("M", large), {"b": "in"})
    run.complete("M", ["x" * 261_600])
    assert run.execution.error == "States.DataLimitExceeded"


def test_all_items_of_a_batch_that_fails_have_failed() -> None:
    """Documented: the tolerance is of "failed items"."""
    each = distributed(asks(), ItemBatcher={"MaxItemsPerBatch": 2}, ToleratedFailureCount=2, MaxConcurrency=1)
    run = Run(scope_of("M", each), [1, 2, 3, 4, 5])
    run.fail("A", "E", scope=(0,))
    assert run.status == "RUNNING"
    run.complete("A", 1, scope=(1,))
    run.fail("A", "E", scope=(2,))
    assert run.execution.error == "States.ExceedToleratedFailureThreshold"


# ---- ResultWriter


def test_a_writer_is_asked_with_the_records_and_gives_the_result() -> None:
    """Documented: without WriterConfig the children's records are exported, unchanged."""
    writer = {"Resource": WRITE, "Parameters": {"Bucket": "out", "Prefix.$": "$.p"}}
    each = distributed(asks(), ItemsPath="$.l", ResultWriter=writer, ToleratedFailureCount=1)
    run = Run(scope_of("M", each), {"l": ["x", "y"], "p": "jobs"}, now=1000)
    run.complete("A", [5], scope=(1,), now=2000)
    asked = run.fail("A", "E", scope=(0,), now=3000)
    names = ["cd0029ca-83e1-4fdf-b4e5-80c898008c38", "ad6e2a01-adbb-4de7-8735-22c1aac6093c"]
    about = [
        {
            "ExecutionArn": f"{ARN}:execution:local/L:{name}",
            "Input": f'"{item}"',
            "InputDetails": {"Included": True},
            "Name": name,
            "RedriveCount": 0,
            "StartDate": "1970-01-01T00:00:01.000Z",
            "StateMachineArn": f"{ARN}:stateMachine:local/L",
        }
        for name, item in zip(names, "xy", strict=True)
    ]
    failed = {
        "Error": "E",
        "RedriveStatus": "REDRIVABLE_BY_MAP_RUN",
        "Status": "FAILED",
        "StopDate": "1970-01-01T00:00:03.000Z",
    }
    succeeded = {
        "Output": "[5]",
        "OutputDetails": {"Included": True},
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "Status": "SUCCEEDED",
        "StopDate": "1970-01-01T00:00:02.000Z",
    }
    arguments = {
        "Parameters": {"Bucket": "out", "Prefix": "jobs"},
        "WriterConfig": {"Transformation": "NONE", "OutputType": "JSON"},
        "MapRunArn": f"{ARN}:mapRun:{MAP_RUN['map_run']}",
        "Results": {"SUCCEEDED": [about[1] | succeeded], "FAILED": [about[0] | failed]},
    }
    request = {"kind": "RESULT_WRITER", "resource_type": "s3", "resource": "putObject", "arguments": arguments}
    assert asked[2:] == run.built(*[(TaskScheduled, (), "M", request)] * 3)[2:]
    result = {"MapRunArn": "arn", "ResultWriterDetails": {"Bucket": "out", "Key": "jobs/manifest.json"}}
    assert run.complete("M", result) == run.built(
        (TaskSucceeded, (), "M", {"output": result}),
        (MapRunSucceeded, (), "M"),
        (MapSucceeded, (), "M", {"has_output": True, "output": result}),
        (StateExited, (), "M", {"output_of": "RESULT"}),
        (ExecutionSucceeded, (), "", {"output": result}),
    )


def test_a_writer_that_fails_fails_the_run() -> None:
    writer = {"Resource": WRITE, "Parameters": {"Bucket": "out"}, "WriterConfig": {"Transformation": "COMPACT"}}
    run = Run(scope_of("M", distributed(passes(), ResultWriter=writer)), ["x"])
    asked = run.task("M").arguments
    assert isinstance(asked, dict)
    assert asked["Results"] == {"SUCCEEDED": ["x"], "FAILED": []}
    assert told(run.submit("M", "begun")) == [("TaskSubmitted", (), "M")]
    assert run.refused(SubmitTask.of(run.task("M"), "again")) == "TaskNotPending"
    assert told(run.fail("M", None, "no such bucket"))[1:] == [
        ("MapRunFailed", (), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.execution.error == "States.ResultWriterFailed"


@pytest.mark.parametrize(
    ("transformation", "output"),
    [("COMPACT", [[1, 2], "x", [[3]]]), ("FLATTEN", [1, 2, "x", [3]])],
)
def test_without_a_place_to_write_the_results_are_transformed_only(transformation: str, output: Any) -> None:
    """Documented: "WriterConfig - to preview the formatted output, without saving the results"."""
    writer = {"WriterConfig": {"Transformation": transformation, "OutputType": "JSON"}}
    run = Run(scope_of("M", distributed(passes(), ResultWriter=writer)), [[1, 2], "x", [[3]]])
    assert run.execution.output == output


def test_an_exported_result_is_not_limited_by_the_size_of_the_states_own() -> None:
    """But for the request, which holds the results: together what a task's arguments may be."""
    writer = {"Resource": WRITE, "Parameters": {"Bucket": "out"}, "WriterConfig": {"Transformation": "COMPACT"}}
    run = Run(scope_of("M", distributed(asks(), ResultWriter=writer)), [0, 1])
    run.complete("A", "x" * 140_000, scope=(0,))
    assert told(run.complete("A", "x" * 140_000, scope=(1,)))[3:] == [
        ("MapRunFailed", (), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert run.execution.error == "States.DataLimitExceeded"


# ---- what a child sees


@pytest.mark.parametrize(
    ("execution_type", "id"),
    [
        ("STANDARD", f"{ARN}:execution:local/L:cd0029ca-83e1-4fdf-b4e5-80c898008c38"),
        (
            "EXPRESS",
            f"{ARN}:express:local/L:cd0029ca-83e1-4fdf-b4e5-80c898008c38:b1efd4a9-364f-4315-8944-7c12bb6600a5",
        ),
    ],
)
def test_a_childs_context_is_that_of_an_execution_of_its_own(execution_type: str, id: str) -> None:
    """Documented: children have ARNs `<state machine>/<label>:<name>`, and Map.Item is for the ItemSelector."""
    inside = passes(Parameters={"all.$": "$$"})
    run = Run(
        scope_of("M", distributed(inside, execution_type, ItemSelector={"n.$": "$$.Map.Item.Value"})),
        ["x"],
        context={"tenant": "t"},
        now=5000,
    )
    assert run.execution.output == [
        {
            "all": {
                "tenant": "t",
                "Execution": {
                    "Id": id,
                    "Input": {"n": "x"},
                    "StartTime": "1970-01-01T00:00:05.000Z",
                    "Name": "cd0029ca-83e1-4fdf-b4e5-80c898008c38",
                    "RoleArn": None,
                    "RedriveCount": 0,
                },
                "StateMachine": {"Id": f"{ARN}:stateMachine:local/L", "Name": "local/L"},
                "State": {"Name": "A", "EnteredTime": "1970-01-01T00:00:05.000Z"},
            }
        }
    ]


def test_an_inline_map_within_a_child_reads_its_own_items() -> None:
    inside = {
        "Type": "Map",
        "ItemProcessor": passes(Parameters={"v.$": "$$.Map.Item.Value", "in.$": "$$.Execution.Input"}),
        "End": True,
    }
    run = Run(scope_of("M", distributed(scope_of("N", inside))), [["x", "y"]])
    assert run.execution.output == [[{"v": "x", "in": ["x", "y"]}, {"v": "y", "in": ["x", "y"]}]]
