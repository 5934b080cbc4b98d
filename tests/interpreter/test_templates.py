"""Payload templates: what they make, what they share, and what is refused."""

from __future__ import annotations

import pytest

from processor.interpreter.templates import compile_template, pointer_to
from processor.model.definition import Environment, StateFailure
from processor.model.json import Json
from tests.interpreter.surroundings import NOWHERE


def made_of(template: Json, value: Json, environment: Environment = NOWHERE) -> Json:
    def refuse(pointer: str, message: str) -> None:
        raise AssertionError((pointer, message))

    return compile_template(template, pointer="", report=refuse)(value, environment)


def faults_of(template: Json) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    compile_template(
        template, pointer="/States/A/Parameters", report=lambda pointer, message: faults.append((pointer, message))
    )
    return faults


def test_fields_that_end_in_a_dollar_are_computed_and_lose_it() -> None:
    template: Json = {
        "flagged": True,
        "first.$": "$.vals[0]",
        "parts": {"last3.$": "$.vals[3:]", "constant": ["$.vals", {"token.$": "$$.Task.Token"}]},
        "all.$": "$",
    }
    value: Json = {"flagged": 7, "vals": [0, 10, 20, 30, 40, 50]}

    assert made_of(template, value) == {
        "flagged": True,
        "first": 0,
        "parts": {"last3": [30, 40, 50], "constant": ["$.vals", {"token": "t"}]},
        "all": value,
    }


def test_fields_keep_the_order_in_which_they_were_written() -> None:
    made = made_of({"b": 1, "a.$": "$.x", "c": {"d.$": "$.x"}}, {"x": 2})

    assert isinstance(made, dict)
    assert list(made) == ["b", "a", "c"]


def test_what_holds_no_path_is_shared_and_the_template_stays_as_it_was() -> None:
    constant: Json = {"a": [1, {"b": 2}]}
    template: Json = {"x.$": "$.x", "same": constant, "list": [constant, {"y.$": "$.x"}]}

    made, again = made_of(template, {"x": 1}), made_of(template, {"x": 2})

    assert isinstance(made, dict)
    assert made["same"] is constant
    assert again == {"x": 2, "same": constant, "list": [constant, {"y": 2}]}
    assert template == {"x.$": "$.x", "same": constant, "list": [constant, {"y.$": "$.x"}]}


@pytest.mark.parametrize("template", [{}, [], "text", None, {"Comment": "c", "$": 1, "a": "$.b"}])
def test_a_template_without_paths_is_a_constant(template: Json) -> None:
    assert made_of(template, {"b": 1}) is template


def test_a_path_that_finds_nothing_fails_the_state_and_names_the_field() -> None:
    with pytest.raises(StateFailure) as failure:
        made_of({"a": {"missing.$": "$.nope.deep"}}, {"other": 1})

    assert failure.value.cause == (
        "The JSONPath '$.nope.deep' specified for the field 'missing.$' could not be found in the input '{\"other\":1}'"
    )


def test_every_field_that_is_no_path_is_reported_where_its_object_stands() -> None:
    # The text and the place are recorded: test_illegal_escapes.
    said = "The value for the field '{}' must be a valid JSONPath or a valid intrinsic function call"

    assert faults_of({"parsed.$": "a", "n.$": 1, "deep": {"a/b": [{"x.$": "$["}]}, "ok.$": "$.a"}) == [
        ("/States/A/Parameters", said.format("parsed.$")),
        ("/States/A/Parameters", said.format("n.$")),
        ("/States/A/Parameters/deep/a~1b/0", said.format("x.$")),
    ]


def test_a_call_of_no_function_is_reported_as_aws_does() -> None:
    assert faults_of({"a.$": "States.Nothing($.a)"}) == [
        (
            "/States/A/Parameters",
            "The value for the field 'a.$' must be a valid JSONPath or a valid intrinsic function call",
        )
    ]


def test_a_field_given_as_a_constant_and_as_a_path_is_reported() -> None:
    assert faults_of({"a": 1, "a.$": "$.a"}) == [("/States/A/Parameters", "The field 'a' is given twice")]


def test_pointers_escape_what_would_part_them() -> None:
    assert pointer_to("/States", "a/b~c", 0, "") == "/States/a~1b~0c/0/"
