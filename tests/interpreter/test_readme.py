"""The README's first example, as it stands there."""

from __future__ import annotations

from processor import (
    Continued,
    ExecutionStarted,
    ExecutionSucceeded,
    FireTimer,
    StateEntered,
    StateExited,
    Succeeded,
    WaitStarted,
    parse,
    recover,
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
