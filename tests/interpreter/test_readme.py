"""The README's first example, as it stands there."""

from __future__ import annotations

from processor import (
    CompleteTask,
    Continued,
    ExecutionStarted,
    ExecutionSucceeded,
    Failed,
    FailTask,
    FireTimer,
    StateEntered,
    StateExited,
    Succeeded,
    TaskScheduled,
    WaitStarted,
    parse,
    recover,
    render_history,
    resume,
    start,
)


def test_the_readmes_first_example() -> None:
    workflow = parse({"StartAt": "Start", "States": {"Start": {"Type": "Wait", "Seconds": 10, "Next": "End"}, "End": {"Type": "Succeed"}}})  # fmt: skip  # noqa: E501
    outcome = start(workflow, {"user": "a@example.com"}, context={"environment": "staging"})
    assert isinstance(outcome, Continued)
    assert [type(event) for event in outcome.events] == [ExecutionStarted, StateEntered, WaitStarted]

    finish = FireTimer.of(next(e for e in outcome.events if isinstance(e, WaitStarted)))
    finished = resume(outcome.execution, finish)
    assert isinstance(finished, Succeeded)
    assert finished.output == {"user": "a@example.com"}
    assert [type(e) for e in finished.events] == [StateExited, StateEntered, StateExited, ExecutionSucceeded]
    assert finished.execution.time == 10_000  # the timer's due time, with no clock given

    assert recover(workflow, outcome.events).execution == outcome.execution
    assert recover(workflow, (*outcome.events, *finished.events)).execution == finished.execution


def test_a_task_is_answered_and_its_history_rendered_as_the_readme_says() -> None:
    workflow = parse({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "f", "End": True}}})
    for answer, ended in (("complete", Succeeded), ("fail", Failed)):
        outcome = start(workflow, {})
        scheduled = next(e for e in outcome.events if isinstance(e, TaskScheduled))
        command = (
            CompleteTask.of(scheduled, {"paid": True})
            if answer == "complete"
            else FailTask.of(scheduled, error="CardDeclined", cause="over the limit")
        )
        assert outcome.execution is not None
        answered = resume(outcome.execution, command)
        assert type(answered) is ended
        history = render_history((*outcome.events, *answered.events))
        assert history[-1]["type"] == type(answered.events[-1]).__name__
