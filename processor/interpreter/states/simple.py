"""Pass, Succeed, Choice, Wait and Fail: states without work outside."""

from __future__ import annotations

from processor.interpreter.turn import Turn, as_failed, exit_by, exit_with
from processor.model import events as e
from processor.model.definition import (
    ChoiceState,
    FailState,
    PassState,
    StateFailure,
    SucceedState,
    WaitState,
)
from processor.model.execution import Failed
from processor.model.ids import Millis

# Seconds in 32 bits: recorded, a timestamp 24,855 days ahead is waited for, one 24,856 days ahead is too far.
MAX_WAIT_MS = (2**31 - 1) * 1000


def run_pass(turn: Turn, state: PassState) -> e.AnyEvent:
    result = state.result if state.has_result else turn.prepared()
    return exit_with(turn, result)


def run_succeed(turn: Turn, state: SucceedState) -> e.AnyEvent:
    return exit_with(turn, turn.prepared())


def run_choice(turn: Turn, state: ChoiceState) -> e.AnyEvent:
    value = turn.prepared()
    rule = next((rule for rule in state.rules if rule.when(value, turn)), None)
    if rule is not None:
        return exit_by(turn, rule, value)
    if state.next is None:
        # Not States.NoChoiceMatched, as the documentation has it, but what others measured (decision 0023): floci pull
        # request 3167, in us-east-1. No Catch takes it.
        cause = "Failed to transition out of the state. The state does not point to a next state."
        raise StateFailure("States.Runtime", cause)
    return exit_with(turn, value)


def run_wait(turn: Turn, state: WaitState) -> e.AnyEvent:
    return e.WaitStarted(**turn.envelope(), due=_due(turn, state))


def end_wait(turn: Turn) -> e.AnyEvent:
    return exit_with(turn, turn.prepared())


def _due(turn: Turn, state: WaitState) -> Millis:
    now = turn.execution.time
    value = turn.prepared()  # an InputPath that finds nothing fails at once, not when the wait is over
    if state.timestamp is not None:
        timestamp = state.timestamp(value, turn) if callable(state.timestamp) else state.timestamp
        assert isinstance(timestamp, int)
        due = max(timestamp, now)
    else:
        seconds = state.seconds(value, turn) if callable(state.seconds) else state.seconds
        assert isinstance(seconds, int)
        due = now + seconds * 1000
    if due - now > MAX_WAIT_MS:
        raise StateFailure("States.Runtime", "Wait state delay is too long.")
    return Millis(due)


def run_fail(turn: Turn, state: FailState) -> Failed:
    """A Fail state has no event of its own: entry and the failure's own event say all."""
    return as_failed(_text(turn, state.error), _text(turn, state.cause))


def _text(turn: Turn, written: object) -> str | None:
    if callable(written):
        written = turn.bounded(written(turn.scope.value, turn))  # an event must hold it
    assert written is None or isinstance(written, str)
    return written
