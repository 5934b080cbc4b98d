"""What a container drops nobody misses: with a limit of some hundred bytes, containers within containers write the
events that they write where nothing is dropped, and what is recovered or read back is the live execution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from processor import (
    AnyEvent,
    CompleteTask,
    FailTask,
    FireTimer,
    RedriveExecution,
    Rejected,
    Workflow,
    parse,
    resume,
    start,
)
from processor.interpreter import evolve, evolve_containers, turn
from processor.interpreter.evolve import begin
from processor.interpreter.states import containers
from processor.model.events import ExecutionStarted
from processor.model.execution import Execution
from processor.model.json import Json
from tests.properties.budget import half
from tests.properties.replay import Given, check_every_prefix, written_as
from tests.properties.test_snapshots import Idle, check_states
from tests.properties.world import SEED

LIMITS = [60, 100, 200, 1_200]
"""Bytes. What tells of a child of a distributed Map has some hundred."""

EXPORT: dict[str, Json] = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b"}}
WRITERS: list[Json] = [
    {"WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSON"}},
    {"WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSON"}},
    EXPORT,
    EXPORT | {"WriterConfig": {"Transformation": "FLATTEN"}},
]
SIZES = st.integers(0, 70)
OUTPUTS: st.SearchStrategy[Json] = st.one_of(
    SIZES.map(lambda size: "x" * size),
    st.lists(SIZES.map(lambda size: "y" * size), max_size=3).map(list),
    st.sampled_from([[], 7, {"k": "é" * 30}]),
)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Json]:
    names = iter(range(1_000))

    def scope(depth: int) -> dict[str, Json]:
        name = f"S{next(names)}"
        return {"StartAt": name, "States": {name: state(depth) | {"End": True}}}

    def state(depth: int) -> dict[str, Json]:
        kinds = ["Task", "Task", "Pass"] if depth < 2 else []
        kind = draw(st.sampled_from([*kinds, *["Map", "Parallel"] * (depth > 0)]))
        if kind == "Pass":
            return {"Type": "Pass", "Result": draw(OUTPUTS)}
        if kind == "Task":
            return {"Type": "Task", "Resource": "t"}
        retry: Json = [{"ErrorEquals": ["States.DataLimitExceeded"], "MaxAttempts": 1}]
        handled: dict[str, Json] = {"Retry": retry} if draw(st.integers(0, 3)) == 0 else {}
        if kind == "Parallel":
            return {"Type": kind, "Branches": [scope(depth - 1) for _ in range(draw(st.integers(2, 3)))], **handled}
        processor = scope(depth - 1)
        each: dict[str, Json] = {
            "Type": kind, "ItemsPath": "$$.Execution.Input.l", "ItemProcessor": processor,
            "MaxConcurrency": draw(st.sampled_from([0, 2])), **handled,
        }  # fmt: skip
        if draw(st.booleans()):
            processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
            each["ItemsPath"] = "$.l"
            each["ItemSelector"] = {"l": [1, 2]}
            each |= draw(st.sampled_from([{}, {"ToleratedFailureCount": 2}]))
            each |= draw(st.sampled_from([{}, *({"ResultWriter": writer} for writer in WRITERS)]))
        return each

    return scope(draw(st.sampled_from([1, 1, 2])))


@contextmanager
def limited(limit: int, *, dropping: bool = True) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for module in (turn, containers, evolve):
            patched.setattr(module, "MAX_PAYLOAD_BYTES", limit)
        patched.setattr(evolve_containers, "MAX_PAYLOAD_BYTES", limit if dropping else 2**60)
        yield


def played(workflow: Workflow, data: st.DataObject) -> Idle:
    """Play to the end, in a drawn order and with drawn outputs; what can be is redriven once."""
    run = Idle(workflow, input={"l": [1, 2, 3]})
    for _ in range(30):
        if run.execution.closed:
            if run.execution.redrive_count or not run.give(RedriveExecution(execution_id=run.execution.execution_id)):
                break
            continue
        if timers := [timer for timer in run.timers() if timer[1] == "retry"]:
            run.give(FireTimer.of(*timers[0]))
            continue
        asked = data.draw(st.sampled_from(run.pending()))
        failing = asked.kind != "RESULT_WRITER" and data.draw(st.integers(0, 7)) == 0
        cause = "c" * data.draw(SIZES) if failing else ""
        run.give(FailTask.of(asked, error="E", cause=cause) if failing else CompleteTask.of(asked, data.draw(OUTPUTS)))
    return run


@half()
@given(definition=definitions(), limit=st.sampled_from(LIMITS), data=st.data())
def test_events_are_the_same_whether_or_not_results_are_dropped(
    definition: dict[str, Json], limit: int, data: st.DataObject
) -> None:
    workflow = parse(definition)
    with limited(limit):
        run = check_kept(workflow, data, limit)
        check_every_prefix(workflow, run.events, run.given)
        check_states(workflow, run.events)


def check_kept(workflow: Workflow, data: st.DataObject, limit: int) -> Idle:
    run = played(workflow, data)
    with limited(limit, dropping=False):
        kept = run_again(workflow, run.given)
    assert [written_as([one]) for one in kept] == [written_as([one]) for one in run.events]
    return run


@settings(deadline=None, max_examples=60, derandomize=True)
@given(definition=definitions(), data=st.data())
def test_state_is_bounded_whatever_the_results_come_to(definition: dict[str, Json], data: st.DataObject) -> None:
    workflow = parse(definition)
    with limited(100):
        run = played(workflow, data)
        for at in folded(workflow, run.events):
            for scope in at.scopes.values():
                children = scope.children
                if children is not None:
                    assert children.least_bytes <= 100 or (children.dropped and not children.results)


def test_results_that_are_dropped_too_early_are_noticed() -> None:
    @settings(deadline=None, max_examples=200, derandomize=True, database=None, phases=[Phase.generate])
    @given(definition=definitions(), limit=st.sampled_from(LIMITS), data=st.data())
    def look(definition: dict[str, Json], limit: int, data: st.DataObject) -> None:
        with limited(limit), pytest.MonkeyPatch.context() as patched:
            patched.setattr(evolve_containers, "MAX_PAYLOAD_BYTES", limit - 10)
            check_kept(parse(definition), data, limit)

    with pytest.raises((AssertionError, KeyError)):
        look()


def folded(workflow: Workflow, events: Sequence[AnyEvent]) -> Iterator[Execution]:
    first, *others = events
    assert isinstance(first, ExecutionStarted)
    at = begin(workflow, first)
    yield at
    for each in others:
        at = evolve.evolve(at, each)
        yield at


def run_again(workflow: Workflow, commands: Sequence[Given]) -> list[AnyEvent]:
    outcome = start(workflow, {"l": [1, 2, 3]}, context={"environment": "test"}, seed=SEED)
    assert not isinstance(outcome, Rejected)
    execution, events = outcome.execution, [*outcome.events]
    for each in commands:
        answered = resume(execution, each.command, now=each.now)
        assert answered.execution is not None
        execution = answered.execution
        events += answered.events
    return events
