"""A distributed Map's children as executions of their own: the records that tell what they came to.

They run inside their Map's execution. Names are drawn from its seed by position, so nothing of them is stored.
Records: AWS Developer Guide, "ResultWriter", transformation NONE; that of a failure is by analogy.
"""

from __future__ import annotations

from processor.interpreter.context import ARN_PREFIX, child_name, timestamp
from processor.model import events as e
from processor.model.execution import Child, Execution, Failed
from processor.model.ids import ScopeKey
from processor.model.json import Json, render_json

EXCEEDED = Failed("States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded")
"""What more failures than are tolerated come to. Recorded (TestState)."""


def success_record(execution: Execution, key: ScopeKey) -> Json:
    """Return what transformation NONE makes of the output of the child that ends in scope `key`."""
    scope = execution.scopes[key]
    assert scope.child is not None
    about = _about(execution, key, scope.child)
    ends: dict[str, Json] = {
        "Output": render_json(scope.value),
        "OutputDetails": {"Included": True},
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "Status": "SUCCEEDED",
        "StopDate": timestamp(execution.time),
    }
    return dict(sorted({**about, **ends}.items()))


def failure_record(execution: Execution, event: e.MapIterationFailed) -> Json:
    """Return what stands for the output of a child that failed, whatever the transformation."""
    scope = execution.scopes[event.scope]
    assert scope.child is not None
    about = _about(execution, event.scope, scope.child)
    ends: dict[str, Json] = {
        "Cause": event.cause,
        "Error": event.error,
        "RedriveStatus": "REDRIVABLE_BY_MAP_RUN",
        "Status": "FAILED",
        "StopDate": timestamp(event.time),
    }
    return dict(sorted((name, value) for name, value in {**about, **ends}.items() if value is not None))


def _about(execution: Execution, key: ScopeKey, child: Child) -> dict[str, Json]:
    machine, name = child_name(execution, key)
    return {
        "ExecutionArn": f"{ARN_PREFIX}:execution:{machine}:{name}",
        "Input": render_json(child.input),
        "InputDetails": {"Included": True},
        "Name": name,
        "RedriveCount": 0,
        "StartDate": timestamp(child.started),
        "StateMachineArn": f"{ARN_PREFIX}:stateMachine:{machine}",
    }
