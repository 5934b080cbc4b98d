"""The quota of history events: an execution that would pass it fails.

Source: Developer Guide, "Avoid reaching the history quota": with one event left the execution waits for what comes
next; if that is ExecutionSucceeded it succeeds, else it fails because of the quota. Cause and place (ExecutionFailed is
event 25,000 itself) are second-hand: measured on AWS in August 2026 (floci issue 2734).
"""

from __future__ import annotations

from processor.interpreter.evolve import evolve
from processor.interpreter.retry import RUNTIME
from processor.interpreter.turn import envelope_of
from processor.model import events as e
from processor.model.execution import Execution, Failed, Scope
from processor.model.ids import TOP

MAX_HISTORY_EVENTS = 25_000
"""AWS's quota for STANDARD; EXPRESS has none (Developer Guide, "Service quotas")."""

_MOST_OF_ONE = 2  # AWS events that one of ours renders to


def within_quota(execution: Execution, event: e.AnyEvent) -> e.AnyEvent:
    """Return `event`, the execution's next one, or the ExecutionFailed that stands in its place.

    What ends the execution from outside, a stop or its timeout, is always let through. A task's Scheduled and Started
    are one event here: where AWS would still have room for the first of them, this fails one event earlier.
    """
    quota = execution.workflow.history_quota
    if quota is None or execution.aws_events + _MOST_OF_ONE < quota:
        return event
    if isinstance(event, (e.ExecutionSucceeded, e.ExecutionTimedOut, e.ExecutionAborted)):
        return event
    if evolve(execution, event).aws_events < quota:
        return event
    return e.ExecutionFailed(**envelope_of(execution, TOP, ""), error=RUNTIME, cause=_cause(quota))


def child_quota(execution: Execution, scope: Scope) -> Failed | None:
    """Return how a child of a distributed Map fails that would enter one state too many in `scope`.

    A child has a history, and so a quota, of its own (Developer Guide, "Distributed mode"), but for now its events are
    its Map's execution's. A state's Entered and Exited are counted, in one scope: just what AWS counts of Pass and
    Choice, of which loops without end are made, and too little of others. On AWS a child of ExecutionType EXPRESS has
    300 seconds and no quota; here it has the quota, or nothing would end its loops (docs/decisions/0014).
    """
    quota = execution.workflow.history_quota
    if quota is None or (scope.visit + 1) * _MOST_OF_ONE < quota:
        return None
    return Failed(RUNTIME, _cause(quota))


def _cause(quota: int) -> str:
    return f"The execution reached the maximum number of history events ({quota})."
