"""Where states lead: dangling targets, states nothing reaches, scopes without an end, names given twice.

Codes, texts and which silences which: ValidateStateMachineDefinition's answers, as users of AWS report them.
"""

from __future__ import annotations

import pytest

from processor.errors import InvalidDefinition
from processor.interpreter.parse import parse
from processor.model.json import Json

TARGET, END = "MISSING_TRANSITION_TARGET", "MISSING_END_STATE"
DONE: dict[str, Json] = {"Type": "Succeed"}


def to(name: str) -> dict[str, Json]:
    return {"Type": "Pass", "Next": name}


def faults_of(states: dict[str, Json], start: Json = "A") -> list[tuple[str, str, str]]:
    try:
        parse({"StartAt": start, "States": states})
    except InvalidDefinition as invalid:
        return [(fault.pointer, fault.code, fault.message) for fault in invalid.diagnostics]
    return []


def test_every_state_reached_and_an_end_is_no_fault() -> None:
    choice: dict[str, Json] = {
        "Type": "Choice",
        "Choices": [{"Variable": "$", "IsNull": True, "Next": "B"}],
        "Default": "C",
    }
    task: dict[str, Json] = {
        "Type": "Task",
        "Resource": "work",
        "Catch": [{"ErrorEquals": ["E"], "Next": "D"}],
        "Next": "A",
    }

    assert faults_of({"A": choice, "B": task, "C": to("C"), "D": {"Type": "Fail"}}) == []


def test_a_target_that_is_not_there_is_named_where_it_stands() -> None:
    choice: dict[str, Json] = {
        "Type": "Choice",
        "Choices": [{"Variable": "$", "IsNull": True, "Next": "X"}],
        "Default": "Y",
    }
    task: dict[str, Json] = {
        "Type": "Task",
        "Resource": "work",
        "Catch": [{"ErrorEquals": ["E"], "Next": "Z"}],
        "End": True,
    }

    assert faults_of({"A": choice, "B": task, "C": to("A")}) == [
        ("/States/A/Default", TARGET, "Missing 'Next' target: Y"),
        ("/States/A/Choices/0/Next", TARGET, "Missing 'Next' target: X"),
        ("/States/B/Catch/0/Next", TARGET, "Missing 'Next' target: Z"),
        ("/States/B", TARGET, 'State "B" is not reachable.'),
        ("/States/C", TARGET, 'State "C" is not reachable.'),
    ]


def test_a_start_that_is_not_there_leaves_every_state_unreached() -> None:
    assert faults_of({"Pass One": to("Success"), "Success": DONE}, "Not sure") == [
        ("/StartAt", TARGET, "Missing 'Next' target: Not sure"),
        ("/States/Pass One", TARGET, 'State "Pass One" is not reachable.'),
        ("/States/Success", TARGET, 'State "Success" is not reachable.'),
    ]


def test_a_state_that_nothing_leads_to_is_named() -> None:
    assert faults_of({"pass1": to("pass3"), "pass2": {"Type": "Pass", "End": True}}, "pass1") == [
        ("/States/pass1/Next", TARGET, "Missing 'Next' target: pass3"),
        ("/States/pass2", TARGET, 'State "pass2" is not reachable.'),
    ]


def test_a_loop_without_an_end_is_one_fault_and_silences_what_is_unreached() -> None:
    assert faults_of({"A": to("B"), "B": to("A")}) == [("", END, "Workflow has no terminal state")]
    assert faults_of({"A": to("B"), "B": to("A"), "C": to("A")}) == [("", END, "Workflow has no terminal state")]
    assert faults_of({"A": to("B"), "B": to("A"), "C": DONE}) == [("/States/C", TARGET, 'State "C" is not reachable.')]
    assert faults_of({"A": to("NOPE")}) == [
        ("/States/A/Next", TARGET, "Missing 'Next' target: NOPE"),
        ("", END, "Workflow has no terminal state"),
    ]


def test_only_the_machine_itself_is_asked_for_an_end() -> None:
    """Measured by users of AWS: a branch that goes round for ever is no fault."""
    branch: Json = {"StartAt": "I", "States": {"I": to("J"), "J": to("I"), "K": DONE}}

    assert faults_of({"A": {"Type": "Parallel", "Branches": [branch], "End": True}}) == [
        ("/States/A/Branches/0/States/K", TARGET, 'State "K" is not reachable.')
    ]


def test_a_branch_leads_nowhere_outside_itself() -> None:
    branch: Json = {"StartAt": "I", "States": {"I": to("B")}}

    assert faults_of({"A": {"Type": "Parallel", "Branches": [branch], "Next": "B"}, "B": to("I"), "C": DONE}) == [
        ("/States/A/Branches/0/States/I/Next", TARGET, "Missing 'Next' target: B"),
        ("/States/B/Next", TARGET, "Missing 'Next' target: I"),
        ("/States/C", TARGET, 'State "C" is not reachable.'),
    ]


def test_a_name_is_given_once_in_a_whole_definition() -> None:
    inner: Json = {"StartAt": "B", "States": {"B": DONE}}

    assert faults_of({"A": {"Type": "Map", "ItemProcessor": inner, "Next": "B"}, "B": DONE}) == [
        ("/States/B", "DUPLICATE_STATE_NAME", "Duplicate State name: B")
    ]


@pytest.mark.parametrize("start", [5, None])
def test_without_a_start_nothing_is_said_of_what_is_reached(start: Json) -> None:
    assert {code for _, code, _ in faults_of({"A": DONE, "B": DONE}, start)} == {"SCHEMA_VALIDATION_FAILED"}


@pytest.mark.parametrize(
    "state",
    [
        5,
        {"Type": "Nope"},
        {"Type": "Choice", "Choices": 5},
        {"Type": "Choice", "Choices": [5, {"Next": 5}], "Next": []},
    ],
)
def test_states_with_other_faults_are_followed_as_far_as_they_go(state: Json) -> None:
    assert [fault for fault in faults_of({"A": to("B"), "B": state, "C": DONE}) if fault[1] == TARGET] == [
        ("/States/C", TARGET, 'State "C" is not reachable.')
    ]
