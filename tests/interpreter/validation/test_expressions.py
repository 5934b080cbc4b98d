"""Expressions of JSONata that are none, and references to what is not there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interpreter.validation.told import DONE, machine, state_told

INVALID, UNSUPPORTED = "INVALID_JSONATA_EXPRESSION", "UNSUPPORTED_JSONATA_EXPRESSION"


def passed(output: Any) -> list[tuple[str, str]]:
    return state_told({"Type": "Pass", "Output": output}, "JSONata")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a[1,2)", 'Expected "]", got ","'),
        ('"unterminated', "String literal must be terminated by a matching quote"),
        ("1 +", "Unexpected end of expression"),
        ('{"a":}', 'The symbol "}" cannot be used as a unary operator'),
        ('$match("a", /abc', "No terminating / in regular expression"),
    ],
)
def test_an_expression_that_does_not_parse_is_told_in_the_parsers_words(expression: str, message: str) -> None:
    """Measured on AWS: floci issue 2745."""
    assert passed(f"{{% {expression} %}}") == [("/Output", f"{INVALID}: {message}")]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("phone", "Reference to 'phone' at the top level is not supported."),
        ("$$.a", "Reference to '$$' is not supported."),
        ("$states.errorOutput.Error", "Field '$states.errorOutput' does not exist."),
        ("$states.result", "Field '$states.result' does not exist."),
    ],
)
def test_a_reference_to_what_is_not_there_is_told_where_it_stands(expression: str, message: str) -> None:
    """Measured on AWS: floci issues 2670 and 2745, but for `result`."""
    assert passed({"v": [1, f"{{% {expression} %}}"]}) == [("/Output/v/1", f"{UNSUPPORTED}: {message}")]


def test_the_result_is_there_in_the_output_of_what_has_one_and_the_error_in_a_catcher() -> None:
    error, result = "{% $states.errorOutput %}", "{% $states.result %}"
    state = {
        "Type": "Task",
        "Resource": "f",
        "Arguments": {"a": result},
        "Output": [result],
        "Assign": {"x": result},
        "Catch": [{"ErrorEquals": ["E"], "Next": "N", "Output": {"e": error}, "Assign": {"x": error, "y": result}}, 5],
        "Next": "N",
    }

    found = [each for each in state_told(state, "JSONata") if UNSUPPORTED in each[1]]
    missing = f"{UNSUPPORTED}: Field '$states.result' does not exist."
    assert sorted(found) == [("/Arguments/a", missing), ("/Catch/0/Assign/y", missing)]


def test_a_text_that_is_half_an_expression_is_told() -> None:
    message = "JSONata string must start with {% and end with %}"

    assert passed({"a": "{% 1", "b": "1 %}", "c": " {% 1 %} ", "d": None}) == [
        ("/Output/a", message),
        ("/Output/b", message),
    ]


def test_texts_that_aws_does_not_read_as_expressions_are_left_alone() -> None:
    """Measured on AWS (floci, validation of JSONata): names, errors, comments, headers; never those of a payload."""
    broken = "{% phone %}"
    state = {
        "Type": "Map",
        "Comment": broken,
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {
                "InputType": "CSV",
                "CSVHeaderLocation": "GIVEN",
                "CSVHeaders": [broken],
                "MaxItems": broken,
            },
            "Arguments": {"Comment": broken},
        },
        "ItemSelector": {"Next": broken},
        "ItemProcessor": {
            **machine(I=DONE),
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        },
        "Retry": [{"ErrorEquals": [broken]}],
    }

    found = {pointer for pointer, message in state_told(state, "JSONata") if message.startswith(UNSUPPORTED)}
    assert found == {"/ItemReader/ReaderConfig/MaxItems", "/ItemReader/Arguments/Comment", "/ItemSelector/Next"}


def test_jsonpath_states_have_no_expressions() -> None:
    assert state_told({"Type": "Pass", "Result": "{% phone %}"}) == []
