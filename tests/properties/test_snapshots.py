"""An execution read back from its encoded state is the same one and goes on as the live one does."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from msgspec import Struct

from processor import AnyEvent, Millis, RedriveExecution, Workflow, parse
from processor.engine.encoding import decode_execution, encode_execution, execution_header
from processor.interpreter.evolve import begin, evolve
from processor.model.commands import AnyCommand
from processor.model.events import ExecutionStarted
from processor.model.execution import Execution
from processor.model.json import Json
from processor.model.runnable import Runnable
from tests.properties.budget import half
from tests.properties.replay import check_every_prefix
from tests.properties.workflows import definitions
from tests.properties.world import Played, SlicedPlayed, play


def reread(execution: Execution) -> Execution:
    return decode_execution(encode_execution(execution), execution.workflow)


class Idle(Played):
    """Encoded between any two commands, as an idle execution is."""

    def give(self, command: AnyCommand, now: Millis | None = None) -> bool:
        accepted = super().give(command, now)
        self.execution = reread(self.execution)
        return accepted


class SlicedIdle(SlicedPlayed):
    """Encoded between any two slices too, as by a checkpoint and a restart."""

    def _slice(self, execution: Execution) -> Execution:
        return reread(super()._slice(reread(execution)))


@half()
@given(definition=definitions(), data=st.data())
def test_an_execution_that_is_encoded_between_commands_goes_on_as_one_that_is_not(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    played = play(data, Idle(parse(definition)))
    if played.execution.closed:
        played.give(RedriveExecution(execution_id=played.execution.execution_id))

    check_every_prefix(played.workflow, played.events, played.given)
    check_states(played.workflow, played.events)


@half()
@given(definition=definitions(mood="stormy"), data=st.data())
def test_an_execution_that_is_encoded_between_slices_goes_on_as_one_that_is_not(
    definition: dict[str, Json], data: st.DataObject
) -> None:
    played = play(data, SlicedIdle(parse(definition), max_events=data.draw(st.integers(1, 4))))

    check_states(played.workflow, played.events)


def check_states(workflow: Workflow, events: list[AnyEvent]) -> None:
    """Check the state after each event: read back, folded on from what was read back, and written again."""
    first, *others = events
    assert isinstance(first, ExecutionStarted)
    live = begin(workflow, first)
    read = reread(live)
    for event in others:
        live, read = evolve(live, event), evolve(read, event)
        data = encode_execution(read)
        header = execution_header(data)
        read = decode_execution(data, workflow)
        assert read == live
        assert exact(read) == exact(live)
        assert encode_execution(read) == data
        assert (header.sequence, header.at_rest) == (live.sequence, live.at_rest)


def exact(value: Any) -> Any:
    """What == does not see: whether a number is a float, and the order of an object's members."""
    match value:
        case Workflow():
            return id(value)
        case Struct():
            return type(value), [exact(getattr(value, name)) for name in value.__struct_fields__]
        case Map():
            return Map, {key: exact(one) for key, one in value.items()}
        case dict():
            return dict, [(key, exact(one)) for key, one in value.items()]
        case list() | tuple() | Runnable():
            return type(value), [exact(one) for one in value]
        case _:
            return repr(value)
