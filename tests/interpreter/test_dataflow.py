"""InputPath, Parameters, ResultSelector, ResultPath and OutputPath: what they make, and where the output lies."""

from __future__ import annotations

from typing import Any

import pytest

from processor.interpreter.dataflow import compile_caught, compile_finish, compile_prepare
from processor.interpreter.fields import (
    MAX_SECONDS,
    SECONDS,
    check_items,
    compile_integer_path,
    compile_items_path,
    compile_seconds_path,
    compile_text,
    compile_timestamp_path,
)
from processor.model.definition import Environment, Evaluate, StateFailure
from processor.model.events import OutputOf
from processor.model.json import Json
from tests.interpreter.scenario import Run, scope_of, task
from tests.interpreter.surroundings import CONTEXT, NOWHERE

INPUT: Json = {"a": {"b": 1}, "n": [1, 2]}
RESULT: Json = {"r": 5}


def refuse(pointer: str, message: str) -> None:
    raise AssertionError((pointer, message))


def prepared(fields: dict[str, Json]) -> Json:
    prepare = compile_prepare(fields, template="Parameters", pointer="", report=refuse)
    return INPUT if prepare is None else prepare(INPUT, NOWHERE)


def finished(fields: dict[str, Json], result: OutputOf = "RESULT") -> tuple[OutputOf, Json]:
    return compile_finish(fields, result=result, pointer="", report=refuse)(INPUT, RESULT, NOWHERE)


# ---- before


def test_an_input_that_no_field_changes_is_not_looked_at() -> None:
    assert compile_prepare({}, template="Parameters", pointer="", report=refuse) is None
    assert compile_prepare({"InputPath": "$"}, template=None, pointer="", report=refuse) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"InputPath": "$.a"}, {"b": 1}),
        ({"InputPath": None}, {}),
        ({"InputPath": "$$"}, CONTEXT),
        ({"InputPath": "$$.env"}, "staging"),
        ({"Parameters": {"x.$": "$.a.b"}}, {"x": 1}),
        ({"InputPath": "$.a", "Parameters": {"x.$": "$.b", "y": 2}}, {"x": 1, "y": 2}),
        ({"InputPath": None, "Parameters": {"x.$": "$"}}, {"x": {}}),
    ],
)
def test_input_path_comes_first_then_the_template(fields: dict[str, Json], expected: Json) -> None:
    assert prepared(fields) == expected


# ---- after


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("RESULT", RESULT)),
        ({"ResultPath": "$", "OutputPath": "$"}, ("RESULT", RESULT)),
        ({"ResultPath": None}, ("INPUT", INPUT)),
        ({"ResultPath": "$.r"}, ("VALUE", {"a": {"b": 1}, "n": [1, 2], "r": RESULT})),
        ({"ResultPath": "$.a.c"}, ("VALUE", {"a": {"b": 1, "c": RESULT}, "n": [1, 2]})),
        ({"ResultSelector": {"x.$": "$.r"}}, ("VALUE", {"x": 5})),
        ({"ResultSelector": {"x.$": "$.r"}, "ResultPath": "$.a"}, ("VALUE", {"a": {"x": 5}, "n": [1, 2]})),
        ({"ResultSelector": {"x.$": "$.r"}, "ResultPath": None}, ("INPUT", INPUT)),
        ({"OutputPath": "$.r"}, ("VALUE", 5)),
        ({"OutputPath": None}, ("VALUE", {})),
        ({"OutputPath": "$$.env"}, ("VALUE", "staging")),
        ({"ResultPath": None, "OutputPath": "$.a"}, ("VALUE", {"b": 1})),
        ({"ResultPath": "$.r", "OutputPath": "$.r.r"}, ("VALUE", 5)),
    ],
)
def test_the_output_is_made_of_input_and_result_and_its_place_is_told(
    fields: dict[str, Json], expected: tuple[OutputOf, Json]
) -> None:
    assert finished(fields) == expected


@pytest.mark.parametrize(("handed", "output"), [("INPUT", INPUT), ("RESULT", RESULT), ("VALUE", RESULT)])
def test_a_result_handed_on_whole_lies_where_the_caller_says(handed: OutputOf, output: Json) -> None:
    assert finished({}, handed) == (handed, output)
    assert finished({"ResultPath": None}, handed) == ("INPUT", INPUT)
    assert finished({"ResultSelector": {}}, handed) == ("VALUE", {})


def test_a_result_that_is_discarded_is_selected_first_and_that_may_fail() -> None:
    finish = compile_finish(
        {"ResultSelector": {"x.$": "$.no"}, "ResultPath": None}, result="RESULT", pointer="", report=refuse
    )
    with pytest.raises(StateFailure) as failure:
        finish(INPUT, RESULT, NOWHERE)
    assert (failure.value.error, failure.value.cause) == (
        "States.Runtime",
        "The JSONPath '$.no' specified for the field 'x.$' could not be found in the input '{\"r\":5}'",
    )


def test_where_the_output_lies_does_not_depend_on_values() -> None:
    finish = compile_finish({"OutputPath": "$.a"}, result="RESULT", pointer="", report=refuse)
    same: Json = {}

    assert finish(same, {"a": same}, NOWHERE) == ("VALUE", same)
    assert compile_finish({}, result="RESULT", pointer="", report=refuse)(same, same, NOWHERE) == ("RESULT", same)


def test_a_caught_error_is_placed_by_result_path_alone() -> None:
    error: Json = {"Error": "E", "Cause": "C"}

    assert compile_caught({}, pointer="", report=refuse)(INPUT, error, NOWHERE) == ("VALUE", error)
    assert compile_caught({"ResultPath": None}, pointer="", report=refuse)(INPUT, error, NOWHERE) == ("INPUT", INPUT)
    assert compile_caught({"ResultPath": "$.e"}, pointer="", report=refuse)({"a": 1}, error, NOWHERE) == (
        "VALUE",
        {"a": 1, "e": error},
    )


def test_paths_with_faults_are_reported_at_their_fields() -> None:
    faults: list[tuple[str, str]] = []

    def note(pointer: str, message: str) -> None:
        faults.append((pointer, message.partition(" at character")[0]))

    compile_prepare({"InputPath": "a"}, template=None, pointer="/S", report=note)
    compile_finish(
        {"ResultPath": "$..a", "OutputPath": "$.a.", "ResultSelector": {"x.$": "y"}},
        result="VALUE",
        pointer="/S",
        report=note,
    )
    compile_finish({"ResultPath": 5, "OutputPath": []}, result="VALUE", pointer="/S", report=refuse)

    assert faults == [
        ("/S/InputPath", "a path starts with '$', got 'a'"),
        (
            "/S/ResultSelector",
            "The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic function call",
        ),
        ("/S/ResultPath", "a reference path names a single place, by names and indexes, got '$..a'"),
        ("/S/OutputPath", "not a valid JSONPath: expected a name"),
    ]


# ---- values that paths give


def cause_of(evaluate: Evaluate | str | None, value: Json) -> str:
    assert callable(evaluate)
    with pytest.raises(StateFailure) as failure:
        evaluate(value, NOWHERE)
    assert failure.value.error == "States.Runtime"
    return failure.value.cause


def test_seconds_path_gives_whole_seconds_from_zero_on() -> None:
    evaluate = compile_seconds_path({"SecondsPath": "$.s"}, pointer="", report=refuse)

    assert callable(evaluate)
    assert [evaluate({"s": seconds}, NOWHERE) for seconds in (0, 5)] == [0, 5]
    # recorded: test_base_wait_seconds_path
    assert cause_of(evaluate, {"s": -1}) == "The SecondsPath parameter references a negative value: $.s == -1"
    assert cause_of(evaluate, {"s": -1.5}) == "The SecondsPath parameter cannot be parsed as a long value: $.s == -1.5"
    assert cause_of(evaluate, {"s": "x"}) == "The SecondsPath parameter cannot be parsed as a long value: $.s == x"
    assert cause_of(evaluate, {"s": True}) == "The SecondsPath parameter cannot be parsed as a long value: $.s == true"
    assert cause_of(evaluate, {}) == "The SecondsPath parameter does not reference an input value: $.s"


def test_timestamp_path_gives_a_moment() -> None:
    evaluate = compile_timestamp_path({"TimestampPath": "$.t"}, pointer="", report=refuse)

    assert callable(evaluate)
    assert evaluate({"t": "1970-01-01T00:00:01Z"}, NOWHERE) == 1_000
    # recorded: test_wait_timestamp_path
    said = "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: "
    assert cause_of(evaluate, {"t": "05-12-2016T21:29:29Z"}) == f"{said}$.t == 05-12-2016T21:29:29Z"
    assert cause_of(evaluate, {"t": 5}) == f"{said}$.t == 5"
    assert cause_of(evaluate, {}) == "The TimestampPath parameter does not reference an input value: $.t"


def test_integer_paths_give_an_integer_within_limits() -> None:
    evaluate = compile_integer_path(
        {"TimeoutSecondsPath": "$.t"}, "TimeoutSecondsPath", range=SECONDS, pointer="", report=refuse
    )

    assert callable(evaluate)
    assert [evaluate({"t": seconds}, NOWHERE) for seconds in (1, MAX_SECONDS)] == [1, MAX_SECONDS]
    # recorded for MaxItemsPath and ToleratedFailureCountPath
    said = 'The TimeoutSecondsPath field refers to value "{}" which is not a valid integer: $.t'
    wrong: list[Json] = [1.5, "NoNumber", {}, False]
    assert [cause_of(evaluate, {"t": value}) for value in wrong] == [
        said.format(shown) for shown in ("1.5", "NoNumber", "{}", "false")
    ]
    said = 'The TimeoutSecondsPath field refers to value "{}" which is not between 1 and 99999999: $.t'
    assert [cause_of(evaluate, {"t": value}) for value in (0, 2**62)] == [said.format(0), said.format(2**62)]


def _check_whole(value: Json, _: Environment) -> Json:
    return check_items(value)


def test_items_path_gives_an_array() -> None:
    evaluate = compile_items_path({"ItemsPath": "$.n"}, pointer="", report=refuse)

    assert callable(evaluate)
    assert evaluate({"n": [1]}, NOWHERE) == [1]
    # recorded for "$$": test_state_map_context_object
    whole_context = compile_items_path({"ItemsPath": "$$"}, pointer="", report=refuse)
    assert cause_of(whole_context, []) == 'Reference path "$" must point to array.'
    assert cause_of(evaluate, {"n": {}}) == 'Reference path "$.n" must point to array.'
    assert cause_of(_check_whole, 5) == 'Reference path "$" must point to array.'
    assert compile_items_path({"ItemsPath": "$"}, pointer="", report=refuse) is None
    assert compile_items_path({}, pointer="", report=refuse) is None


def test_a_fails_error_and_cause_are_texts_or_the_texts_paths_give() -> None:
    assert compile_text({}, "Error", pointer="", report=refuse) is None
    assert compile_text({"Error": "E"}, "Error", pointer="", report=refuse) == "E"
    assert compile_text({"Error": 5}, "Error", pointer="", report=refuse) is None

    evaluate = compile_text({"ErrorPath": "$$.env"}, "Error", pointer="", report=refuse)
    assert callable(evaluate)
    assert evaluate({}, NOWHERE) == "staging"

    evaluate = compile_text({"CausePath": "$.c"}, "Cause", pointer="", report=refuse)
    assert cause_of(evaluate, {"c": 5}) == "The CausePath parameter does not reference a string value: $.c == 5"
    assert cause_of(evaluate, {"d": 5}) == (
        "The JSONPath '$.c' specified for the field 'CausePath' could not be found in the input '{\"d\":5}'"
    )


def test_paths_of_values_with_faults_are_reported_at_their_fields() -> None:
    faults: list[str] = []

    def note(pointer: str, message: str) -> None:
        faults.append(f"{pointer}: {message}")

    compile_seconds_path({"SecondsPath": "s"}, pointer="/S", report=note)
    compile_text({"ErrorPath": "States.Format('{}'"}, "Error", pointer="/S", report=note)

    assert faults == [
        "/S/SecondsPath: a path starts with '$', got 's'",
        "/S/ErrorPath: not a valid intrinsic function call: expected ',' or ')', got 'the end' at character 19 of"
        " \"States.Format('{}'\"",
    ]


def test_parameters_after_an_input_path_read_the_context_object_too() -> None:
    fields = {"InputPath": "$.a", "Parameters": {"x.$": "$", "id.$": "$$.Execution.Name"}}
    run = Run(scope_of("A", {"Type": "Pass", "End": True, **fields}), {"a": 5})
    assert run.execution.output == {"x": 5, "id": "1"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ResultPath": "$.r"}, {"a": 5, "r": {"y": 7, "id": "1"}}),
        ({"OutputPath": "$.id"}, "1"),
    ],
)
def test_a_result_selector_reads_the_context_object_too(fields: dict[str, Any], expected: Json) -> None:
    selector = {"y.$": "$.x", "id.$": "$$.Execution.Name"}
    run = Run(scope_of("A", task("A", ResultSelector=selector, **fields)), {"a": 5})
    run.complete("A", {"x": 7})
    assert run.execution.output == expected
