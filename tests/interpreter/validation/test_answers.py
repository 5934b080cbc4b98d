"""The answers of AWS's API: of ValidateStateMachineDefinition, and of CreateStateMachine where it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from processor.errors import InvalidDefinition
from processor.interpreter.parse import parse
from processor.interpreter.validation.answers import refusal_message, validate_definition
from processor.interpreter.validation.reading import MAX_LENGTH
from processor.model.json import Json
from tests.interpreter.validation.told import DONE, SCHEMA, machine

WARNED = machine(S={"Type": "Pass", "Parameters": {"a": "$.b"}, "End": True})
TOO_LONG = (
    f"Value at 'definition' failed to satisfy constraint: Member must have length less than or equal to {MAX_LENGTH}"
)
TARGET = "MISSING_TRANSITION_TARGET"


def diagnostics(definition: Json | bytes) -> Any:
    return validate_definition(definition)["diagnostics"]


def test_a_valid_definition_is_ok_and_warnings_are_told_when_asked_for() -> None:
    assert validate_definition(WARNED) == {"result": "OK", "diagnostics": [], "truncated": False}

    answer: Any = validate_definition(WARNED, severity="WARNING")
    assert (answer["result"], answer["truncated"]) == ("OK", False)
    assert [(told["code"], told["severity"], told["location"]) for told in answer["diagnostics"]] == [
        ("NO_DOLLAR", "WARNING", "/States/S/Parameters")
    ]


def test_faults_come_before_warnings() -> None:
    definition = {**WARNED, "Extra": 1, "TimeoutSeconds": "x"}

    answer: Any = validate_definition(definition, severity="WARNING")
    assert [told["severity"] for told in answer["diagnostics"]] == ["ERROR", "ERROR", "WARNING"]
    assert [told["severity"] for told in diagnostics(definition)] == ["ERROR", "ERROR"]


@pytest.mark.parametrize(("most", "count", "truncated"), [(1, 1, True), (2, 2, False), (0, 2, False)])
def test_no_more_is_told_than_asked_for(most: int, count: int, truncated: bool) -> None:
    """Zero stands for 100: API reference, ValidateStateMachineDefinition."""
    answer: Any = validate_definition({**WARNED, "X": 1, "Y": 2}, max_results=most)
    assert (answer["result"], len(answer["diagnostics"]), answer["truncated"]) == ("FAIL", count, truncated)


def test_places_are_named_as_aws_names_them() -> None:
    """Measured on AWS (floci pull request 2786): indexes in brackets, names as they are, none where none is."""
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "NOPE"}]}
    inner = {"StartAt": "c/d~", "States": {"c/d~": choice}}
    outer = {"Type": "Parallel", "Branches": [inner], "Next": "a b"}
    definition: Json = {"StartAt": "a b", "States": {"a b": outer}}  # type: ignore[dict-item]  # dicts are invariant

    assert diagnostics(definition) == [
        {
            "severity": "ERROR",
            "code": TARGET,
            "message": "Missing 'Next' target: NOPE",
            "location": "/States/a b/Branches[0]/States/c/d~/Choices[0]/Next",
        },
        {"severity": "ERROR", "code": "MISSING_END_STATE", "message": "Workflow has no terminal state"},
    ]


def test_a_place_may_be_a_field_that_is_not_there() -> None:
    [told] = diagnostics({"States": {"S": DONE}})
    assert told["location"] == "/"

    [told] = diagnostics({**machine(S=DONE), "QueryLanguage": 5})
    assert told["location"] == "/QueryLanguage"


@pytest.mark.parametrize(
    ("definition", "code", "message"),
    [
        ("[]", SCHEMA, "Definition must be a valid JSON object"),
        (5, SCHEMA, "Definition must be a valid JSON object"),
        (b"\xff", "INVALID_JSON_DESCRIPTION", "no UTF-8 at byte 0"),
        (" " * (MAX_LENGTH + 1), SCHEMA, TOO_LONG),
        ('{"a":' * 130 + "1" + "}" * 130, "TOO_DEEPLY_NESTED", "Definition is nested more than 128 levels deep"),
    ],
    ids=range(5),
)
def test_what_is_no_definition_has_no_place(definition: Json | bytes, code: str, message: str) -> None:
    assert diagnostics(definition) == [{"severity": "ERROR", "code": code, "message": message}]


def test_create_state_machine_names_every_fault_with_its_place() -> None:
    """Recorded: `Invalid State Machine Definition: '<code>: <message> at <location>'`; several as users report."""
    definition = machine(
        pass1={"Type": "Pass", "Next": "pass3"}, pass2={"Type": "Pass", "Parameters": {"a": "$"}, "End": True}
    )
    with pytest.raises(InvalidDefinition) as invalid:
        parse(definition)

    assert refusal_message(invalid.value, definition) == (
        "Invalid State Machine Definition: 'MISSING_TRANSITION_TARGET: Missing 'Next' target: pass3 at "
        '/States/pass1/Next, MISSING_TRANSITION_TARGET: State "pass2" is not reachable. at /States/pass2\''
    )

    endless = machine(A={"Type": "Pass", "Next": "A"})
    with pytest.raises(InvalidDefinition) as invalid:
        parse(endless)

    assert refusal_message(invalid.value, endless) == (
        "Invalid State Machine Definition: 'MISSING_END_STATE: Workflow has no terminal state at null'"
    )
