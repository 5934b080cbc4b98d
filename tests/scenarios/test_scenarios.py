"""Every scenario, three ways: straight, recovered from bytes after each command, in all orders of what is independent.

scenario.py says how to read them. Whole values are compared: status, output, error and cause; the history of the order
written; and where a log is cut, what follows.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.runner import conformance_dir, load_cases
from tests.interpreter.scenario import check_history
from tests.properties.replay import check_every_prefix
from tests.scenarios.scenario import Scenario, definition_of, load_histories, load_tables
from tests.scenarios.world import World, compact, orders, recovered, straight

FOLDER = conformance_dir()
TABLES = dict(load_tables())
HISTORIES = {stem: load_histories(stem) for stem in TABLES}
ALL = [(stem, scenario) for stem, table in TABLES.items() for scenario in table.scenarios]
each = pytest.mark.parametrize(("stem", "scenario"), [pytest.param(*one, id=f"{one[0]}: {one[1].name}") for one in ALL])
_SENTENCE = r"\S+( \S+){2,}"
RECORDING = re.compile(r"(?<![\w/])(?:Test\w+::)?test_\w+(?:\[[^\]]+\])?(?!\.py)")
FORMS = (
    rf"(ASL specification|Developer Guide|API reference), [^:]+: {_SENTENCE}",
    rf"Recorded: {RECORDING.pattern}",
    rf"Second-hand: {_SENTENCE} \(.+\)|Second-hand: a recording by {_SENTENCE}",
    rf"By analogy( to [^:]+)?: {_SENTENCE}",
    rf"Design: {_SENTENCE}",
)
"""How a citation of each of scenario.py's kinds reads: the place, and in a few words what stands there."""
MOST_CUT = 60  # events; the check of every prefix takes their square


def expected(scenario: Scenario) -> dict[str, Any]:
    return {
        "status": scenario.status,
        "output": scenario.output,
        "error": scenario.error,
        "cause": scenario.cause,
    }


def world_of(stem: str, scenario: Scenario, **how: Any) -> World:
    return World(scenario, definition_of(TABLES[stem], scenario), **how)


@each
def test_straight(stem: str, scenario: Scenario) -> None:
    world = world_of(stem, scenario, between=straight).run(orders(scenario)[0])
    assert world.answer() == expected(scenario)
    assert compact(world.commands) == HISTORIES[stem][scenario.name]
    check_history(world.execution, world.events)
    if len(world.events) <= MOST_CUT:
        check_every_prefix(world.workflow, world.events, world.given)


@each
def test_recovered_after_every_command(stem: str, scenario: Scenario) -> None:
    world = world_of(stem, scenario, between=recovered).run(orders(scenario)[0])
    assert world.answer() == expected(scenario)
    assert compact(world.commands) == HISTORIES[stem][scenario.name]


@pytest.mark.parametrize(
    ("stem", "scenario"),
    [pytest.param(*one, id=f"{one[0]}: {one[1].name}") for one in ALL if len(orders(one[1])) > 1],
)
def test_in_every_order_of_what_is_independent(stem: str, scenario: Scenario) -> None:
    for order in orders(scenario)[1:]:
        world = world_of(stem, scenario).run(order)
        assert world.answer() == expected(scenario), [step for step in order]
        check_history(world.execution, world.events)


@pytest.mark.skipif(
    FOLDER is None, reason="no conformance cases: set CONFORMANCE_DIR, for example ../shared/conformance/aws"
)
def test_the_recordings_named_are_there() -> None:
    assert FOLDER is not None
    ids = [case["id"] for case in load_cases(FOLDER)]
    named = {test for _, scenario in ALL for test in RECORDING.findall(scenario.source)}
    assert [test for test in sorted(named) if not any(is_of(id, test) for id in ids)] == []


def is_of(id: str, test: str) -> bool:
    """Whether the case is of the test named: without parameters, of any."""
    of = id.partition("#")[0]
    return f"::{of}".endswith(f"::{test}") or f"::{of.partition('[')[0]}".endswith(f"::{test}")


@pytest.mark.parametrize(
    ("source", "whole"),
    [
        ("ASL specification, Wait State: waits the seconds given", True),
        ("ASL specification, Wait State", False),
        ("Developer Guide, Retry fields, JitterStrategy: a word", False),
        ("API reference: the section is left out", False),
        ("Recorded: TestExpressSync::test_catch", True),
        ("Recorded: as we have seen it", False),
        ("Second-hand: the events of iterations count (floci pull request 3167)", True),
        ("Second-hand: the events of iterations count", False),
        ("By analogy: a task fails once", True),
        ("By analogy to the output: nothing is assigned", True),
        ("Design: ", False),
        ("", False),
    ],
)
def test_a_source_is_a_place_and_what_stands_there(source: str, whole: bool) -> None:
    assert is_citation(source) is whole


def is_citation(source: str) -> bool:
    return any(re.match(form, source) for form in FORMS)


def test_every_scenario_says_what_it_rests_on_and_no_two_have_one_name() -> None:
    unfounded = [scenario.name for _, scenario in ALL if not is_citation(scenario.source)]
    assert unfounded == []
    assert all(len({s.name for s in table.scenarios}) == len(table.scenarios) for table in TABLES.values())
    assert {stem: set(recorded) for stem, recorded in HISTORIES.items()} == {
        stem: {scenario.name for scenario in table.scenarios} for stem, table in TABLES.items()
    }
