"""What this project's interpreter answers, timers fired in virtual time."""

from __future__ import annotations

from processor import (
    EPOCH,
    ZERO,
    ExecutionStarted,
    FireTimer,
    InvalidDefinition,
    Rejected,
    StartExecution,
    parse,
    resume,
)
from processor.interpreter.decide import timer_due
from processor.interpreter.evolve import begin
from processor.interpreter.interpreter import cause_of, first_event
from processor.model.commands import timers_set_by
from processor.model.events import AnyEvent
from processor.model.execution import Execution
from processor.model.json import render_json
from tests.differential.answer import NAME, ROLE, Answer
from tests.differential.generator import Generated

NOW = EPOCH
MAX_TIMERS = 200


def answer(case: Generated) -> Answer:
    try:
        workflow = parse(case.definition)
    except InvalidDefinition as invalid:
        return Answer(
            status="REFUSED", cause="; ".join(f"{d.pointer} {d.code} {d.message}" for d in invalid.diagnostics)
        )
    command = StartExecution(execution_id=NAME, input=case.input, role=ROLE)
    started = first_event(workflow, command, now=NOW, seed=ZERO, cause=cause_of(command, offset=None))
    assert isinstance(started, ExecutionStarted), started
    outcome = resume(begin(workflow, started))
    events: list[AnyEvent] = [*outcome.events]
    for _ in range(MAX_TIMERS):
        execution = outcome.execution
        assert execution is not None
        if execution.closed:
            break
        outcome = resume(execution, _next_timer(execution, events))
        assert not isinstance(outcome, Rejected), outcome
        events += outcome.events
    execution = outcome.execution
    assert execution is not None
    if execution.status == "SUCCEEDED":
        return Answer(status="SUCCEEDED", output=render_json(execution.output))
    return Answer(status=execution.status, error=execution.error, cause=execution.cause)


def _next_timer(execution: Execution, events: list[AnyEvent]) -> FireTimer:
    """Return the timer due first."""
    waiting = [
        (due, command)
        for event in events
        for command in [FireTimer.of(event, kind) for kind in timers_set_by(event)]
        if (due := timer_due(execution, command.timer_id)) is not None
    ]
    return min(waiting, key=lambda timer: timer[0])[1]
