"""Commands and the execution as a whole: stop, timeout, what is stale or foreign, quarantine and redrive as folded."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from processor import (
    CompleteTask,
    Continued,
    EvaluationFailed,
    Execution,
    ExecutionAborted,
    ExecutionFailed,
    ExecutionQuarantined,
    ExecutionRedriven,
    ExecutionReleased,
    ExecutionTimedOut,
    FailTask,
    FireTimer,
    HeartbeatTask,
    Millis,
    PurgeExecution,
    RedriveExecution,
    Rejected,
    ReleaseExecution,
    StartExecution,
    StopExecution,
    SubmitTask,
    TaskFailed,
    TaskScheduled,
    TaskSucceeded,
    recover,
    resume,
    start,
)
from processor.interpreter.decide import timer_due
from processor.interpreter.evolve import evolve
from processor.interpreter.interpreter import decided
from processor.interpreter.refused import Refused
from processor.model.commands import AnyCommand, token_of
from processor.model.events import AnyEvent, Cause
from processor.model.execution import Entered, Next
from processor.model.runnable import Runnable
from tests.interpreter.scenario import Run, machine, scope_of, task, told

ID = "local:1"


def two_tasks(**fields: Any) -> Run:
    branches = [scope_of("A", task("A")), scope_of("B", task("B"))]
    return Run(scope_of("P", {"Type": "Parallel", "Branches": branches, "End": True}) | fields, {})


# ---- stop and timeout of the execution


def test_stop_ends_the_execution_and_keeps_its_scopes() -> None:
    run = two_tasks()
    before = run.execution.scopes
    assert run.stop("E", "C") == run.built((ExecutionAborted, (), "", {"error": "E", "cause": "C"}))
    assert (run.status, run.execution.error, run.execution.cause) == ("ABORTED", "E", "C")
    assert run.execution.scopes == before
    assert run.execution.runnable == Runnable()


def test_stop_may_say_nothing() -> None:
    run = two_tasks()
    assert run.stop() == run.built((ExecutionAborted, (), ""))


TOO_LONG = [
    ({"error": "e" * 257}, "error: must be at most 256 characters, got 257"),
    ({"cause": "c" * 32_769}, "cause: must be at most 32768 characters, got 32769"),
]
LONGEST = {"error": "\U0001f600" * 256, "cause": "\U0001f600" * 32_768}


@pytest.mark.parametrize(("fields", "detail"), TOO_LONG)
def test_a_failure_longer_than_awss_api_takes_is_refused_and_the_task_waits_on(
    fields: dict[str, str], detail: str
) -> None:
    waiting = Run(scope_of("A", task("A")), {})
    command = FailTask.of(waiting.task("A"), **fields)
    assert resume(waiting.execution, command) == Rejected(
        execution=waiting.execution, reason="InvalidCommand", detail=detail
    )


@pytest.mark.parametrize(("fields", "detail"), TOO_LONG)
def test_a_stop_that_says_more_than_awss_api_takes_is_refused(fields: dict[str, str], detail: str) -> None:
    running = two_tasks().execution
    refused = resume(running, StopExecution(execution_id=ID, **fields))
    assert refused == Rejected(execution=running, reason="InvalidCommand", detail=detail)


def test_the_longest_errors_and_causes_are_taken() -> None:
    run = two_tasks()
    assert run.stop(**LONGEST) == run.built((ExecutionAborted, (), "", LONGEST))
    run = Run(scope_of("A", task("A")), {})
    failed = run.fail("A", LONGEST["error"], LONGEST["cause"])
    assert failed == run.built((TaskFailed, (), "A", LONGEST), (ExecutionFailed, (), "", LONGEST))


def test_an_execution_times_out_as_a_whole() -> None:
    """Recorded: test_global_timeout: TIMED_OUT, without error and cause."""
    run = two_tasks(TimeoutSeconds=5)
    assert run.fire("execution") == run.built((ExecutionTimedOut, (), ""))
    assert (run.status, run.execution.time, run.execution.error) == ("TIMED_OUT", 5_000, None)


def test_an_execution_without_a_timeout_has_no_such_timer() -> None:
    run = two_tasks()
    fire = FireTimer(execution_id=ID, timer_id=f"{ID}##0#execution")
    assert timer_due(run.execution, fire.timer_id) is None
    assert run.refused(fire) == "TimerNotPending"


@pytest.mark.parametrize("timer", [f"{ID}##1#execution", f"{ID}#0#0#execution"])
def test_the_executions_timer_is_that_of_the_event_which_set_it(timer: str) -> None:
    run = two_tasks(TimeoutSeconds=5)
    assert run.refused(FireTimer(execution_id=ID, timer_id=timer)) == "TimerNotPending"


def every_command(run: Run) -> list[AnyCommand]:
    asked = run.task("A")
    return [
        CompleteTask.of(asked, 1),
        FailTask.of(asked),
        SubmitTask.of(asked, 1),
        HeartbeatTask.of(asked),
        FireTimer(execution_id=ID, timer_id=f"{ID}##0#execution"),
        StopExecution(execution_id=ID),
    ]


@pytest.mark.parametrize("end", ["stop", "complete", "fail", "timeout"])
def test_nothing_applies_to_an_execution_that_has_ended(end: str) -> None:
    run = two_tasks(TimeoutSeconds=5)
    match end:
        case "stop":
            run.stop()
        case "complete":
            run.complete("A", 1)
            run.complete("B", 1)
        case "fail":
            run.fail("B", "E")
        case _:
            run.fire("execution")
    assert run.execution.closed
    reasons = [run.refused(command) for command in every_command(run)]
    assert reasons == ["TaskNotPending"] * 4 + ["TimerNotPending", "ExecutionEnded"]


# ---- duplicate, stale, foreign


def test_a_second_answer_is_refused_whatever_it_says() -> None:
    run = two_tasks()
    asked = run.task("A")
    run.complete("A", 1)
    for again in (CompleteTask.of(asked, 1), CompleteTask.of(asked, 2), FailTask.of(asked), HeartbeatTask.of(asked)):
        assert run.refused(again) == "TaskNotPending"
    assert isinstance(run.outcome, Rejected)
    assert run.outcome.detail == f"no task waits for the token {ID}#0#4"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (CompleteTask(execution_id=ID, token=f"{ID}#0#3", output=1), "TaskNotPending"),
        (CompleteTask(execution_id=ID, token=f"{ID}#1#4", output=1), "TaskNotPending"),
        (CompleteTask(execution_id=ID, token=f"{ID}##4", output=1), "TaskNotPending"),
        (CompleteTask(execution_id=ID, token=f"{ID}#0.0#4", output=1), "TaskNotPending"),
        (CompleteTask(execution_id=ID, token="gibberish", output=1), "InvalidCommand"),
        (CompleteTask(execution_id=ID, token="other:1#0#4", output=1), "InvalidCommand"),
        (CompleteTask(execution_id="other:1", token="other:1#0#4", output=1), "InvalidCommand"),
        (FireTimer(execution_id=ID, timer_id=f"{ID}#0#4#timeout"), "TimerNotPending"),
        (FireTimer(execution_id=ID, timer_id="gibberish"), "InvalidCommand"),
        (FireTimer(execution_id=ID, timer_id="other:1#0#4#timeout"), "InvalidCommand"),
        (StopExecution(execution_id="other:1"), "InvalidCommand"),
        (StartExecution(execution_id=ID, input={}), "ExecutionAlreadyExists"),
        (RedriveExecution(execution_id=ID), "ExecutionNotRedrivable"),
        (ReleaseExecution(execution_id=ID), "ExecutionNotQuarantined"),
        (PurgeExecution(execution_id=ID, last_sequence=0), "ExecutionNotPurgeable"),
    ],
)
def test_a_command_that_cannot_apply_changes_nothing(command: AnyCommand, reason: str) -> None:
    run = two_tasks()
    before = run.execution
    assert run.refused(command) == reason
    assert run.execution is before


def test_time_never_runs_backwards() -> None:
    run = two_tasks()
    run.complete("A", 1, now=9_000)
    assert {event.time for event in run.complete("B", 1, now=3_000)} == {9_000}


def test_events_tell_the_command_they_came_of() -> None:
    run = two_tasks()
    command = replace(CompleteTask.of(run.task("A"), 1), command_id="c-7", issuer="worker-3")
    outcome = resume(run.execution, command, now=Millis(5), offset=42)
    assert {(event.caused_by, event.time) for event in outcome.events} == {
        (Cause(command_id="c-7", type="CompleteTask", issuer="worker-3", offset=42), 5)
    }


# ---- quarantine, as it folds


def quarantined(run: Run) -> Execution:
    after = run.execution
    event = ExecutionQuarantined(
        execution_id=ID, sequence=after.sequence, time=after.time, caused_by=after.caused_by, reason="a bug"
    )
    return evolve(after, event)


def test_a_quarantined_execution_takes_facts_and_decides_nothing() -> None:
    run = two_tasks()
    held = quarantined(run)
    assert held.quarantined == "a bug"
    outcome = resume(held, CompleteTask.of(run.task("A"), 1), now=Millis(5))
    assert isinstance(outcome, Continued)
    assert told(outcome.events) == [("TaskSucceeded", (0,), "A")]
    assert resume(outcome.execution).events == ()

    at = outcome.execution
    release = ExecutionReleased(execution_id=ID, sequence=at.sequence, time=at.time, caused_by=at.caused_by)
    released = resume(evolve(at, release))
    assert told(released.events) == [("StateExited", (0,), "A")]
    assert recover(run.workflow, [*run.events, *_since(run, held, outcome.events, release)]).execution == evolve(
        at, release
    )


def test_a_release_is_an_event_of_the_execution_itself() -> None:
    run = two_tasks()
    released = resume(quarantined(run), ReleaseExecution(execution_id=ID), now=Millis(5))
    assert told(released.events) == [("ExecutionReleased", (), "")]

    assert run.refused(ReleaseExecution(execution_id=ID)) == "ExecutionNotQuarantined"
    assert isinstance(run.outcome, Rejected)
    assert run.outcome.detail == f"{ID} is not in quarantine"


def _since(run: Run, held: Execution, *parts: Any) -> list[AnyEvent]:
    quarantine = ExecutionQuarantined(
        execution_id=ID,
        sequence=run.execution.sequence,
        time=held.time,
        caused_by=held.caused_by,
        reason="a bug",
    )
    facts, release = parts
    return [quarantine, *facts, release]


def test_a_quarantined_executions_timers_stay() -> None:
    run = two_tasks(TimeoutSeconds=5)
    held = quarantined(run)
    outcome = resume(held, FireTimer(execution_id=ID, timer_id=f"{ID}##0#execution"))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "ExecutionQuarantined"
    assert outcome.execution is held


def test_a_quarantined_execution_can_be_stopped() -> None:
    outcome = resume(quarantined(two_tasks()), StopExecution(execution_id=ID))
    assert told(outcome.events) == [("ExecutionAborted", (), "")]


# ---- why a command is refused, in words


def detail(at: Execution, command: AnyCommand) -> str:
    outcome = resume(at, command)
    assert isinstance(outcome, Rejected)
    return outcome.detail


def test_a_refusal_says_what_it_refuses() -> None:
    run = two_tasks(TimeoutSeconds=5)
    run.submit("A", 1)
    at, held, submitted = run.execution, quarantined(run), token_of(run.task("A"))
    run.stop()
    token, timer = f"{ID}#0#99", f"{ID}##0#execution"
    assert [
        detail(at, SubmitTask(execution_id=ID, token=submitted, output=2)),
        detail(at, CompleteTask(execution_id=ID, token=token, output=1)),
        detail(at, FireTimer(execution_id=ID, timer_id=f"{ID}#0#99#wait")),
        detail(held, FireTimer(execution_id=ID, timer_id=timer)),
        detail(run.execution, StopExecution(execution_id=ID)),
        detail(at, StartExecution(execution_id=ID, input=1)),
        detail(at, PurgeExecution(execution_id=ID, last_sequence=1)),
        detail(at, StopExecution(execution_id="other:1")),
    ] == [
        f"the task of token {submitted} was submitted before",
        f"no task waits for the token {token}",
        f"nothing waits for the timer {ID}#0#99#wait",
        f"{ID} is quarantined; its timers fire on release",
        f"{ID} is ABORTED",
        f"{ID} was started before",
        f"{ID} is RUNNING: only an ended execution can be purged, and by a processor",
        f"execution_id: must be {ID}, the execution it is applied to, got 'other:1'",
    ]


# ---- redrive, as it folds


def redriven(run: Run, **fields: Any) -> Execution:
    at = run.execution
    event = ExecutionRedriven(
        execution_id=ID,
        sequence=at.sequence,
        time=Millis(60_000),
        caused_by=Cause(type="RedriveExecution"),
        redrive_count=at.redrive_count + 1,
        revision=run.workflow.revision,
        definition_hash=run.workflow.definition_hash,
        **fields,
    )
    return evolve(at, event)


def test_a_redriven_execution_goes_on_where_it_failed() -> None:
    """Developer Guide, "Redriving executions": what succeeded stays, what failed or was aborted runs again."""
    run = two_tasks()
    run.complete("B", "kept")
    run.fail("A", "E")
    again = redriven(run)
    assert (again.status, again.error, again.redrive_count, again.redrive_time) == ("RUNNING", None, 1, 60_000)
    outcome = resume(again)
    assert told(outcome.events) == [("TaskScheduled", (0,), "A")]
    asked = outcome.events[0]
    assert isinstance(asked, TaskScheduled)
    assert outcome.execution is not None
    done = resume(outcome.execution, CompleteTask.of(asked, "anew"))
    assert done.execution is not None
    assert done.execution.output == ["anew", "kept"]


def test_cut_siblings_run_again_too() -> None:
    run = two_tasks()
    run.fail("A", "E")
    assert told(resume(redriven(run)).events) == [("TaskScheduled", (0,), "A"), ("TaskScheduled", (1,), "B")]


def test_a_sibling_cut_between_two_states_enters_the_next_one() -> None:
    """The branch that was runnable and had not entered its state yet goes on there, as if nothing had been."""
    fails = scope_of("F", {"Type": "Fail", "Error": "E"})
    late = scope_of("B", task("B"))
    run = Run(scope_of("P", {"Type": "Parallel", "Branches": [fails, late], "End": True}), {})
    assert run.status == "FAILED"
    again = redriven(run)
    assert (again.scopes[(0,)].phase, again.scopes[(1,)].phase) == (Entered(), Next("B"))
    assert told(resume(again).events) == [("ParallelFailed", (), "P"), ("ExecutionFailed", (), "")]


def test_a_redriven_map_keeps_the_results_it_has() -> None:
    each = {"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": scope_of("A", task("A")), "End": True}
    run = Run(scope_of("M", each), ["x", "y", "z"])
    run.complete("A", "kept", scope=(0,))
    run.fail("A", "E", scope=(1,))
    outcome = resume(redriven(run))
    assert told(outcome.events) == [("TaskScheduled", (1,), "A"), ("TaskScheduled", (2,), "A")]
    for event, output in zip(outcome.events, ("b", "c"), strict=True):
        assert isinstance(event, TaskScheduled)
        assert outcome.execution is not None
        outcome = resume(outcome.execution, CompleteTask.of(event, output))
    assert outcome.execution is not None
    assert outcome.execution.output == ["kept", "b", "c"]


def test_a_redrive_forgets_attempts_and_sets_its_own_timeout() -> None:
    run = Run(scope_of("A", task("A", Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}])) | {"TimeoutSeconds": 5}, {})
    run.fail("A", "E")
    run.fire("retry", "A")
    run.fail("A", "E")
    again = redriven(run, timeout_at=Millis(65_000))
    assert (again.scopes[()].attempts, again.scopes[()].retry_count, again.timeout_at) == ((), 0, 65_000)
    timers = [f"{ID}##0#execution", f"{ID}##{run.execution.sequence}#execution"]
    assert [timer_due(again, timer) for timer in timers] == [None, 65_000]


def test_an_execution_stopped_while_it_waited_goes_on_waiting_anew() -> None:
    run = Run(scope_of("W", {"Type": "Wait", "Seconds": 5, "End": True}), {})
    run.stop()
    assert told(resume(redriven(run)).events) == [("WaitStarted", (), "W")]


def test_the_context_object_tells_a_redrive() -> None:
    shown = {"n.$": "$$.Execution.RedriveCount", "t.$": "$$.Execution.RedriveTime"}
    run = Run(machine("A", {"A": task("A", "B"), "B": {"Type": "Pass", "Parameters": shown, "End": True}}), {})
    run.stop()
    outcome = resume(redriven(run))
    asked = outcome.events[0]
    assert isinstance(asked, TaskScheduled)
    assert outcome.execution is not None
    done = resume(outcome.execution, CompleteTask.of(asked, 1))
    assert done.execution is not None
    assert done.execution.output == {"n": 1, "t": "1970-01-01T00:01:00.000Z"}


def test_a_history_has_one_beginning() -> None:
    run = two_tasks()
    with pytest.raises(ValueError, match="started twice"):
        evolve(run.execution, run.events[0])


# ---- outcomes


def test_an_outcome_says_how_it_ended() -> None:
    run = two_tasks()
    run.complete("A", 1)
    assert told(run.complete("B", 2))[0] == (TaskSucceeded.__name__, (1,), "B")
    outcome = start(run.workflow, {})
    assert isinstance(outcome, Continued)
    assert run.outcome == recover_outcome(run)


def recover_outcome(run: Run) -> object:
    """The recovered outcome, with the events of the last command, which a fold does not give."""
    return replace(recover(run.workflow, run.events), events=run.outcome.events)


# ---- events that later issues decide fold already


def test_an_expressions_failure_is_the_states() -> None:
    run = Run(scope_of("A", task("A", Retry=[{"ErrorEquals": ["States.QueryEvaluationError"]}])), {})
    at = run.execution
    failed = EvaluationFailed(
        execution_id=ID,
        sequence=at.sequence,
        time=at.time,
        caused_by=at.caused_by,
        state="A",
        error="States.QueryEvaluationError",
        cause="why",
        location="Output",
    )
    outcome = resume(evolve(at, failed))
    assert told(outcome.events) == [("RetryScheduled", (), "A")]
    assert outcome.execution is not None
    assert outcome.execution.aws_events == at.aws_events + 1


def test_an_execution_stopped_between_two_states_enters_the_next_one() -> None:
    states = {"A": {"Type": "Pass", "Next": "B"}, "B": task("B")}
    run = Run(machine("A", states), {})
    cut = recover(run.workflow, run.events[:3]).execution
    assert cut is not None
    stop = StopExecution(execution_id=ID)
    stopped = resume(cut, stop).execution
    assert stopped is not None
    assert stopped.scopes[()].phase == Next("B")
    redrive = ExecutionRedriven(
        execution_id=ID,
        sequence=stopped.sequence,
        time=stopped.time,
        caused_by=stopped.caused_by,
        redrive_count=1,
        revision=run.workflow.revision,
        definition_hash=run.workflow.definition_hash,
    )
    assert told(resume(evolve(stopped, redrive)).events) == [("StateEntered", (), "B"), ("TaskScheduled", (), "B")]


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


NO_JSON: list[tuple[Any, str]] = [
    (deep(300), ": must be JSON, got 'more than 254 levels'"),
    ({1}, ": must be JSON, got 'a value of type set'"),
    ({"a": [float("nan")]}, "/a/0: must be JSON, got nan"),
    (float("inf"), ": must be JSON, got inf"),
    ("\ud800", ": must be JSON, got 'half of a surrogate pair'"),
]


@pytest.mark.parametrize(("value", "why"), NO_JSON, ids=range(5))
def test_a_command_whose_payload_is_no_json_is_refused_and_the_task_waits_on(value: Any, why: str) -> None:
    run = two_tasks()
    scheduled = run.task("A")
    commands: dict[str, list[AnyCommand]] = {
        "output": [CompleteTask.of(scheduled, value), SubmitTask.of(scheduled, value)],
        "detail": [HeartbeatTask.of(scheduled, detail=value)],
        "error": [FailTask.of(scheduled, error=value), StopExecution(execution_id=ID, error=value)],
        "cause": [FailTask.of(scheduled, cause=value), StopExecution(execution_id=ID, cause=value)],
    }
    for name, those in commands.items():
        for command in those:
            assert resume(run.execution, command) == Rejected(
                execution=run.execution, reason="InvalidCommand", detail=f"{name}{why}"
            )


def test_an_error_and_a_cause_are_texts() -> None:
    run = two_tasks()
    wrong: Any = 5
    assert resume(run.execution, FailTask.of(run.task("A"), error=wrong)) == Rejected(
        execution=run.execution, reason="InvalidCommand", detail="error: must be a string, got 5"
    )


def test_a_result_is_copied() -> None:
    run = two_tasks()
    given: dict[str, Any] = {"a": [1]}
    outcome = resume(run.execution, CompleteTask.of(run.task("A"), given))
    given["a"].append(2)
    assert outcome.events[0] == TaskSucceeded(
        execution_id=ID,
        scope=(0,),
        state="A",
        sequence=outcome.events[0].sequence,
        time=outcome.events[0].time,
        caused_by=outcome.events[0].caused_by,
        output={"a": [1]},
    )


def test_an_output_that_was_read_from_a_log_and_cannot_be_written_is_refused() -> None:
    """Texts may be nested deeper than values can be written."""
    run = two_tasks()
    command = CompleteTask.of(run.task("A"), deep(300))
    decision = decided(run.execution, command, now=run.execution.time, offset=None)
    assert decision == Refused("InvalidCommand", "output: must be JSON, got 'Recursion limit reached'")
