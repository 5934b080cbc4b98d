"""What is taken, and probably not meant. The four of AWS's own example stand first."""

from __future__ import annotations

from typing import Any

import pytest

from processor.interpreter.parse import parse
from tests.interpreter.validation.told import machine, warned

STATIC = (
    "will not evaluate as a JSONPath or Intrinsic Function at runtime. Instead of 'Result', use 'Parameters' to "
    "evaluate it as a JSONPath or Intrinsic Function at runtime."
)


def test_aws_own_example() -> None:
    definition = machine(
        HelloWorld={"Type": "Pass", "Parameters": {"a": "$.b"}, "Result": {"c.$": "$.d"}, "Next": "FailState"},
        FailState={"Type": "Fail", "Error": "$.error", "Cause": "$.cause"},
    )

    assert warned(definition) == [
        (
            "/States/HelloWorld/Parameters",
            "NO_DOLLAR",
            "The value of 'a' looks like a JSONPath. Instead of 'a', use 'a.$' to evaluate it as a JSONPath at "
            "runtime.",
        ),
        ("/States/HelloWorld/Result", "PASS_RESULT_IS_STATIC", f"The value of 'c.$' {STATIC}"),
        (
            "/States/FailState/Error",
            "NO_PATH",
            "The value of 'Error' looks like a JSONPath. Instead of 'Error', use 'ErrorPath' to evaluate it as a "
            "JSONPath at runtime.",
        ),
        (
            "/States/FailState/Cause",
            "NO_PATH",
            "The value of 'Cause' looks like a JSONPath. Instead of 'Cause', use 'CausePath' to evaluate it as a "
            "JSONPath at runtime.",
        ),
    ]
    assert [warning.severity for warning in parse(definition).warnings] == ["WARNING"] * 4


@pytest.mark.parametrize("text", ["$5.00", "$HOME", "$.a[", "States.", "States.Nope()", "a $.b", ""])
def test_a_text_that_is_no_path_is_meant_as_it_is(text: str) -> None:
    assert warned(machine(S={"Type": "Pass", "Parameters": {"a": text}, "Result": [text, 5], "End": True})) == []


def test_templates_are_looked_through_and_functions_known() -> None:
    template = {"x": [{"a": "$$.Execution.Id", "b.$": "$.b"}, "$.c"], "u": "States.UUID()", "n": 1}
    state = {"Type": "Task", "Resource": "f", "ResultSelector": template, "Assign": {"v": "$"}, "End": True}

    assert [(pointer, message.partition(".")[0]) for pointer, _, message in warned(machine(S=state))] == [
        ("/States/S/ResultSelector/x/0", "The value of 'a' looks like a JSONPath"),
        ("/States/S/ResultSelector", "The value of 'u' looks like an Intrinsic Function"),
        ("/States/S/Assign", "The value of 'v' looks like a JSONPath"),
    ]


def test_a_result_is_looked_through() -> None:
    result = {"a": {"b": "$.c"}, "l": ["$.d", {"e": "States.UUID()"}]}

    assert [
        (pointer, message) for pointer, _, message in warned(machine(S={"Type": "Pass", "Result": result, "End": True}))
    ] == [
        ("/States/S/Result/a", f"The value of 'b' {STATIC}"),
        ("/States/S/Result/l/0", f"The value of 'l' {STATIC}"),
        ("/States/S/Result/l/1", f"The value of 'e' {STATIC}"),
    ]
    assert [code for _, code, _ in warned(machine(S={"Type": "Pass", "Result": "$.x", "End": True}))] == [
        "PASS_RESULT_IS_STATIC"
    ]


def test_a_comparison_with_what_looks_like_a_path_is_told() -> None:
    rule = {"And": [{"Variable": "$.a", "StringEquals": "$.b"}, {"Not": {"Variable": "$.a", "StringEquals": "b"}}]}
    choice = {"Type": "Choice", "Choices": [{**rule, "Next": "N"}], "Default": "N"}

    assert warned(machine(S=choice, N={"Type": "Succeed"})) == [
        (
            "/States/S/Choices/0/And/0/StringEquals",
            "NO_PATH",
            "The value of 'StringEquals' looks like a JSONPath. Instead of 'StringEquals', use 'StringEqualsPath' to "
            "evaluate it as a JSONPath at runtime.",
        )
    ]


def test_jsonata_states_are_never_warned_of_paths() -> None:
    assert warned(machine("JSONata", S={"Type": "Pass", "Assign": {"a": "$.b"}, "End": True})) == []


INLINE: dict[str, Any] = {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}
DISTRIBUTED = {**INLINE, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
ONLY_DISTRIBUTED: dict[str, Any] = {
    "Label": "L",
    "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}},
    "ItemBatcher": {"MaxItemsPerBatch": 2},
    "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b"}},
    "ToleratedFailureCount": 1,
    "ToleratedFailurePercentage": 5,
}


@pytest.mark.parametrize(
    "processor",
    [
        {"ItemProcessor": INLINE},
        {"ItemProcessor": {**INLINE, "ProcessorConfig": {"Mode": "INLINE"}}},
        {"Iterator": INLINE},
    ],
)
@pytest.mark.parametrize("language", ["JSONPath", "JSONata"])
def test_what_only_a_distributed_map_has_is_of_no_effect_in_an_inline_one(
    processor: dict[str, Any], language: str
) -> None:
    """A warning of this project's: AWS takes them without a word at creation."""
    in_language: dict[str, dict[str, Any]] = {
        "JSONPath": {**ONLY_DISTRIBUTED, "ToleratedFailureCountPath": "$.n", "ToleratedFailurePercentagePath": "$.n"},
        "JSONata": {"Label": "L", "ToleratedFailureCount": "{% 1 %}"},
    }
    fields = in_language[language]

    told = warned(machine(language, M={"Type": "Map", **processor, **fields, "End": True}))

    assert sorted((pointer, code) for pointer, code, _ in told) == sorted(
        (f"/States/M/{field}", "INLINE_MAP") for field in fields
    )
    assert told[-1][2] == (
        f"Field '{told[-1][0].removeprefix('/States/M/')}' has no effect, because the Map is inline. Set 'Mode' to "
        "'DISTRIBUTED' in its ProcessorConfig, with an ExecutionType, to use the field."
    )


def test_a_distributed_map_may_have_what_it_has() -> None:
    assert warned(machine(M={"Type": "Map", "ItemProcessor": DISTRIBUTED, **ONLY_DISTRIBUTED, "End": True})) == []
