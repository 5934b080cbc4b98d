"""A Map of the query language JSONata, distributed above all: what its fields are evaluated to, when, and what is
refused.

Documented: AWS Developer Guide, "Using Map state in Distributed mode", "ItemReader", "ItemBatcher", "ResultWriter".
Causes that no recording shows are by analogy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from processor import EPOCH, ZERO, EvaluationFailed, MapIterationStarted, Rejected, TaskScheduled, parse, start
from processor.errors import InvalidDefinition
from processor.interpreter.jsonata import Task, Undefined
from processor.model.definition import Budget
from processor.model.json import Json
from tests.interpreter.scenario import Run, scope_of, told
from tests.interpreter.test_distributed import ARN, MAP_RUN

READ = "arn:aws:states:::s3:getObject"
WRITE = "arn:aws:states:::s3:putObject"
JSON = {"InputType": "JSON"}


def mapping(*, mode: str = "DISTRIBUTED", **fields: Any) -> dict[str, Any]:
    """Return a machine of one Map whose children hand on their input."""
    config = {"Mode": mode, "ExecutionType": "STANDARD"} if mode == "DISTRIBUTED" else {"Mode": mode}
    processor = {**scope_of("A", {"Type": "Pass", "End": True}), "ProcessorConfig": config}
    each = {"Type": "Map", "ItemProcessor": processor, "Label": "L", "End": True, **fields}
    return scope_of("M", each) | {"QueryLanguage": "JSONata"}


def asking(**fields: Any) -> dict[str, Any]:
    """Return a machine of one Map whose children ask for work."""
    made = mapping(**fields)
    made["States"]["M"]["ItemProcessor"]["States"]["A"] = {"Type": "Task", "Resource": "a", "End": True}
    return made


def faults(definition: dict[str, Any]) -> list[tuple[str, str]]:
    """Return pointer within the Map, and message, of each fault."""
    try:
        parse(definition)
    except InvalidDefinition as invalid:
        found = [fault for fault in invalid.diagnostics if fault.severity == "ERROR"]
        return [(fault.pointer.removeprefix("/States/M"), fault.message) for fault in found]
    return []


def requested(run: Run, kind: str) -> Any:
    [event] = [event for event in run.events if isinstance(event, TaskScheduled) and event.kind == kind]
    return event.arguments


def inputs(run: Run) -> list[Any]:
    return [event.input for event in run.events if isinstance(event, MapIterationStarted)]


# ---- ItemReader


def test_a_reader_is_asked_with_what_its_arguments_and_max_items_give() -> None:
    reader = {
        "Resource": READ,
        "Arguments": {"Bucket": "{% $states.input.b %}", "Key": "{% 'k' & '.json' %}", "VersionId": "v"},
        "ReaderConfig": {**JSON, "ItemsPointer": "/a", "MaxItems": "{% $states.input.n + 1 %}"},
    }
    run = Run(mapping(ItemReader=reader), {"b": "in", "n": 1})
    assert requested(run, "ITEM_READER") == {
        "Parameters": {"Bucket": "in", "Key": "k.json", "VersionId": "v"},
        "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/a", "MaxItems": 2},
    }
    run.complete("M", ["x", "y"])
    assert run.execution.output == ["x", "y"]


def test_arguments_may_be_one_expression_or_none_at_all() -> None:
    whole = {"Resource": READ, "Arguments": "{% $states.input %}", "ReaderConfig": {**JSON, "MaxItems": 3}}
    run = Run(mapping(ItemReader=whole), {"Bucket": "in"})
    assert requested(run, "ITEM_READER") == {
        "Parameters": {"Bucket": "in"},
        "ReaderConfig": {"InputType": "JSON", "MaxItems": 3},
    }
    most = {**whole, "ReaderConfig": {**JSON, "MaxItems": "{% 100000001 %}"}}
    assert requested(Run(mapping(ItemReader=most), {}), "ITEM_READER") == {
        "Parameters": {},
        "ReaderConfig": {"InputType": "JSON", "MaxItems": 100_000_000},
    }
    listing = Run(mapping(ItemReader={"Resource": "arn:aws:states:::s3:listObjectsV2"}), {})
    assert requested(listing, "ITEM_READER") == {"Parameters": {}, "ReaderConfig": {"MaxItems": 0}}


# ---- ItemBatcher


def test_a_batch_is_as_large_as_expressions_say_and_has_an_input_of_its_own() -> None:
    batcher = {
        "MaxItemsPerBatch": "{% $states.input.n %}",
        "MaxInputBytesPerBatch": "{% $states.input.n * 1000 %}",
        "BatchInput": {"of": "{% $count($states.input.l) %}", "c": 1},
    }
    run = Run(mapping(Items="{% $states.input.l %}", ItemBatcher=batcher), {"n": 2, "l": ["a", "b", "c"]})
    batches = [
        {"BatchInput": {"of": 3, "c": 1}, "Items": ["a", "b"]},
        {"BatchInput": {"of": 3, "c": 1}, "Items": ["c"]},
    ]
    assert inputs(run) == batches
    assert run.execution.output == batches


def test_a_batch_stays_within_the_bytes_that_an_expression_gives() -> None:
    run = Run(mapping(ItemBatcher={"MaxInputBytesPerBatch": "{% 19 %}"}), ["a", "b", "c"])  # {"Items":["a","b"]}
    assert inputs(run) == [{"Items": ["a", "b"]}, {"Items": ["c"]}]


# ---- what is tolerated


@pytest.mark.parametrize(
    "field",
    [
        {"ToleratedFailureCount": "{% $states.input.n %}"},
        {"ToleratedFailurePercentage": "{% $states.input.n * 25 %}"},
        {"ToleratedFailureCount": 1},
        {"ToleratedFailurePercentage": 25.5},
    ],
)
def test_as_many_may_fail_as_an_expression_says(field: dict[str, Any]) -> None:
    run = Run(asking(Items=[1, 2, 3, 4], **field), {"n": 1})
    run.fail("A", "E", scope=(0,))
    assert run.status == "RUNNING"
    run.fail("A", "E", scope=(1,))
    assert run.execution.error == "States.ExceedToleratedFailureThreshold"


# ---- ResultWriter


def test_a_writer_is_asked_with_what_its_arguments_give() -> None:
    writer = {
        "Resource": WRITE,
        "Arguments": {"Bucket": "out", "Prefix": "{% $states.input.p %}"},
        "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"},
    }
    run = Run(mapping(Items=["x", 5], ResultWriter=writer), {"p": "jobs"})
    assert requested(run, "RESULT_WRITER") == {
        "Parameters": {"Bucket": "out", "Prefix": "jobs"},
        "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"},
        "MapRunArn": f"{ARN}:mapRun:{MAP_RUN['map_run']}",
        "Results": {"SUCCEEDED": ["x", 5], "FAILED": []},
    }
    run.complete("M", {"written": True})
    assert run.execution.output == {"written": True}


def test_without_a_place_to_write_results_are_transformed_only() -> None:
    run = Run(mapping(ResultWriter={"WriterConfig": {"Transformation": "FLATTEN"}}), [[1, 2], 3])
    assert run.execution.output == [1, 2, 3]


# ---- Items


@pytest.mark.parametrize("items", [{"a": "{% 0 + 1 %}", "b": 2}, "{% $states.input %}", None])
def test_a_distributed_map_runs_over_the_members_of_an_object(items: Any) -> None:
    """Documented: Items is an array, an object, or an expression that gives one of them; without it, the input."""
    written = {} if items is None else {"Items": items}
    selector = "{% [$states.context.Map.Item.Key, $states.context.Map.Item.Value] %}"
    run = Run(mapping(**written, ItemSelector=selector), {"a": 1, "b": 2})
    assert run.execution.output == [["a", 1], ["b", 2]]


def test_an_inline_map_runs_over_an_array_only() -> None:
    run = Run(mapping(mode="INLINE", Items="{% $states.input %}"), {"a": 1})
    assert run.execution.error == "States.QueryEvaluationError"
    assert faults(mapping(mode="INLINE", Items={"a": 1})) == [
        ("/Items", "Expected value of type Array or a JSONata expression")
    ]


class Shared:
    """A sandbox that evaluates nothing and keeps the budgets that it is called with."""

    def __init__(self) -> None:
        self.budgets: list[Budget] = []

    def evaluate(self, task: Task, budget: Budget) -> Json | Undefined:
        self.budgets.append(budget)
        return 2

    def timed(self, evaluate: Callable[[], Json | Undefined], budget: Budget) -> Json | Undefined:
        raise AssertionError("nothing here is tame")

    def close(self) -> None:
        raise AssertionError("is its owner's to close")


def test_the_expressions_of_one_event_share_what_they_may_take() -> None:
    sandbox = Shared()
    endless = "{% ($f := function($n) { $f($n + 1) }; $f(0)) %}"
    definition = mapping(ItemBatcher={"MaxItemsPerBatch": endless, "MaxInputBytesPerBatch": endless})
    outcome = start(parse(definition, sandbox=sandbox), ["x"], seed=ZERO, now=EPOCH)
    assert not isinstance(outcome, Rejected)
    first, second, *others = sandbox.budgets
    assert first is second
    assert all(each is not first for each in others)


# ---- what fails before the run starts


@pytest.mark.parametrize(
    ("fields", "location", "cause"),
    [
        ({"ItemReader": {"Resource": READ, "Arguments": "{% $error('no') %}", "ReaderConfig": JSON}},
         "ItemReader/Arguments", "specified for the field 'ItemReader/Arguments'"),
        ({"ItemReader": {"Resource": READ, "ReaderConfig": {**JSON, "MaxItems": "{% -1 %}"}}},
         "ItemReader/ReaderConfig/MaxItems",
         "The ItemReader/ReaderConfig/MaxItems field must be an integer at least 0 but was: -1"),
        ({"ItemReader": {"Resource": READ, "ReaderConfig": {**JSON, "MaxItems": "{% 'x' %}"}}},
         "ItemReader/ReaderConfig/MaxItems", "specified for the field 'ItemReader/ReaderConfig/MaxItems'"),
        ({"ItemBatcher": {"MaxItemsPerBatch": "{% -1 %}"}},
         "ItemBatcher/MaxItemsPerBatch",
         "The ItemBatcher/MaxItemsPerBatch field must be an integer at least 0 but was: -1"),
        ({"ItemBatcher": {"MaxInputBytesPerBatch": "{% 262145 %}"}},
         "ItemBatcher/MaxInputBytesPerBatch",
         "The ItemBatcher/MaxInputBytesPerBatch field must be an integer between 0 and 262144 but was: 262145"),
        ({"ToleratedFailureCount": "{% 0.5 %}"}, "ToleratedFailureCount",
         "The ToleratedFailureCount field must be an integer at least 0 but was: 0.5"),
        ({"ToleratedFailurePercentage": "{% 101 %}"}, "ToleratedFailurePercentage",
         "The ToleratedFailurePercentage field must be between 0 and 100 but was: 101"),
    ],
)  # fmt: skip
def test_what_is_evaluated_once_fails_before_the_run_starts(fields: dict[str, Any], location: str, cause: str) -> None:
    run = Run(mapping(**fields), [1])
    assert told(run.events)[2:] == [
        ("MapStarted", (), "M"),
        ("EvaluationFailed", (), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    [failed] = [event for event in run.events if isinstance(event, EvaluationFailed)]
    assert (failed.error, failed.location) == ("States.QueryEvaluationError", location)
    assert cause in str(failed.cause)


# ---- what is refused


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        *[({part: 5}, [(f"/{part}", "Expected value of type [OBJECT]")])
          for part in ("ItemReader", "ItemBatcher", "ResultWriter")],
        ({"ItemReader": {"Resource": READ}}, [("/ItemReader", "These fields are required: [ReaderConfig]")]),
        ({"ItemReader": {"Resource": READ, "ReaderConfig": {"MaxItems": 1}}},
         [("/ItemReader/ReaderConfig", "These fields are required: [InputType]")]),
        ({"ItemReader": {"Resource": WRITE, "ReaderConfig": JSON}},
         [("/ItemReader/Resource", "The field 'Resource' does not match any of the allowed values. Examples: "
           "[arn:<partition>:states:::s3:getObject, arn:<partition>:states:::s3:listObjectsV2]")]),
        ({"ItemReader": {"Resource": READ, "Arguments": {"Key": "{% ( %}"}, "ReaderConfig": JSON}},
         [("/ItemReader/Arguments/Key", 'Expected ")" before end of expression')]),
        *[({"ItemReader": {"Resource": READ, "ReaderConfig": {**JSON, "MaxItems": written}}},
           [("/ItemReader/ReaderConfig/MaxItems", message)])
          for written, message in (
              (-1, "Minimum value is 0"),
              (100_000_001, "Maximum value is 100000000"),
              (1.5, "must be an integer, at least 0, got 1.5"),
              ("n", "must be a JSONata expression, between '{%' and '%}', where it is a text"),
              (True, "Expected value of type Integer or a JSONata expression"),
          )],
        ({"ItemBatcher": {"BatchInput": 1}},
         [("/ItemBatcher", "at least one of MaxItemsPerBatch, MaxInputBytesPerBatch is required")]),
        ({"ItemBatcher": {"MaxItemsPerBatch": -1, "BatchInput": "{% ( %}"}},
         [("/ItemBatcher/BatchInput", 'Expected ")" before end of expression'),
          ("/ItemBatcher/MaxItemsPerBatch", "Minimum value is 0")]),
        ({"ItemBatcher": {"MaxItemsPerBatch": 0, "MaxInputBytesPerBatch": 262_145}},
         [("/ItemBatcher/MaxInputBytesPerBatch", "Maximum value is 262144")]),
        ({"ToleratedFailureCount": -1, "ToleratedFailurePercentage": 100.5},
         [("/ToleratedFailureCount", "Minimum value is 0"),
          ("/ToleratedFailurePercentage", "Maximum value is 100.0")]),
        ({"ToleratedFailureCount": 1.5, "ToleratedFailurePercentage": True},
         [("/ToleratedFailureCount", "must be an integer, at least 0, got 1.5"),
          ("/ToleratedFailurePercentage", "Expected value of type Number or a JSONata expression")]),
        ({"ResultWriter": {}},
         [("/ResultWriter", "either WriterConfig, or Resource and Arguments, or all three are required")]),
        ({"ResultWriter": {"Resource": WRITE}}, [("/ResultWriter", "These fields are required: [Arguments]")]),
        ({"ResultWriter": {"Arguments": {}}}, [("/ResultWriter", "These fields are required: [Resource]")]),
        ({"ResultWriter": {"Resource": READ, "Arguments": {"Bucket": "{% ( %}"}}},
         [("/ResultWriter/Arguments/Bucket", 'Expected ")" before end of expression'),
          ("/ResultWriter/Resource", f"must be {WRITE}, got '{READ}'")]),
        ({"Items": 5}, [("/Items", "Expected value of type Array, Object or a JSONata expression")]),
    ],
)  # fmt: skip
def test_what_is_refused(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert sorted(faults(mapping(**fields))) == sorted(expected)


def test_an_inline_map_may_have_the_parts_of_a_distributed_one_and_uses_none_of_them() -> None:
    """Measured on AWS: taken at creation."""
    reader = {"Resource": READ, "Arguments": {}, "ReaderConfig": JSON}
    run = Run(mapping(mode="INLINE", ItemReader=reader, ItemBatcher={"MaxItemsPerBatch": 2}), [1, 2])
    assert run.execution.output == [1, 2]
