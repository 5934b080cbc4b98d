"""Whether an ended execution may go on from where it failed.

Source: AWS Developer Guide, "Restarting state machine executions with redrive in Step Functions": STANDARD executions
that failed, timed out or were stopped, at most 1,000 times and with room in their history; the time they may take
begins anew; the words are those of AWS's redriveStatusReason. Not so here: how long ago it ended does not matter, but
whether its record still stands; and another revision of the definition may take over, if it has the states that are
open.
"""

from __future__ import annotations

from processor.interpreter.quota import MAX_HISTORY_EVENTS
from processor.interpreter.refused import Refused
from processor.interpreter.turn import envelope_of
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Cut, Execution, Iterations, Next, Scope
from processor.model.ids import TOP, Millis

MAX_REDRIVES = 1_000


def redrive(execution: Execution) -> e.ExecutionRedriven | Refused:
    """Return the event that reopens the execution, whose workflow is the one to go on with."""
    reason = _hindrance(execution)
    if reason is not None:
        return Refused("ExecutionNotRedrivable", reason)
    workflow = execution.workflow
    seconds = workflow.timeout_seconds
    return e.ExecutionRedriven(
        **envelope_of(execution, TOP, ""),
        redrive_count=execution.redrive_count + 1,
        revision=workflow.revision,
        definition_hash=workflow.definition_hash,
        timeout_at=None if seconds is None else Millis(execution.time + seconds * 1000),
    )


def hindrance(*, status: str, type: e.MachineType, redrive_count: int) -> str | None:
    """Return why an execution of this kind, that has come to this, cannot be redriven; None: more may hinder it."""
    if status in ("RUNNING", "SUCCEEDED"):
        return f"Execution is {status} and cannot be redriven"
    if type == "EXPRESS":
        return "Execution is of an EXPRESS state machine and cannot be redriven"
    if redrive_count >= MAX_REDRIVES:
        return f"Execution was redriven {MAX_REDRIVES} times and cannot be redriven"
    return None


def open_run(state: str) -> str:
    """Return what hinders a redrive while a distributed Map of this name has a run that has not ended."""
    return f"Execution has an open run of the distributed Map '{state}', which cannot be redriven yet"


def _hindrance(execution: Execution) -> str | None:
    reason = hindrance(status=execution.status, type=execution.workflow.type, redrive_count=execution.redrive_count)
    if reason is not None:
        return reason
    if execution.aws_events >= (execution.workflow.history_quota or MAX_HISTORY_EVENTS) - 1:
        return "Execution event history limit exceeded"
    for scope in execution.scopes.values():
        if isinstance(scope.children, Iterations) and scope.children.run is not None:
            return open_run(scope.state)
        if (missing := _missing(scope, execution.workflow)) is not None:
            return f"Revision {execution.workflow.revision} {missing}"
    return None


def _missing(scope: Scope, workflow: Workflow) -> str | None:
    """Return what the workflow lacks that the scope is in, or is to enter."""
    phase = scope.phase.before if isinstance(scope.phase, Cut) else scope.phase
    if isinstance(phase, Next) and phase.state not in workflow.states:
        return f"has no state '{phase.state}'"
    if scope.type is None:
        return None
    state = workflow.states.get(scope.state)
    if state is None or type(state).__name__ != f"{scope.type}State":
        return f"has no {scope.type} state '{scope.state}'"
    return None
