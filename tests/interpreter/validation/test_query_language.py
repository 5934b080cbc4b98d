"""Fields of the other query language, and languages that are none."""

from __future__ import annotations

from typing import Any

import pytest

from processor.interpreter.validation.query_language import other_language_message
from processor.interpreter.validation.walk import Language
from tests.interpreter.validation.told import DONE, machine, state_told, told

JSONPATH: Language = "JSONPath"
JSONATA: Language = "JSONata"
SCOPE = machine(I=DONE)


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ({"Type": "Pass", "Output": 1}, ["Output"]),
        ({"Type": "Task", "Resource": "f", "Arguments": {}, "Output": 1}, ["Arguments", "Output"]),
        ({"Type": "Map", "ItemProcessor": SCOPE, "Items": [1]}, ["Items"]),
        ({"Type": "Succeed", "Output": 1}, ["Output"]),
        ({"Type": "Parallel", "Branches": [SCOPE], "Arguments": {}}, ["Arguments"]),
    ],
)
def test_a_jsonpath_state_has_no_field_of_jsonata(state: dict[str, Any], fields: list[str]) -> None:
    """Measured on AWS (floci issue 2968): the fault stands at the state, not at the field."""
    assert state_told(state) == [("", other_language_message(field, JSONPATH)) for field in fields]


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ({"Type": "Pass", "InputPath": "$", "ResultPath": "$", "Result": 1}, ["InputPath", "ResultPath", "Result"]),
        ({"Type": "Task", "Resource": "f", "Parameters": {}, "ResultSelector": {}}, ["Parameters", "ResultSelector"]),
        ({"Type": "Task", "Resource": "f", "TimeoutSecondsPath": "$.t"}, ["TimeoutSecondsPath"]),
        ({"Type": "Map", "ItemProcessor": SCOPE, "ItemsPath": "$"}, ["ItemsPath"]),
        ({"Type": "Map", "ItemProcessor": SCOPE, "MaxConcurrencyPath": "$.n"}, ["MaxConcurrencyPath"]),
        ({"Type": "Fail", "ErrorPath": "$.e", "CausePath": "$.c"}, ["ErrorPath", "CausePath"]),
    ],
)
def test_a_jsonata_state_has_no_field_of_jsonpath(state: dict[str, Any], fields: list[str]) -> None:
    assert state_told(state, JSONATA) == [("", other_language_message(field, JSONATA)) for field in fields]


def test_a_field_that_the_type_never_has_is_unknown_in_both() -> None:
    assert state_told({"Type": "Pass", "Arguments": {}}) == [("", "Field 'Arguments' is not supported")]
    assert state_told({"Type": "Fail", "InputPath": "$"}, JSONATA) == [("", "Field 'InputPath' is not supported")]


def test_rules_catchers_and_readers_have_languages_too() -> None:
    choice = {
        "Type": "Choice",
        "Choices": [{"Condition": "{% true %}", "Variable": "$.a", "IsNull": True, "Next": "N"}],
        "Default": "N",
    }
    selectors = "[And, Or, Not, Variable, Condition]"
    select = ("/Choices/0", f"The object must have only one of the following fields, {selectors}")
    catch = {"ErrorEquals": ["E"], "Next": "N", "ResultPath": "$", "Output": 1}
    task = {"Type": "Task", "Resource": "f", "Catch": [catch]}

    assert state_told(choice) == [("/Choices/0", other_language_message("Condition", JSONPATH)), select]
    assert sorted(state_told(choice, JSONATA)) == [
        ("/Choices/0", other_language_message("IsNull", JSONATA)),
        ("/Choices/0", other_language_message("Variable", JSONATA)),
    ]
    assert state_told(task) == [("/Catch/0", other_language_message("Output", JSONPATH))]
    assert state_told(task, JSONATA) == [("/Catch/0", other_language_message("ResultPath", JSONATA))]


def test_the_parts_of_a_distributed_map_have_languages_too() -> None:
    state = {
        "Type": "Map",
        "ItemProcessor": {**SCOPE, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "Parameters": {},
            "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$.n"},
        },
        "ItemBatcher": {"MaxItemsPerBatchPath": "$.n"},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {}},
    }

    # measured on AWS: floci issue 3733 for the Path fields
    found = state_told(state, JSONATA)
    expected = [
        ("/ItemReader", other_language_message("Parameters", JSONATA)),
        ("/ItemReader/ReaderConfig", other_language_message("MaxItemsPath", JSONATA)),
        ("/ResultWriter", other_language_message("Parameters", JSONATA)),
        ("/ItemBatcher", other_language_message("MaxItemsPerBatchPath", JSONATA)),
    ]
    assert sorted(each for each in found if each in expected) == sorted(expected)


def test_a_state_goes_over_to_jsonata_and_never_back() -> None:
    # recorded: test_validate_state_machine_definition_type_express[INVALID_DOWNGRADE_QUERY_LANGUAGE]
    back = machine(JSONATA, S={"Type": "Pass", "QueryLanguage": JSONPATH, "Output": 1, "End": True})
    message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
    over = machine(S={"Type": "Pass", "QueryLanguage": JSONATA, "Output": 1, "End": True})

    assert ("/States/S", message) in told(back)
    assert ("/States/S", other_language_message("Output", JSONPATH)) not in told(back)
    assert told(over) == []


def test_what_is_within_a_map_has_the_machines_language_and_not_the_maps() -> None:
    inner = machine(I={"Type": "Pass", "Output": 1, "End": True})
    definition = machine(M={"Type": "Map", "QueryLanguage": JSONATA, "ItemProcessor": inner, "End": True})

    assert told(definition) == [("/States/M/ItemProcessor/States/I", other_language_message("Output", JSONPATH))]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("jsonpath", "Value should be one of the following: [JSONPath, JSONata]"),
        (5, "Expected value of type [STRING]"),
        (None, "Value cannot be null"),
    ],
)
def test_a_language_that_is_none_is_jsonata_and_a_fault(written: object, message: str) -> None:
    state = {"Type": "Pass", "QueryLanguage": written, "InputPath": "$"}

    assert sorted(state_told(state)) == [
        ("", other_language_message("InputPath", JSONATA)),
        ("/QueryLanguage", message),
    ]
    assert ("/QueryLanguage", message) in told({**machine(S=DONE), "QueryLanguage": written})


def test_a_processor_declares_no_language() -> None:
    for field in ("ItemProcessor", "Iterator"):
        state = {"Type": "Map", field: {**SCOPE, "QueryLanguage": JSONATA}}
        assert state_told(state) == [(f"/{field}", "Field 'QueryLanguage' is not supported")]
