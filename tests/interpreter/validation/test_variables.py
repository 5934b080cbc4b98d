"""Names of variables, and scopes that assign what is assigned around them."""

from __future__ import annotations

import pytest

from tests.interpreter.validation.told import DONE, machine, state_told, told


@pytest.mark.parametrize("name", ["x", "price_2", "größe", "変数", "x" * 80])
def test_a_variable_is_called_by_an_identifier_of_unicode(name: str) -> None:
    assert state_told({"Type": "Pass", "Assign": {name: 1}}) == []
    assert state_told({"Type": "Pass", "Assign": {f"{name}.$": "$"}}) == []
    assert state_told({"Type": "Pass", "Assign": {name: 1}}, "JSONata") == []


@pytest.mark.parametrize("name", ["x.y", "x[2]", "2x", "a-b", "", "_x", "$x", "a b"])
def test_a_part_of_a_variable_is_no_name(name: str) -> None:
    message = f"Invalid variable name '{name}': the variable name contains invalid characters."

    assert state_told({"Type": "Pass", "Assign": {name: 1}}) == [
        (f"/Assign/{name}", f"INVALID_VARIABLE_NAME: {message}")
    ]


def test_names_that_are_reserved_or_too_long_are_told_as_such() -> None:
    long = "x" * 81
    state = {"Type": "Pass", "Assign": {"states": 1, long: 2}}

    assert state_told(state, "JSONata") == [
        ("/Assign/states", "RESERVED_VARIABLE_NAME: Cannot assign to reserved variable '$states'."),
        (
            f"/Assign/{long}",
            f"INVALID_VARIABLE_NAME: Invalid variable name '{long}': the variable name exceeds the 80-character limit.",
        ),
    ]


def test_an_inner_scope_assigns_nothing_that_an_outer_one_does() -> None:
    """Developer Guide, "Passing data between states with variables", Variable scope."""
    innermost = machine(C={"Type": "Pass", "Assign": {"x.$": "$", "z": 1}, "End": True})
    branches = [
        machine(B={"Type": "Map", "Assign": {"y": 1}, "ItemProcessor": innermost, "End": True}),
        machine(D={"Type": "Pass", "Assign": {"y": 1, "w": 2}, "End": True}),
    ]
    definition = machine(
        A={"Type": "Parallel", "Branches": branches, "Next": "E"},
        E={
            "Type": "Choice",
            "Choices": [{"Variable": "$", "IsNull": True, "Assign": {"x": 1}, "Next": "F"}],
            "Default": "F",
        },
        F={
            "Type": "Task",
            "Resource": "f",
            "Catch": [{"ErrorEquals": ["E"], "Assign": {"w": 1}, "Next": "G"}],
            "Next": "G",
        },
        G=DONE,
    )

    again = "is already assigned in an outer scope."
    assert told(definition) == [
        (
            "/States/A/Branches/0/States/B/ItemProcessor/States/C/Assign/x.$",
            f"DUPLICATE_VARIABLE_NAME: Variable '$x' {again}",
        ),
        ("/States/A/Branches/1/States/D/Assign/w", f"DUPLICATE_VARIABLE_NAME: Variable '$w' {again}"),
    ]
