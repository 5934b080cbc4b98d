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
from tests.scenarios.scenario import KINDS, Scenario, definition_of, load_histories, load_tables
from tests.scenarios.world import World, compact, orders, recovered, straight

FOLDER = conformance_dir()
TABLES = dict(load_tables())
HISTORIES = {stem: load_histories(stem) for stem in TABLES}
ALL = [(stem, scenario) for stem, table in TABLES.items() for scenario in table.scenarios]
each = pytest.mark.parametrize(("stem", "scenario"), [pytest.param(*one, id=f"{one[0]}: {one[1].name}") for one in ALL])
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
    ids = " ".join(case["id"] for case in load_cases(FOLDER))
    sources = {scenario.source for _, scenario in ALL if scenario.source.startswith("Recorded")}
    named = {source: re.findall(r"test_\w+(?:\[\w+\])?", source) for source in sources}
    assert [source for source, tests in named.items() if not tests] == []
    assert [test for tests in named.values() for test in tests if test not in ids] == []


def test_every_scenario_says_what_it_rests_on_and_no_two_have_one_name() -> None:
    unfounded = [scenario.name for _, scenario in ALL if not scenario.source.startswith(KINDS)]
    assert unfounded == []
    assert all(len({s.name for s in table.scenarios}) == len(table.scenarios) for table in TABLES.values())
    assert {stem: set(recorded) for stem, recorded in HISTORIES.items()} == {
        stem: {scenario.name for scenario in table.scenarios} for stem, table in TABLES.items()
    }
