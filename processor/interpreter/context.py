"""The context object (`$$`), made from the folded state when an expression first asks for it.

Source: AWS Step Functions Developer Guide, "Accessing execution data from the Context object"; order of keys as in
recorded executions.
"""

from __future__ import annotations

from datetime import UTC, datetime

from processor.errors import InvalidCommand
from processor.interpreter.entropy import draw
from processor.model.definition import TaskState
from processor.model.execution import Execution, Iterations, Scope
from processor.model.ids import TOP, Millis, ScopeKey, task_token
from processor.model.json import Json

# No account and no region stand behind an execution here; definitions that take an ARN apart still work.
ARN_PREFIX = "arn:aws:states:us-east-1:111111111111"

OWN_KEYS = frozenset(("Execution", "State", "StateMachine", "Task", "Map"))
_RETRIED = frozenset(("Task", "Parallel", "Map"))


def check_user_context(context: object) -> None:
    """Raise InvalidCommand where the user's context is no object or takes a name that AWS's context object has."""
    if not isinstance(context, dict):
        raise InvalidCommand(where="context", rule="must be a JSON object", value=context)
    taken = sorted(OWN_KEYS & context.keys())
    if taken:
        rule = f"must not hold {', '.join(sorted(OWN_KEYS))}, which are the context object's own"
        raise InvalidCommand(where="context", rule=rule, value=taken)


def context_object(execution: Execution, key: ScopeKey, *, item: tuple[int, Json] | None = None) -> Json:
    """Return what `$$` is in the scope `key`. `item`: the Map item being selected, before its scope is there."""
    started = execution.started
    scope = execution.scopes[key]
    machine, name = started.state_machine, execution.execution_id.partition(":")[2]
    about: dict[str, Json] = {
        "Id": _execution_arn(execution),
        "Input": started.input,
        "StartTime": timestamp(started.time),
        "Name": name,
        "RoleArn": started.role,
    }
    if not started.synchronous:  # recorded: StartSyncExecution's has none
        about["RedriveCount"] = execution.redrive_count
    if execution.redrive_time is not None:
        about["RedriveTime"] = timestamp(execution.redrive_time)
    state: dict[str, Json] = {"Name": scope.state, "EnteredTime": timestamp(scope.entered_time)}
    if scope.type in _RETRIED:
        state["RetryCount"] = scope.retry_count
    user = started.context if isinstance(started.context, dict) else {}
    context: dict[str, Json] = {
        **user,
        "Execution": about,
        "StateMachine": {"Id": f"{ARN_PREFIX}:stateMachine:{machine}", "Name": machine},
        "State": state,
    }
    item = item or _enclosing_item(execution, key)
    if item is not None:
        context["Map"] = {"Item": {"Index": item[0], "Value": item[1]}}
    if _calls_back(execution, scope):
        context["Task"] = {"Token": task_token(execution.execution_id, key, execution.sequence)}
    return context


def _calls_back(execution: Execution, scope: Scope) -> bool:
    """Whether there is a Task.Token to read. Recorded: a Lambda's or a plain call's context object has none, that of
    .sync has one. The tasks of this project's own workers, named by a plain word, have one."""
    state = execution.workflow.states[scope.state]
    if not isinstance(state, TaskState):
        return False
    resource = state.resource
    return resource.pattern != "REQUEST_RESPONSE" or (
        resource.kind == "LAMBDA" and not resource.resource.startswith("arn:")
    )


def _execution_arn(execution: Execution) -> str:
    """Recorded: an Express execution's has a third part, a UUID that AWS draws."""
    started = execution.started
    if started.type == "STANDARD":
        return f"{ARN_PREFIX}:execution:{execution.execution_id}"
    drawn = draw(started.seed, scope=TOP, visit=0, attempt=0, number=0).hex()
    parts = (drawn[:8], drawn[8:12], drawn[12:16], drawn[16:20], drawn[20:])
    return f"{ARN_PREFIX}:express:{execution.execution_id}:{'-'.join(parts)}"


def _enclosing_item(execution: Execution, key: ScopeKey) -> tuple[int, Json] | None:
    """The innermost Map iteration that `key` is in."""
    while key:
        children = execution.scopes[key[:-1]].children
        if isinstance(children, Iterations):
            return key[-1], children.items[key[-1]]
        key = key[:-1]
    return None


def timestamp(time: Millis) -> str:
    """ISO 8601 with milliseconds, in UTC, as AWS writes times into the context object."""
    seconds, ms = divmod(time, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
