"""The context object, `$$`, in every field that may read it, and refused where a place is named.

Source: AWS developer guide, "Accessing execution data from the Context object", and the fields it names.
"""

from __future__ import annotations

from typing import Any

import pytest

from processor import InvalidDefinition, TaskScheduled, WaitStarted, parse
from tests.interpreter.scenario import Run

INPUT: Any = {"items": [1, 2], "n": 3, "at": "1970-01-01T00:00:09Z", "text": "told"}
READ = "$$.Execution.Input"


def run_of(state: dict[str, Any], **others: Any) -> Run:
    return Run({"StartAt": "A", "States": {"A": state, **others}}, INPUT)


PASS = {"Type": "Pass", "End": True}
MAP = {"Type": "Map", "End": True, "ItemProcessor": {"StartAt": "P", "States": {"P": PASS}}}


@pytest.mark.parametrize(
    ("state", "output"),
    [
        (PASS | {"InputPath": f"{READ}.n"}, 3),
        (PASS | {"OutputPath": "$$.State.Name"}, "A"),
        (PASS | {"Parameters": {"x.$": f"{READ}.items[1]", "y": [{"z.$": f"{READ}..at"}]}},
         {"x": 2, "y": [{"z": [INPUT["at"]]}]}),
        (PASS | {"Parameters": {"x.$": f"States.Format('{{}} {{}}', {READ}.n, States.ArrayLength({READ}.items))"}},
         {"x": "3 2"}),
        (MAP | {"ItemsPath": f"{READ}.items"}, [1, 2]),
        (MAP | {"ItemsPath": "$.items", "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"}},
         [{"i": 0, "v": 1}, {"i": 1, "v": 2}]),
        (MAP | {"ItemsPath": "$.items", "Parameters": {"v.$": "States.MathAdd($$.Map.Item.Value, 1)"}},
         [{"v": 2}, {"v": 3}]),
        (MAP | {"ItemsPath": "$.items", "ResultSelector": {"by.$": "$$.State.Name", "all.$": "$"}},
         {"by": "A", "all": [1, 2]}),
    ],
)  # fmt: skip
def test_a_field_reads_the_context_object(state: dict[str, Any], output: Any) -> None:
    run = run_of(state)

    assert (run.status, run.execution.output) == ("SUCCEEDED", output)


@pytest.mark.parametrize("field", ["Variable", "NumericEqualsPath"])
def test_a_choice_reads_the_context_object(field: str) -> None:
    rule = {"Variable": "$.n", "NumericEqualsPath": "$.n", field: f"{READ}.n", "Next": "Yes"}
    choice = {"Type": "Choice", "Choices": [rule], "Default": "No"}

    run = run_of(choice, Yes=PASS | {"Result": "yes"}, No=PASS | {"Result": "no"})

    assert run.execution.output == "yes"


def test_a_wait_reads_the_context_object() -> None:
    due = [
        event.due
        for form in ({"SecondsPath": f"{READ}.n"}, {"TimestampPath": f"{READ}.at"})
        for event in run_of({"Type": "Wait", "End": True, **form}).events
        if isinstance(event, WaitStarted)
    ]

    assert due == [3_000, 9_000]


def test_a_fail_reads_the_context_object() -> None:
    run = run_of({"Type": "Fail", "ErrorPath": f"{READ}.text", "CausePath": f"States.Format('{{}}', {READ}.n)"})

    assert (run.status, run.execution.error, run.execution.cause) == ("FAILED", "told", "3")


def test_a_task_reads_the_context_object_for_its_times_and_its_role() -> None:
    run = run_of(
        {
            "Type": "Task",
            "Resource": "work",
            "TimeoutSecondsPath": f"{READ}.n",
            "HeartbeatSecondsPath": f"{READ}.items[1]",
            "Credentials": {"RoleArn.$": "$$.State.Name"},
            "End": True,
        }
    )

    (task,) = [event for event in run.events if isinstance(event, TaskScheduled)]
    assert (task.timeout_seconds, task.heartbeat_seconds, task.role) == (3, 2, "A")


def test_no_result_is_put_into_the_context_object() -> None:
    with pytest.raises(InvalidDefinition, match="ResultPath"):
        parse({"StartAt": "A", "States": {"A": {"Type": "Pass", "ResultPath": "$$.x", "End": True}}})
