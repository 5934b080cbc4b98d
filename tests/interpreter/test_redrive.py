"""RedriveExecution and ReleaseExecution as commands: what they give, and what hinders them.

Source: AWS Developer Guide, "Restarting state machine executions with redrive in Step Functions".
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from processor import (
    CompleteTask,
    ExecutionRedriven,
    ExecutionReleased,
    Millis,
    RedriveExecution,
    Rejected,
    ReleaseExecution,
    StopExecution,
    TaskScheduled,
    parse,
    resume,
    start,
)
from processor.interpreter.evolve import evolve
from processor.model.events import ExecutionQuarantined
from processor.model.execution import Execution
from processor.model.json import Json

ID = "m:1"
REDRIVE = RedriveExecution(execution_id=ID)


def failing(*, type: Any = "STANDARD", **fields: Any) -> dict[str, Json]:
    return {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "a", "End": True}}, **fields}


def stopped(definition: dict[str, Json], *, type: Any = "STANDARD") -> Execution:
    started = start(parse(definition, type=type), {"n": 1}, execution_id=ID).execution
    assert started is not None
    ended = resume(started, StopExecution(execution_id=ID, error="E")).execution
    assert ended is not None
    return ended


def refused(execution: Execution) -> tuple[str, str]:
    outcome = resume(execution, REDRIVE)
    assert isinstance(outcome, Rejected)
    return outcome.reason, outcome.detail


def test_a_redriven_task_is_asked_anew_and_its_execution_has_all_its_time_again() -> None:
    ended = stopped(failing(TimeoutSeconds=60))

    outcome = resume(ended, REDRIVE, now=Millis(100_000))

    redriven, scheduled = outcome.events
    assert isinstance(redriven, ExecutionRedriven)
    assert (redriven.redrive_count, redriven.timeout_at, redriven.revision) == (1, 160_000, ended.workflow.revision)
    assert isinstance(scheduled, TaskScheduled)
    assert outcome.execution is not None
    done = resume(outcome.execution, CompleteTask.of(scheduled, "done")).execution
    assert done is not None
    assert (done.status, done.output, done.redrive_count) == ("SUCCEEDED", "done", 1)


def test_another_revision_takes_over_where_it_has_the_states_that_are_open() -> None:
    ended = stopped(failing())
    mended = parse(failing(Comment="mended"))

    outcome = resume(replace(ended, workflow=mended), REDRIVE)

    redriven = outcome.events[0]
    assert isinstance(redriven, ExecutionRedriven)
    assert (redriven.revision, redriven.definition_hash) == (mended.revision, mended.definition_hash)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"redrive_count": 1_000}, "Execution was redriven 1000 times and cannot be redriven"),
        ({"aws_events": 24_999}, "Execution event history limit exceeded"),
        ({"status": "SUCCEEDED"}, "Execution is SUCCEEDED and cannot be redriven"),
        ({"status": "RUNNING"}, "Execution is RUNNING and cannot be redriven"),
        ({"workflow": parse({"StartAt": "B", "States": {"B": {"Type": "Succeed"}}})}, "has no Task state 'A'"),
        (
            {"workflow": parse({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})},
            "has no Task state 'A'",
        ),
    ],
)
def test_what_hinders_a_redrive(change: dict[str, Any], detail: str) -> None:
    reason, told = refused(replace(stopped(failing()), **change))

    assert reason == "ExecutionNotRedrivable"
    assert told.endswith(detail)


def test_an_express_execution_is_not_redriven() -> None:
    assert refused(stopped(failing(), type="EXPRESS")) == (
        "ExecutionNotRedrivable",
        "Execution is of an EXPRESS state machine and cannot be redriven",
    )


def test_a_branch_that_was_to_enter_a_state_which_is_gone_hinders_a_redrive() -> None:
    fails: Json = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}
    late: Json = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
    other: Json = {"StartAt": "C", "States": {"C": {"Type": "Pass", "End": True}}}

    def branching(second: Json) -> dict[str, Json]:
        return {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [fails, second], "End": True}}}

    ended = start(parse(branching(late)), {}, execution_id=ID).execution
    assert ended is not None and ended.status == "FAILED"

    assert refused(replace(ended, workflow=parse(branching(other))))[1].endswith("has no state 'B'")


def test_an_open_run_of_a_distributed_map_hinders_a_redrive() -> None:
    processor: Json = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": "a", "End": True}},
    }
    distributed: dict[str, Json] = {
        "StartAt": "M",
        "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}},
    }
    started = start(parse(distributed), [1], execution_id=ID).execution
    assert started is not None
    ended = resume(started, StopExecution(execution_id=ID)).execution
    assert ended is not None

    assert refused(ended)[1] == "Execution has an open run of the distributed Map 'M', which cannot be redriven yet"


def test_an_execution_in_quarantine_is_released_and_goes_on() -> None:
    started = start(parse(failing()), {}, execution_id=ID).execution
    assert started is not None
    fields = {name: getattr(started, name) for name in ("time", "caused_by", "sequence")}
    held = evolve(started, ExecutionQuarantined(execution_id=ID, reason="a bug", **fields))

    outcome = resume(held, ReleaseExecution(execution_id=ID))

    assert [type(event) for event in outcome.events] == [ExecutionReleased]
    assert outcome.execution is not None
    assert outcome.execution.quarantined is None
