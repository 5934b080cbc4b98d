"""What events fold to, as whole values: counters of containers, sizes, what a cut and a redrive leave.

Outputs do not show these; a later event, a later release or a redrive relies on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from immutables import Map
from msgspec.structs import replace

from processor import (
    CompleteTask,
    Execution,
    ExecutionQuarantined,
    ExecutionRedriven,
    ExecutionReleased,
    FailTask,
    MapIterationSucceeded,
    MapStarted,
    MapSucceeded,
    Millis,
    StopExecution,
    TaskScheduled,
    TaskSucceeded,
    TaskTimedOut,
    recover,
    resume,
)
from processor.interpreter.evolve import evolve
from processor.model.events import AnyEvent, Cause, TaskKind
from processor.model.execution import ENTERED, RUNNING, Branches, Cut, Failed, Iterations, Next, Scope, Succeeded
from processor.model.json import Json
from processor.model.runnable import NONE_RUNNABLE, Runnable
from tests.interpreter.scenario import Run, machine, scope_of, task, told
from tests.interpreter.test_distributed import distributed

PASSES: dict[str, Any] = {"Type": "Pass", "End": True}
REDRIVE = Cause(type="RedriveExecution")


def parallel(*branches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return scope_of("P", {"Type": "Parallel", "Branches": list(branches), "End": True, **fields})


def each(processor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return scope_of("M", {"Type": "Map", "ItemProcessor": processor, "End": True, **fields})


def choosing(value: int, next: str, *, otherwise: str) -> dict[str, Any]:
    rule = {"Variable": "$", "NumericEquals": value, "Next": next}
    return {"Type": "Choice", "Choices": [rule], "Default": otherwise}


def two_tasks() -> Run:
    return Run(parallel(scope_of("A", task("A")), scope_of("B", task("B"))), {})


def redriven(at: Execution) -> Execution:
    event = ExecutionRedriven(
        execution_id=at.execution_id,
        sequence=at.sequence,
        time=Millis(60_000),
        caused_by=REDRIVE,
        redrive_count=at.redrive_count + 1,
        revision=at.workflow.revision,
        definition_hash=at.workflow.definition_hash,
    )
    return evolve(at, event)


# ---- a scope between two states, and in one


def test_a_scope_keeps_from_state_to_state_what_is_its_own_and_forgets_what_was_the_states() -> None:
    retry = [{"ErrorEquals": ["E"]}]
    states = {
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
        "B": task("B", "C", Retry=retry),
        "C": {"Type": "Wait", "Seconds": 9, "End": True},
    }
    run = Run(machine("A", states), {})
    run.fail("B", "E")
    run.fire("retry", "B")
    run.complete("B", "done", now=7_000)
    *before, entered, _ = run.events
    own: dict[str, Any] = {"value": "done", "variables": Map({"x": 1}), "variable_bytes": 1}
    after = recover(run.workflow, before).execution
    assert after is not None
    assert after.scopes[()] == Scope(phase=Next("C"), state="B", visit=2, **own)
    assert evolve(after, entered).scopes[()] == Scope(
        phase=ENTERED,
        state="C",
        type="Wait",
        visit=3,
        entered_id=after.aws_events + 1,
        entered_time=Millis(7_000),
        **own,
    )


def test_what_a_task_failed_of_is_kept_with_its_cause_until_it_is_handled() -> None:
    """No timeout has a cause in AWS's history; one in ours would be kept."""
    run = Run(scope_of("A", task("A", HeartbeatSeconds=3)), {})
    before = run.execution
    timed_out, _ = run.fire("heartbeat", "A")
    assert isinstance(timed_out, TaskTimedOut)
    failed = Failed("States.Timeout", "why", heartbeat=True)
    assert evolve(before, replace(timed_out, cause="why")).scopes[()] == replace(before.scopes[()], phase=failed)


@pytest.mark.parametrize(("kind", "asked", "answered"), [("LAMBDA", 2, 3), ("SERVICE", 2, 3), ("ACTIVITY", 1, 2)])
def test_what_a_task_counts_in_awss_history_depends_on_its_kind(kind: TaskKind, asked: int, answered: int) -> None:
    run = Run(scope_of("A", task("A")), {})
    run.complete("A", 1)
    *before, scheduled, succeeded, _, _ = run.events
    assert isinstance(scheduled, TaskScheduled)
    at = recover(run.workflow, before).execution
    assert at is not None
    pending = evolve(at, replace(scheduled, kind=kind))
    counts = (pending.aws_events, evolve(pending, succeeded).aws_events)
    assert counts == (at.aws_events + asked, at.aws_events + answered)


def test_what_reads_items_counts_nothing_in_awss_history() -> None:
    reader = {"Resource": "arn:aws:states:::s3:listObjectsV2"}
    run = Run(scope_of("M", distributed(scope_of("A", PASSES), ItemReader=reader)), {})
    run.complete("M", [])
    *_, scheduled, succeeded = run.events[:6]
    assert isinstance(scheduled, TaskScheduled)
    assert isinstance(succeeded, TaskSucceeded)
    folded = [recover(run.workflow, run.events[:count]).execution for count in (4, 5, 6)]
    assert [each.aws_events for each in folded if each is not None] == [4, 4, 4]


# ---- what a container knows of its children


def test_a_parallel_keeps_each_result_and_the_bytes_of_all() -> None:
    run = Run(parallel(scope_of("X", PASSES), scope_of("A", task("A")), scope_of("Y", PASSES)), {"n": 1})
    each_gives: Json = {"n": 1}
    results = Map({0: each_gives, 2: each_gives})
    assert run.execution.scopes[()].children == Branches(count=3, ended=2, results=results, result_bytes=14)


def test_a_map_that_failed_counts_what_failed_and_nothing_as_running() -> None:
    run = Run(each(scope_of("A", task("A")), MaxConcurrency=3), [5, 6, 7, 8])
    run.complete("A", "r", scope=(1,))
    run.fail("A", "E", scope=(2,))
    assert run.execution.scopes[()].children == Iterations(
        items=[5, 6, 7, 8],
        mode="INLINE",
        first="A",
        max_concurrency=3,
        next_index=4,
        next_item=4,
        running=0,
        ended=1,
        results=Map({1: "r"}),
        result_bytes=3,
        failed=1,
    )


def test_an_iteration_cut_between_two_states_keeps_where_it_was() -> None:
    run = Run(each(scope_of("F", {"Type": "Fail", "Error": "E"})), [0, 1])
    assert told(run.events)[-4:] == [
        ("MapIterationAborted", (1,), "M"),
        ("MapIterationFailed", (0,), "M"),
        ("MapFailed", (), "M"),
        ("ExecutionFailed", (), ""),
    ]
    assert {key: scope.phase for key, scope in run.execution.scopes.items() if key} == {
        (0,): Cut(),
        (1,): Cut(Next("F")),
    }


@pytest.mark.parametrize("container", ["Parallel", "Map"])
def test_a_caught_failure_leaves_no_scope_below_the_container(container: str) -> None:
    """However deeply they are nested, and though some of them have nothing below them."""
    catch = [{"ErrorEquals": ["E"], "Next": "T", "ResultPath": None}]
    inner = {"Type": "Parallel", "Branches": [scope_of("A", task("A")), scope_of("B", task("B"))], "End": True}
    processor = machine("C", {"C": choosing(0, "X", otherwise="Q"), "X": task("X"), "Q": inner})
    middle = each(processor)["States"]["M"]
    if container == "Parallel":
        branches = [scope_of("Y", task("Y")), scope_of("N", middle), scope_of("Z", task("Z"))]
        outer = parallel(*branches, Catch=catch)
    else:
        outer = each(processor, Catch=catch)
    run = Run({**outer, "States": {**outer["States"], "T": task("T")}}, [1, 1, 0])
    assert len(run.execution.scopes) > 5
    run.fail("B", "E")
    assert [(key, scope.state) for key, scope in run.execution.scopes.items()] == [((), "T")]


# ---- what a Map whose iterations run elsewhere will tell: under it nothing has an AWS id


def folded(execution: Execution, events: Iterable[AnyEvent]) -> Execution:
    for event in events:
        execution = evolve(execution, event)
    return execution


def test_what_runs_under_a_distributed_map_has_no_ids_and_no_outer_variables() -> None:
    branches = {"Type": "Parallel", "Branches": [scope_of("X", PASSES), scope_of("A", task("A"))], "End": True}
    states = {"O": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "M"}, **each(scope_of("P", branches))["States"]}
    run = Run(machine("O", states), [5])
    run.complete("A", 1)
    begins = next(index for index, event in enumerate(run.events) if isinstance(event, MapStarted))
    before = recover(run.workflow, run.events[:begins]).execution
    assert before is not None
    started, *within, succeeded, exited, ended = run.events[begins:]
    assert isinstance(started, MapStarted)
    assert isinstance(within[-1], MapIterationSucceeded)
    at = folded(before, [replace(started, mode="DISTRIBUTED"), *within[:-4]])
    assert {key: (scope.silent, dict(scope.variables)) for key, scope in at.scopes.items()} == {
        (): (False, {"outer": 1}),
        (0,): (True, {}),
        (0, 1): (True, {}),
    }
    done = folded(at, [*within[-4:], succeeded, exited, ended])
    assert (done.status, done.output, done.aws_events) == ("SUCCEEDED", [[5, 1]], before.aws_events + 4)


def test_an_iteration_that_ran_elsewhere_and_a_map_that_joined_elsewhere_bring_their_outputs() -> None:
    run = Run(each(scope_of("A", task("A"))), [5])
    run.complete("A", "here")
    *before, iteration, whole, _, _ = run.events
    assert isinstance(iteration, MapIterationSucceeded)
    assert isinstance(whole, MapSucceeded)
    at = recover(run.workflow, before).execution
    assert at is not None
    after = evolve(at, replace(iteration, has_output=True, output="elsewhere"))
    children = after.scopes[()].children
    assert isinstance(children, Iterations)
    assert (children.results, children.result_bytes) == (Map({0: "elsewhere"}), 11)
    joined = evolve(after, replace(whole, has_output=True, output={"written": "there"}))
    assert joined.scopes[()].phase == Succeeded({"written": "there"})


# ---- sizes of variables


def test_variables_are_counted_by_the_bytes_of_their_values_each_once() -> None:
    states = {
        "A": {"Type": "Pass", "Assign": {"x": "text", "y": 123}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x": "longer", "y": 1, "z": None}, "Next": "T"},
        "T": task("T"),
    }
    run = Run(machine("A", states), {})
    scope = run.execution.scopes[()]
    assert dict(scope.variables) == {"x": "longer", "y": 1, "z": None}
    assert (scope.variable_bytes, run.execution.variable_bytes) == (13, 13)


def ending(branch: dict[str, Any], container: str) -> dict[str, Any]:
    """Return a machine that assigns 1 byte, then runs `branch` and beside it one that waits for the task T."""
    outer = {"Type": "Pass", "Assign": {"outer": 1}, "Next": container[0]}
    definition = parallel(branch, scope_of("T", task("T"))) if container == "Parallel" else each(branch)
    return {"StartAt": "O", "States": {"O": outer, **definition["States"]}}


@pytest.mark.parametrize("container", ["Parallel", "Map"])
def test_the_variables_of_a_child_that_ended_are_no_longer_counted(container: str) -> None:
    assigns = machine("A", {"A": {"Type": "Pass", "Assign": {"x": "text"}, "Next": "B"}, "B": task("B")})
    run = Run(ending(assigns, container), [0, 1])
    before = run.execution.variable_bytes
    run.complete("B", 1, scope=(0,))
    held = {key: scope.variable_bytes for key, scope in run.execution.scopes.items()}
    assert held == {(): 1, (1,): {"Parallel": 0, "Map": 6}[container]}
    assert (before, run.execution.variable_bytes) == (sum(held.values()) + 6, sum(held.values()))


# ---- redrive


def test_a_redriven_execution_is_as_before_but_for_what_was_open() -> None:
    run = two_tasks()
    run.fail("A", "E", "why")
    at = run.execution
    opened = {
        key: replace(scope, phase=ENTERED if key else RUNNING, cut_from=None, aborted=False)
        for key, scope in at.scopes.items()
    }
    assert redriven(at) == replace(
        at,
        status="RUNNING",
        error=None,
        cause=None,
        sequence=at.sequence + 1,
        aws_events=at.aws_events + 1,
        time=Millis(60_000),
        caused_by=REDRIVE,
        timer_sequence=at.sequence,
        redrive_count=1,
        redrive_time=Millis(60_000),
        scopes=Map(opened),
        runnable=Runnable([(0,), (1,)]),
    )
    assert [scope.aborted for scope in at.scopes.values()].count(True) == 2


def test_what_failed_before_a_redrive_fails_again_as_the_first_time() -> None:
    """Its siblings are cut and told anew."""
    run = two_tasks()
    first = told(run.fail("A", "E"))
    again = resume(redriven(run.execution))
    asked = again.events[0]
    assert isinstance(asked, TaskScheduled)
    assert again.execution is not None
    assert told(resume(again.execution, FailTask.of(asked, error="E")).events) == first


def test_what_was_stopped_while_it_was_being_cut_takes_answers_after_a_redrive() -> None:
    run = two_tasks()
    told_before = len(run.events)
    assert told(run.fail("A", "E"))[1] == ("StateAborted", (1,), "B")
    cutting = recover(run.workflow, run.events[: told_before + 2]).execution
    assert cutting is not None
    assert cutting.scopes[()].cut_from == 1
    stopped = resume(cutting, StopExecution(execution_id=cutting.execution_id)).execution
    assert stopped is not None
    again = resume(redriven(stopped))
    execution = again.execution
    for event in again.events:
        assert execution is not None
        assert isinstance(event, TaskScheduled)
        execution = resume(execution, CompleteTask.of(event, event.state)).execution
    assert execution is not None
    assert (execution.status, execution.output) == ("SUCCEEDED", ["A", "B"])


def test_a_redriven_map_counts_what_runs_and_no_failure() -> None:
    run = Run(each(scope_of("A", task("A")), MaxConcurrency=2), ["x", "y", "z"])
    run.complete("A", "kept", scope=(0,))
    run.fail("A", "E", scope=(1,))
    assert redriven(run.execution).scopes[()].children == Iterations(
        items=["x", "y", "z"],
        mode="INLINE",
        first="A",
        max_concurrency=2,
        next_index=3,
        next_item=3,
        running=2,
        ended=1,
        results=Map({0: "kept"}),
        result_bytes=6,
        failed=0,
    )


def test_a_redriven_map_that_had_not_started_all_goes_on_starting() -> None:
    run = Run(each(scope_of("A", task("A"))), ["x", "y"])
    count = next(index for index, event in enumerate(run.events) if isinstance(event, MapStarted)) + 1
    begun = recover(run.workflow, run.events[:count]).execution
    assert begun is not None
    stopped = resume(begun, StopExecution(execution_id=begun.execution_id)).execution
    assert stopped is not None
    assert stopped.runnable == NONE_RUNNABLE
    assert told(resume(redriven(stopped)).events)[:2] == [
        ("MapIterationStarted", (0,), "M"),
        ("MapIterationStarted", (1,), "M"),
    ]


@pytest.mark.parametrize("container", ["Parallel", "Map"])
def test_a_redriven_container_whose_children_have_all_ended_makes_its_output_anew(container: str) -> None:
    selector = {"ResultSelector": {"x.$": "$.nothing"}}
    child = scope_of("X", PASSES)
    definition = parallel(child, **selector) if container == "Parallel" else each(child, **selector)
    run = Run(definition, [1])
    assert run.status == "FAILED"
    name = definition["StartAt"]
    assert told(resume(redriven(run.execution)).events) == [
        (f"{container}Succeeded", (), name),
        ("ExecutionFailed", (), ""),
    ]


def quarantine(at: Execution, cause: Cause) -> ExecutionQuarantined:
    return ExecutionQuarantined(
        execution_id=at.execution_id, sequence=at.sequence, time=Millis(9_000), caused_by=cause, reason="a bug"
    )


def test_a_redrive_ends_a_quarantine() -> None:
    at = two_tasks().execution
    held = evolve(at, quarantine(at, at.caused_by))
    stopped = resume(held, StopExecution(execution_id=at.execution_id)).execution
    assert stopped is not None
    assert (stopped.quarantined, redriven(stopped).quarantined) == ("a bug", None)


# ---- events of the execution that AWS does not have, and its end


def test_quarantine_and_release_change_nothing_else_and_have_no_ids() -> None:
    at = two_tasks().execution
    wrong, right = Cause(type="CompleteTask", command_id="1"), Cause(type="ReleaseExecution", command_id="2")
    held = evolve(at, quarantine(at, wrong))
    last = {"time": Millis(9_000), "sequence": at.sequence + 1}
    assert held == replace(at, caused_by=wrong, quarantined="a bug", **last)
    release = ExecutionReleased(
        execution_id=at.execution_id, sequence=held.sequence, time=Millis(10_000), caused_by=right
    )
    assert evolve(held, release) == replace(at, caused_by=right, time=Millis(10_000), sequence=at.sequence + 2)


def test_an_execution_that_succeeded_keeps_its_output_and_nothing_that_ran() -> None:
    run = two_tasks()
    run.complete("B", 2)
    run.complete("A", 1)
    at = run.execution
    assert (at.status, at.output, at.scopes, at.runnable) == ("SUCCEEDED", [1, 2], Map(), NONE_RUNNABLE)
