"""fold(log) == live, for generated workflows and generated orders of answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor import Workflow, parse, recover
from processor.model.json import Json
from tests.interpreter.scenario import check_history
from tests.properties.replay import check_every_prefix, check_trail
from tests.properties.workflows import definitions
from tests.properties.world import Played, SlicedPlayed, play


@given(definition=definitions(), data=st.data())
def test_every_prefix_of_every_history_goes_on_as_if_it_had_not_been_cut(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    played = play(data, Played(parse(definition)))
    assert recover(played.workflow, played.events).execution == played.execution
    check_every_prefix(played.workflow, played.events, played.given)
    check_history(played.execution, played.events)


@given(definition=definitions(), data=st.data())
def test_commands_may_come_while_a_long_one_is_worked_off_in_slices(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    played = SlicedPlayed(parse(definition), max_events=data.draw(st.integers(1, 4)))
    play(data, played)
    assert recover(played.workflow, played.events).execution == played.execution
    check_trail(played.workflow, played.trail)
    check_history(played.execution, played.events)


@given(definition=definitions(calm=True), data=st.data())
def test_the_output_does_not_depend_on_the_order_of_independent_answers(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    workflow = parse(definition)
    outputs = [_answered(data, workflow).execution for _ in range(3)]
    assert [execution.status for execution in outputs] == ["SUCCEEDED"] * 3
    assert [execution.output for execution in outputs[1:]] == [outputs[0].output] * 2


def _answered(data: st.DataObject, workflow: Workflow) -> Played:
    """Answer every task by what it is asked, in a drawn order; the first attempt of some of them fails."""
    played = Played(workflow)
    order = data.draw(st.randoms(use_true_random=False))
    while not played.execution.closed:
        played.answer_one(order)
    return played
