"""The quota of history events, to the event: tests/scenarios/limits.yaml has the sources."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from processor import Outcome, parse, start
from processor.model.events import MachineType
from processor.model.json import Json
from tests.interpreter.scenario import machine, scope_of
from tests.interpreter.test_distributed import distributed

LOOP: dict[str, Any] = {
    "A": {"Type": "Pass", "Next": "B"},
    "B": {"Type": "Choice", "Choices": [{"Variable": "$.stop", "IsPresent": True, "Next": "C"}], "Default": "A"},
    "C": {"Type": "Pass", "End": True},
}


def passes(count: int) -> dict[str, Any]:
    """Return a machine of Pass states one after the other: 2 * count + 2 events of AWS."""
    states: dict[str, Any] = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(count - 1)}
    return machine("S0", {**states, f"S{count - 1}": {"Type": "Pass", "End": True}})


def started(definition: dict[str, Any], input: Json, *, quota: int | None) -> Outcome:
    return start(replace(parse(definition), history_quota=quota), input)


def ended(outcome: Outcome) -> tuple[str, str | None, str | None, int]:
    execution = outcome.execution
    assert execution is not None
    return execution.status, execution.error, execution.cause, execution.aws_events


@pytest.mark.parametrize("quota", [8, 9, 1_000, None])
def test_an_execution_may_have_as_many_events_as_the_quota(quota: int | None) -> None:
    assert ended(started(passes(3), {}, quota=quota)) == ("SUCCEEDED", None, None, 8)


@pytest.mark.parametrize("quota", [5, 6, 7])
def test_the_failure_is_the_last_event_that_the_quota_has_room_for(quota: int) -> None:
    cause = f"The execution reached the maximum number of history events ({quota})."
    assert ended(started(passes(3), {}, quota=quota)) == ("FAILED", "States.Runtime", cause, quota)


@pytest.mark.parametrize(("quota", "last"), [(6, "ExecutionFailed"), (7, "TaskScheduled")])
def test_a_tasks_two_events_are_let_in_only_where_room_is_left_for_an_end(quota: int, last: str) -> None:
    states: dict[str, Any] = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Task", "Resource": "r", "End": True}}
    event = started(machine("A", states), {}, quota=quota).events[-1]
    assert (type(event).__name__, event.scope, event.state) == (last, (), "B" if last == "TaskScheduled" else "")


def test_only_a_standard_machine_has_a_quota() -> None:
    types: tuple[MachineType, ...] = ("STANDARD", "EXPRESS")
    assert [parse(passes(1), type=type).history_quota for type in types] == [25_000, None]


def outcomes(outcome: Outcome) -> list[Any]:
    """Return what each child of the Map gave: its output, or what its record says of its failure."""
    execution = outcome.execution
    assert execution is not None and isinstance(execution.output, list)
    return [
        (record["Status"], record["Error"], record["Cause"])
        if isinstance(record, dict) and "ExecutionArn" in record
        else record
        for record in execution.output
    ]


@pytest.mark.parametrize("execution_type", ["STANDARD", "EXPRESS"])
def test_a_child_that_goes_round_for_ever_fails_at_the_quota_and_the_map_goes_on(execution_type: str) -> None:
    """Of either type: nothing else would end it here (docs/decisions/0014)."""
    each = distributed(machine("A", LOOP), execution_type, ToleratedFailureCount=1)
    cause = "The execution reached the maximum number of history events (20)."
    assert outcomes(started(scope_of("M", each), [{}, {"stop": 1}], quota=20)) == [
        ("FAILED", "States.Runtime", cause),
        {"stop": 1},
    ]


@pytest.mark.parametrize(
    ("quota", "given"),
    [
        (None, 1),
        (9, 1),
        (8, ("FAILED", "States.Runtime", "The execution reached the maximum number of history events (8).")),
    ],
)
def test_a_child_may_enter_as_many_states_as_the_quota_has_room_for(quota: int | None, given: object) -> None:
    """The last of four would be its seventh and eighth event, which leaves none for its end."""
    each = distributed(passes(4), ToleratedFailurePercentage=100)
    assert outcomes(started(scope_of("M", each), [1], quota=quota)) == [given]
