"""Paths of JSONPath states, constants of JSONata states, Resources."""

from __future__ import annotations

from typing import Any

import pytest

from processor.interpreter.intrinsics_syntax import FUNCTIONS
from tests.interpreter.validation.told import DONE, machine, state_told

SCOPE = machine(I=DONE)
PATH, REFERENCE = "Value must be a valid JSONPath.", "Value is not a Reference Path"


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"Type": "Pass", "InputPath": "x", "OutputPath": "$["}, [("/InputPath", PATH), ("/OutputPath", PATH)]),
        ({"Type": "Pass", "InputPath": "$x.y", "OutputPath": "$$.Execution"}, []),
        ({"Type": "Pass", "ResultPath": "x"}, [("/ResultPath", f"{REFERENCE}: Reference path didn't start with '$'")]),
        ({"Type": "Pass", "ResultPath": "$.a[*]"}, [("/ResultPath", REFERENCE)]),
        ({"Type": "Pass", "ResultPath": "$x"}, [("/ResultPath", REFERENCE)]),
        ({"Type": "Wait", "SecondsPath": "x"}, [("/SecondsPath", PATH)]),
        ({"Type": "Map", "ItemProcessor": SCOPE, "ItemsPath": "$$.x"}, []),
        ({"Type": "Map", "ItemProcessor": SCOPE, "MaxConcurrencyPath": "$$.x"}, [("/MaxConcurrencyPath", REFERENCE)]),
        ({"Type": "Map", "ItemProcessor": SCOPE, "MaxConcurrencyPath": "x"}, [("/MaxConcurrencyPath", PATH)]),
        ({"Type": "Fail", "ErrorPath": "x", "CausePath": "States.Format('{}', $.a)"}, [("/ErrorPath", PATH)]),
        ({"Type": "Fail", "CausePath": "States.Nope()"},
         [("/CausePath", "The value for the field 'CausePath' must be a valid JSONPath or a valid intrinsic function "
                         "call")]),
        ({"Type": "Task", "Resource": "f", "Catch": [{"ErrorEquals": ["E"], "Next": "N", "ResultPath": "$..x"}]},
         [("/Catch/0/ResultPath", REFERENCE)]),
        ({"Type": "Choice", "Default": "N", "Choices": [
            {"Not": {"Variable": "States.ArrayLength($.a)", "NumericEquals": 0}, "Next": "N"},
            {"Variable": "$.a", "StringEqualsPath": "$.[", "Next": "N"}]},
         [("/Choices/0/Not/Variable", f"{REFERENCE}: Reference path didn't start with '$'"),
          ("/Choices/1/StringEqualsPath", REFERENCE)]),
    ],
)  # fmt: skip
def test_a_path_that_is_none_is_told_in_aws_words(state: dict[str, Any], found: list[tuple[str, str]]) -> None:
    """Measured on AWS: cdk-preflight, pf-sfn-asl-jsonpath-syntax; floci issue 3733."""
    assert state_told(state) == found


@pytest.mark.parametrize("field", ["ErrorPath", "CausePath"])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_failure_is_told_by_the_intrinsics_that_give_a_text(field: str, name: str) -> None:
    """Developer Guide, "Fail workflow state": these seven may stand in a Fail's paths."""
    allowed = {"Format", "JsonToString", "ArrayGetItem", "Base64Encode", "Base64Decode", "Hash", "UUID"}
    message = f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call"
    expected = [] if name.removeprefix("States.") in allowed else [(f"/{field}", message)]
    assert state_told({"Type": "Fail", field: f"{name}($.a)"}) == expected


def test_within_such_an_intrinsic_any_other_may_stand() -> None:
    assert state_told({"Type": "Fail", "CausePath": "States.Format('{}', States.MathAdd($.a, 1))"}) == []


def test_numbers_of_a_distributed_map_come_from_no_context() -> None:
    state = {
        "Type": "Map",
        "ItemProcessor": {**SCOPE, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$$.n"},
        },
        "ItemBatcher": {"MaxItemsPerBatchPath": "$$.n", "MaxInputBytesPerBatchPath": "$.n"},
    }

    found = [pointer for pointer, message in state_told(state) if message == REFERENCE]
    assert found == ["/ItemBatcher/MaxItemsPerBatchPath", "/ItemReader/ReaderConfig/MaxItemsPath"]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"Type": "Wait", "Seconds": -1}, [("/Seconds", "Minimum value is 0")]),
        ({"Type": "Wait", "Seconds": "5"}, [("/Seconds", "Expected value of type Integer")]),
        ({"Type": "Wait", "Seconds": "{% 5 %}"}, []),
        ({"Type": "Wait", "Timestamp": "2016-13-05T21:29:29Z"},
         [("/Timestamp", "String does not match RFC3339 timestamp")]),
        ({"Type": "Task", "Resource": "f", "TimeoutSeconds": 0, "HeartbeatSeconds": 10**8},
         [("/TimeoutSeconds", "Minimum value is 1"), ("/HeartbeatSeconds", "Maximum value is 99999999")]),
        ({"Type": "Map", "ItemProcessor": SCOPE, "MaxConcurrency": 1.5},
         [("/MaxConcurrency", "Expected value of type Integer")]),
        ({"Type": "Fail", "Error": 5}, [("/Error", "Expected value of type [STRING]")]),
        ({"Type": "Choice", "Choices": [{"Condition": 5, "Next": "N"}, {"Condition": "x", "Next": "N"}]},
         [("/Choices/0/Condition", "Expected value of type [STRING]"),
          ("/Choices/1/Condition", "JSONata string must start with {% and end with %}")]),
        ({"Type": "Choice", "Choices": [{"Next": "N"}]},
         [("/Choices/0",
           "The object must have only one of the following fields, [And, Or, Not, Variable, Condition]")]),
    ],
)  # fmt: skip
def test_a_constant_of_a_jsonata_state_has_type_and_range(state: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert state_told(state, "JSONata") == found


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::lambda:invoke.sync",
        "arn:aws:states:::aws-sdk:s3:getObject.sync",
        "arn:aws:states:::glue:startJobRun.sync:2",
        "arn:aws:states:::glue:startJobRun.waitForTaskToken",
    ],
)
def test_a_pattern_that_the_service_does_not_have_is_not_recognized(resource: str) -> None:
    """Measured on AWS: cdk-preflight, pf-sfn-asl-resource-arn."""
    state = {"Type": "Task", "Resource": resource, "Parameters": {}}

    assert state_told(state) == [("/Resource", f"The resource provided {resource} is not recognized")]


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::glue:startJobRun.sync",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
    ],
)
def test_a_pattern_that_the_service_has_is_fine(resource: str) -> None:
    assert state_told({"Type": "Task", "Resource": resource, "Parameters": {}}) == []


def test_a_call_of_a_service_says_with_what() -> None:
    resource = "arn:aws:states:::sns:publish"
    state = {"Type": "Task", "Resource": resource}

    assert state_told(state) == [("", f"Parameters field is required for resource ARN: {resource}")]
    assert state_told(state, "JSONata") == [("", f"Arguments field is required for resource ARN: {resource}")]


def test_an_activity_has_no_credentials() -> None:
    activity = "arn:aws:states:us-east-1:111111111111:activity:a"
    state = {"Type": "Task", "Resource": activity, "Credentials": {"RoleArn": "arn:aws:iam::111111111111:role/r"}}

    assert state_told(state) == [("/Credentials", "The field 'Credentials' is not supported for activities")]


def test_a_resource_that_names_nothing_is_told_once() -> None:
    assert [pointer for pointer, _ in state_told({"Type": "Task", "Resource": "arn:aws:nope"})] == ["/Resource"]
