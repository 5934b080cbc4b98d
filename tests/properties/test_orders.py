"""The order in which answers come: it does not matter where they are independent, and what comes late never does."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from processor import AnyEvent, Workflow, parse
from processor.model.ids import ScopeKey
from processor.model.json import Json
from tests.properties.budget import half
from tests.properties.place import Mood
from tests.properties.workflows import definitions
from tests.properties.world import Contained, Pestered, Played, play

OF_THE_ORDER = {"execution_id", "sequence", "time", "caused_by", "due", "timeout_at", "heartbeat_at"}
"""Fields that tell when an event happened, and so may differ."""

AN_EVENT = re.compile(r"(?<=event id #)\d+")
"""What a cause tells of the same."""


@given(definition=definitions(mood="calm"), data=st.data())
def test_the_output_does_not_depend_on_the_order_of_independent_answers(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    check_orders(parse(definition), data, Played)


@half()
@given(definition=definitions(mood="contained"), data=st.data())
def test_failures_and_timeouts_that_are_caught_where_they_happen_do_not_depend_on_the_order_either(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    check_orders(parse(definition), data, Contained)


@half()
@given(mood=st.sampled_from(["any", "stormy"]), data=st.data())
def test_what_is_stale_foreign_or_said_before_never_changes_anything(mood: Mood, data: st.DataObject) -> None:
    play(data, Pestered(parse(data.draw(definitions(mood=mood)))))


def check_orders(workflow: Workflow, data: st.DataObject, world: type[Played]) -> None:
    """Check that three orders give the same output, and in each scope the same events."""
    runs = [_answered(data, world(workflow)) for _ in range(3)]
    assert [run.execution.status for run in runs] == ["SUCCEEDED"] * 3
    assert [run.execution.output for run in runs[1:]] == [runs[0].execution.output] * 2
    assert [_by_scope(run.events) for run in runs[1:]] == [_by_scope(runs[0].events)] * 2


def _answered(data: st.DataObject, played: Played) -> Played:
    """Answer every task by what it is asked, and fire every timer, in a drawn order."""
    order = data.draw(st.randoms(use_true_random=False))
    while not played.execution.closed:
        played.answer_one(order)
    return played


def _by_scope(events: list[AnyEvent]) -> dict[ScopeKey, list[dict[str, Any]]]:
    found: dict[ScopeKey, list[dict[str, Any]]] = {}
    for event in events:
        fields = {name: value for name, value in msgspec.structs.asdict(event).items() if name not in OF_THE_ORDER}
        if isinstance(cause := fields.get("cause"), str):
            fields["cause"] = AN_EVENT.sub("", cause)
        found.setdefault(event.scope, []).append({"type": type(event).__name__, **fields})
    return found
