"""The properties are worth something: faults planted into codec, evolve and recover turn them red.

Each fault is one that a careless change could bring. Those in one run change nothing while nobody recovers it; those of
variables and of JSONata are left to the generated workflows to find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from processor import (
    AnyEvent,
    ExecutionStarted,
    MapIterationStarted,
    Millis,
    Outcome,
    StateExited,
    TaskScheduled,
    TaskSucceeded,
    WaitStarted,
    Workflow,
    parse,
)
from processor.engine.encoding import decode_events
from processor.interpreter import evolve as evolve_module
from processor.interpreter.evolve import begin
from processor.interpreter.interpreter import outcome_of
from processor.interpreter.step import next_event
from processor.model.execution import NO_VARIABLES, Execution
from processor.model.ids import ScopeKey
from processor.model.json import Json
from tests.interpreter.scenario import RUNS, Fields, Run, machine, task
from tests.properties import replay, variables
from tests.properties.budget import PROFILE
from tests.properties.place import Mood, Object
from tests.properties.replay import ReplayBroken
from tests.properties.test_orders import check_orders
from tests.properties.test_replay import check_played
from tests.properties.variables import VariablesBroken, check_variables
from tests.properties.workflows import definitions
from tests.properties.world import Played, play

Change = Callable[[AnyEvent], AnyEvent]


def a_run() -> Run:
    """A Map over two items, each a task with a timeout, which assigns a variable, and a wait, written in JSONata, which
    reads it; the first answers last."""
    wait: Fields = {"Type": "Wait", "QueryLanguage": "JSONata", "Seconds": 3, "Output": "{% $was %}", "End": True}
    item: dict[str, Fields] = {"A": task("A", "W", TimeoutSeconds=9, Assign={"was.$": "$"}), "W": wait}
    each = {
        "Type": "Map",
        "End": True,
        "ItemSelector": {"v.$": "$$.Map.Item.Value"},
        "ItemProcessor": machine("A", item),
    }
    run = Run(machine("M", {"M": each}), [1, 2])
    run.complete("A", "second", scope=(1,))
    run.complete("A", "first", scope=(0,), now=2000)
    run.fire("wait", "W", scope=(1,))
    run.fire("wait", "W", scope=(0,))
    assert run.status == "SUCCEEDED"
    RUNS.clear()
    return run


def test_the_run_itself_passes() -> None:
    a_run().check_replay()


@pytest.mark.parametrize(
    "drop",
    [
        lambda e: replace(e, output=None) if isinstance(e, TaskSucceeded) else e,
        lambda e: replace(e, next=None) if isinstance(e, StateExited) else e,
        lambda e: replace(e, assigned={}) if isinstance(e, StateExited) else e,
        lambda e: replace(e, due=0) if isinstance(e, WaitStarted) else e,
        lambda e: replace(e, timeout_at=None) if isinstance(e, TaskScheduled) else e,
        lambda e: replace(e, has_input=False, input=None) if isinstance(e, MapIterationStarted) else e,
        lambda e: replace(e, time=e.time + 1),
        lambda e: replace(e, caused_by=replace(e.caused_by, type="StartExecution")),
    ],
    ids=["output", "next", "assigned", "due", "timeout_at", "input", "time", "cause"],
)
def test_a_field_dropped_by_the_codec_is_noticed(drop: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run()
    whole = decode_events
    monkeypatch.setattr(replay, "decode_events", lambda value: tuple(map(drop, whole(value))))
    with pytest.raises((ReplayBroken, AssertionError)):
        run.check_replay()


def test_an_evolve_that_ignores_a_scope_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run()
    whole = evolve_module.evolve

    def evolve(execution: Execution, event: AnyEvent) -> Execution:
        ignoring = replace(event, scope=(0,)) if isinstance(event, TaskSucceeded) else event
        return whole(execution, ignoring)

    _plant(monkeypatch, evolve)
    with pytest.raises((ReplayBroken, AssertionError)):
        run.check_replay()


def test_state_kept_outside_the_fold_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evolve that remembers something from call to call gives a live run that no recovery can repeat."""
    seen: list[AnyEvent] = []
    whole = evolve_module.evolve

    def evolve(execution: Execution, event: AnyEvent) -> Execution:
        seen.append(event)
        evolved = whole(execution, event)
        return replace(evolved, redrive_count=len(seen))

    run = a_run()
    _plant(monkeypatch, evolve)
    with pytest.raises(ReplayBroken):
        run.check_replay()


def _plant(monkeypatch: pytest.MonkeyPatch, evolve: Callable[[Execution, AnyEvent], Execution]) -> None:
    monkeypatch.setattr("processor.interpreter.interpreter.evolve", evolve)
    monkeypatch.setattr(replay, "evolve", evolve)
    monkeypatch.setattr(variables, "evolve", evolve)


# ---- found in generated workflows


@pytest.mark.parametrize("seen_by", ["outside", "beside", "distributed"])
def test_an_assign_that_leaks_out_of_its_scope_is_noticed(seen_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(monkeypatch, LEAKS[seen_by])
    with pytest.raises(VariablesBroken):
        generated(check_told, mood="stormy")


def test_variables_that_branches_share_make_the_order_of_answers_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(monkeypatch, leaking_beside)
    with pytest.raises(AssertionError):
        generated(check_ordered, mood="calm")


def test_a_variable_lost_by_the_codec_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decode_events

    def decode(value: bytes) -> tuple[AnyEvent, ...]:
        return tuple(replace(e, assigned=None) if isinstance(e, StateExited) else e for e in whole(value))

    monkeypatch.setattr(replay, "decode_events", decode)
    with pytest.raises(ReplayBroken):
        generated(check_recovered)


def test_outer_variables_that_a_recovered_iteration_does_not_see_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetting(execution: Execution, event: AnyEvent) -> Execution:
        after = evolve_module.evolve(execution, event)
        return _seeing(after, event.scope, NO_VARIABLES) if isinstance(event, MapIterationStarted) else after

    monkeypatch.setattr(replay, "recover", recovering(forgetting))
    with pytest.raises(ReplayBroken):
        generated(check_recovered)


@pytest.mark.parametrize("anew", ["clock", "entropy", "variables"])
def test_an_output_that_is_computed_again_on_recovery_is_noticed(anew: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock or with the entropy of the processor that recovers it, or after the state's own Assign."""

    def computing(execution: Execution, event: AnyEvent) -> Execution:
        if isinstance(event, StateExited) and event.output_of == "VALUE" and event.catcher is None:
            event = replace(event, output=_computed_again(execution, event, anew))
        return evolve_module.evolve(execution, event)

    monkeypatch.setattr(replay, "recover", recovering(computing))
    with pytest.raises(ReplayBroken):
        generated(check_recovered)


def check_told(definition: Object, data: st.DataObject) -> None:
    played = play(data, Played(parse(definition)))
    check_variables(played.workflow, played.events)


def check_recovered(definition: Object, data: st.DataObject) -> None:
    check_played(play(data, Played(parse(definition))))


def check_ordered(definition: Object, data: st.DataObject) -> None:
    check_orders(parse(definition), data, Played)


def generated(check: Callable[[Object, st.DataObject], None], *, mood: Mood = "any") -> None:
    """Check generated workflows up to the first that fails, which is most often one of the first hundred."""

    @settings(
        PROFILE,
        max_examples=1_000,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(definition=definitions(mood=mood), data=st.data())
    def run(definition: Object, data: st.DataObject) -> None:
        check(definition, data)

    run()


def leaking_outside(execution: Execution, event: AnyEvent) -> Execution:
    after = evolve_module.evolve(execution, event)
    if isinstance(event, StateExited) and event.assigned and event.scope:
        around = after.scopes[event.scope[:-1]]
        return _seeing(after, event.scope[:-1], around.variables.update(event.assigned))
    return after


def leaking_beside(execution: Execution, event: AnyEvent) -> Execution:
    after = evolve_module.evolve(execution, event)
    if isinstance(event, StateExited) and event.assigned and event.scope:
        for key, scope in after.scopes.items():
            if key[:-1] == event.scope[:-1] and key != event.scope and key:
                after = _seeing(after, key, scope.variables.update(event.assigned))
    return after


def leaking_into_children(execution: Execution, event: AnyEvent) -> Execution:
    after = evolve_module.evolve(execution, event)
    if isinstance(event, MapIterationStarted):
        return _seeing(after, event.scope, after.scopes[event.scope[:-1]].variables)
    return after


LEAKS = {"outside": leaking_outside, "beside": leaking_beside, "distributed": leaking_into_children}


def _seeing(execution: Execution, key: ScopeKey, variables: Map[str, Json]) -> Execution:
    scope = replace(execution.scopes[key], variables=variables)
    return replace(execution, scopes=execution.scopes.set(key, scope))


def recovering(evolve: Callable[[Execution, AnyEvent], Execution]) -> Callable[[Workflow, Iterable[AnyEvent]], Outcome]:
    """Return a recover that folds by `evolve`, while the live run goes on by the right one."""

    def recover(workflow: Workflow, events: Iterable[AnyEvent]) -> Outcome:
        first, *others = events
        assert isinstance(first, ExecutionStarted)
        return outcome_of(reduce(evolve, others, begin(workflow, first)), ())

    return recover


def _computed_again(execution: Execution, event: StateExited, anew: str) -> Json:
    match anew:
        case "clock":
            execution = replace(execution, time=Millis(execution.time + 60_000))
        case "entropy":
            execution = replace(execution, started=replace(execution.started, seed=bytes(16)))
        case _:
            values = execution.scopes[event.scope].variables.update(event.assigned or {})
            execution = _seeing(execution, event.scope, values)
    again = next_event(execution)
    # A Wait's exit comes of its timer: what follows is something else
    return again.output if isinstance(again, StateExited) and again.scope == event.scope else event.output
