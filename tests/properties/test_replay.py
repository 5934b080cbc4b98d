"""fold(log) == live, for generated workflows and generated orders of answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from processor import parse, recover
from processor.model.json import Json
from tests.interpreter.scenario import check_history
from tests.properties.budget import half
from tests.properties.replay import check_every_prefix, check_trail
from tests.properties.variables import check_variables
from tests.properties.workflows import definitions
from tests.properties.world import Played, SlicedPlayed, play


@given(definition=definitions(), data=st.data())
def test_every_prefix_of_every_history_goes_on_as_if_it_had_not_been_cut(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    played = play(data, Played(parse(definition)))
    check_played(played)


@given(definition=definitions(), data=st.data())
def test_commands_may_come_while_a_long_one_is_worked_off_in_slices(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    played = SlicedPlayed(parse(definition), max_events=data.draw(st.integers(1, 4)))
    play(data, played)
    assert recover(played.workflow, played.events).execution == played.execution
    check_trail(played.workflow, played.trail)
    check_history(played.execution, played.events)
    check_variables(played.workflow, played.events)


@half()
@given(definition=definitions(mood="stormy"), data=st.data())
def test_storms_of_failures_and_timeouts_go_on_as_if_they_had_not_been_cut(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    quota = data.draw(st.sampled_from([None, 25, 12, 5]))
    played = play(data, Played(replace(parse(definition), history_quota=quota)))
    assert quota is None or played.execution.aws_events <= quota
    check_played(played)


def check_played(played: Played) -> None:
    assert recover(played.workflow, played.events).execution == played.execution
    check_every_prefix(played.workflow, played.events, played.given)
    check_history(played.execution, played.events)
    check_variables(played.workflow, played.events)
