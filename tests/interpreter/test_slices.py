"""Commands that come while a failure is being carried out in slices: what is being cut takes no answer any more.

Every history here is checked as the property tests check theirs: event by event, each read back from its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from processor import CompleteTask, FailTask, Millis, TaskScheduled, parse
from processor.interpreter.decide import timer_due
from processor.interpreter.interpreter import decided
from processor.interpreter.refused import Refused
from processor.model.commands import FireTimer
from processor.model.ids import ScopeKey
from processor.model.json import Json
from tests.interpreter.scenario import Fields, scope_of, task, told
from tests.properties.replay import check_trail
from tests.properties.world import SlicedPlayed

PLAYED: list[SlicedPlayed] = []


@pytest.fixture(autouse=True)
def _trails_hold() -> Iterator[None]:
    PLAYED.clear()
    yield
    for played in PLAYED:
        check_trail(played.workflow, played.trail)


def sliced(definition: Fields, input: Json, *, max_events: int) -> SlicedPlayed:
    """Return an execution at its first rest, which goes on in slices of so many events."""
    played = SlicedPlayed(parse(dict(definition)), max_events=max_events, input=input)
    PLAYED.append(played)
    return at_rest(played)


def at_rest(played: SlicedPlayed) -> SlicedPlayed:
    while not played.execution.at_rest:
        played.go_on()
    return played


def asked(played: SlicedPlayed, scope: ScopeKey) -> TaskScheduled:
    return next(event for event in played.events if isinstance(event, TaskScheduled) and event.scope == scope)


def side_by_side(*branches: Fields) -> Fields:
    return scope_of("P", {"Type": "Parallel", "Branches": list(branches), "End": True})


def a_map(**fields: Any) -> Fields:
    each = {"Type": "Map", "ItemProcessor": scope_of("T", task("T", **fields)), "End": True}
    return scope_of("M", each)


def reason(played: SlicedPlayed, scope: ScopeKey) -> str:
    """Complete the task at `scope`, which must be refused; return why."""
    command = CompleteTask.of(asked(played, scope), 1)
    decision = decided(played.execution, command, now=played.execution.time, offset=None)
    assert isinstance(decision, Refused), decision
    assert not played.give(command)
    return decision.reason


def test_the_last_iteration_of_a_map_that_is_being_cut_does_not_end_the_map() -> None:
    played = sliced(side_by_side(a_map(), scope_of("F", task("F"))), [0, 1], max_events=1)
    before = len(played.events)
    assert played.give(FailTask.of(asked(played, (1,)), error="X"))
    assert reason(played, (0, 1)) == "TaskNotPending"
    assert told(at_rest(played).events[before:]) == [
        ("TaskFailed", (1,), "F"),
        ("MapIterationAborted", (0, 0), "M"),
        ("StateAborted", (0, 0), "T"),
        ("MapIterationAborted", (0, 1), "M"),
        ("StateAborted", (0, 1), "T"),
        ("StateAborted", (0,), "M"),
        ("StateAborted", (1,), "F"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_map_that_is_being_cut_starts_no_further_iteration_in_the_slots_that_come_free() -> None:
    played = sliced(side_by_side(a_map(), scope_of("F", task("F"))), list(range(60)), max_events=10)
    before = len(played.events)
    played.give(FailTask.of(asked(played, (1,)), error="X"))
    assert reason(played, (0, 30)) == "TaskNotPending"
    cut = [((0, index), state) for index in range(40) for state in ("M", "T")]
    assert [(event.scope, event.state) for event in at_rest(played).events[before:]] == [
        ((1,), "F"),
        *cut,
        ((0,), "M"),
        ((1,), "F"),
        ((), "P"),
        ((), ""),
    ]


def test_the_siblings_of_an_iteration_that_failed_take_no_answer_once_one_of_them_is_cut() -> None:
    played = sliced(a_map(), [0, 1, 2], max_events=1)
    before = len(played.events)
    played.give(FailTask.of(asked(played, (1,)), error="X"))
    assert reason(played, (2,)) == "TaskNotPending"
    assert told(at_rest(played).events[before:]) == [
        ("TaskFailed", (1,), "T"),
        ("MapIterationAborted", (0,), "M"),
        ("StateAborted", (0,), "T"),
        ("MapIterationAborted", (2,), "M"),
        ("StateAborted", (2,), "T"),
        ("StateAborted", (1,), "T"),
        ("MapIterationFailed", (1,), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]


def test_nothing_waits_for_the_timers_of_what_is_being_cut() -> None:
    played = sliced(side_by_side(a_map(TimeoutSeconds=5), scope_of("F", task("F"))), [0, 1], max_events=1)
    timer = FireTimer.of(asked(played, (0, 1)), "timeout")
    assert timer_due(played.execution, timer.timer_id) == 5000
    played.give(FailTask.of(asked(played, (1,)), error="X"))
    assert timer_due(played.execution, timer.timer_id) is None
    assert not played.give(timer, Millis(5000))


def test_what_is_not_being_cut_yet_still_takes_answers() -> None:
    """Branch 0 ends though branch 2 has failed: nothing was cut yet."""
    played = sliced(side_by_side(*(scope_of(name, task(name)) for name in "ABC")), {}, max_events=100)
    played.max_events = 0
    played.give(FailTask.of(asked(played, (2,)), error="X"))
    before = len(played.events)
    played.max_events = 100
    assert played.give(CompleteTask.of(asked(played, (0,)), 1))
    assert told(played.events[before:]) == [
        ("TaskSucceeded", (0,), "A"),
        ("StateExited", (0,), "A"),
        ("StateAborted", (1,), "B"),
        ("StateAborted", (2,), "C"),
        ("ParallelFailed", (), "P"),
        ("ExecutionFailed", (), ""),
    ]


def test_the_iterations_of_a_map_whose_selector_failed_take_no_answer_before_they_are_cut() -> None:
    """In JSONata the failure is told by an event of its own, before the first cut."""
    fails_at_2 = "{% $states.context.Map.Item.Index = 2 ? $error('no') : 1 %}"
    each = {"Type": "Map", "MaxConcurrency": 2, "ItemSelector": fails_at_2, "End": True}
    each["ItemProcessor"] = scope_of("T", {"Type": "Task", "Resource": "t", "End": True})
    played = sliced(scope_of("M", each) | {"QueryLanguage": "JSONata"}, [0, 1, 2], max_events=1)
    assert played.give(CompleteTask.of(asked(played, (0,)), 1))
    while told(played.events)[-1][0] != "EvaluationFailed":
        played.go_on()
    before = len(played.events)
    assert reason(played, (1,)) == "TaskNotPending"
    assert told(at_rest(played).events[before:]) == [
        ("MapIterationAborted", (1,), "M"),
        ("StateAborted", (1,), "T"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]


def test_a_failure_in_one_branch_leaves_what_is_to_go_on_below_another() -> None:
    """The answer comes while an iteration in the other branch has not entered its state yet."""
    caught = dict(a_map())
    caught["States"]["M"]["Catch"] = [{"ErrorEquals": ["E"], "Next": "H"}]
    caught["States"]["H"] = {"Type": "Pass", "Result": "caught", "End": True}
    other = {"Type": "Map", "ItemProcessor": scope_of("X", {"Type": "Pass", "End": True}), "End": True}
    played = SlicedPlayed(parse(dict(side_by_side(caught, scope_of("N", other)))), max_events=1, input=[7])
    PLAYED.append(played)
    while (1, 0) not in played.execution.runnable:
        played.go_on()
    assert played.give(FailTask.of(asked(played, (0, 0)), error="E"))
    assert at_rest(played).execution.output == ["caught", [7]]
