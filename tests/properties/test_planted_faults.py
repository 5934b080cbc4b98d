"""The replay check is worth something: faults planted into codec and evolve turn it red.

Each fault is one that a careless change could bring; none changes what a run gives while nobody recovers it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from processor import AnyEvent, MapIterationStarted, StateExited, TaskScheduled, TaskSucceeded, WaitStarted
from processor.engine.encoding import decode_events
from processor.interpreter import evolve as evolve_module
from processor.model.execution import Execution
from tests.interpreter.scenario import RUNS, Fields, Run, machine, task
from tests.properties import replay
from tests.properties.replay import ReplayBroken

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
