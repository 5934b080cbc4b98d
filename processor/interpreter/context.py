"""The context object (`$$`), made from the folded state when an expression first asks for it.

Source: AWS Step Functions Developer Guide, "Accessing execution data from the Context object"; order of keys as in
recorded executions.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from processor.errors import InvalidCommand
from processor.interpreter.entropy import NAMING, draw, uuid_of
from processor.model.definition import MapState, TaskState
from processor.model.execution import STATE_DATA, Execution, Iterations, Scope
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


class MapItem(Struct, frozen=True):
    """An item of a Map. `key`: where it was an object's member."""

    index: int
    value: Json
    key: str | None = None
    source: str = STATE_DATA


def context_object(execution: Execution, key: ScopeKey, *, item: MapItem | None = None) -> Json:
    """Return what `$$` is in the scope `key`. `item`: the Map item being selected, before its scope is there.

    Within a distributed Map it is that of the child, as if it were an execution of its own.
    """
    started = execution.started
    scope = execution.scopes[key]
    root = child_root(execution, key)
    machine, about = (started.state_machine, _about(execution)) if root is None else _about_child(execution, root)
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
    item = item or _enclosing_item(execution, key, root)
    if item is not None:
        keyed: dict[str, Json] = {} if item.key is None else {"Key": item.key}
        context["Map"] = {"Item": {"Index": item.index, **keyed, "Value": item.value, "Source": item.source}}
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


def _about(execution: Execution) -> dict[str, Json]:
    started = execution.started
    about: dict[str, Json] = {
        "Id": _execution_arn(execution, TOP, execution.execution_id, express=started.type == "EXPRESS"),
        "Input": started.input,
        "StartTime": timestamp(started.time),
        "Name": execution.execution_id.partition(":")[2],
        "RoleArn": started.role,
    }
    if not started.synchronous:  # recorded: StartSyncExecution's has none
        about["RedriveCount"] = execution.redrive_count
    if execution.redrive_time is not None:
        about["RedriveTime"] = timestamp(execution.redrive_time)
    return about


def _about_child(execution: Execution, root: ScopeKey) -> tuple[str, dict[str, Json]]:
    child, parent = execution.scopes[root].child, execution.scopes[root[:-1]]
    assert child is not None
    machine, name = child_name(execution, root)
    state = execution.workflow.states[parent.state]
    assert isinstance(state, MapState)
    return machine, {
        "Id": _execution_arn(execution, root, f"{machine}:{name}", express=state.execution_type == "EXPRESS"),
        "Input": child.input,
        "StartTime": timestamp(child.started),
        "Name": name,
        "RoleArn": execution.started.role,
        "RedriveCount": 0,
    }


def _execution_arn(execution: Execution, key: ScopeKey, id: str, *, express: bool) -> str:
    """Recorded: an Express execution's has a third part, a UUID that AWS draws."""
    if not express:
        return f"{ARN_PREFIX}:execution:{id}"
    drawn = draw(execution.started.seed, scope=key, visit=0, attempt=0, number=0)
    return f"{ARN_PREFIX}:express:{id}:{uuid_of(drawn)}"


def child_root(execution: Execution, key: ScopeKey) -> ScopeKey | None:
    """Return the scope of the innermost iteration of a distributed Map that `key` is in: to itself it is an execution
    of its own. None at the top."""
    for depth in range(len(key), 0, -1):
        if execution.scopes[key[:depth]].child is not None:
            return key[:depth]
    return None


def child_name(execution: Execution, root: ScopeKey) -> tuple[str, str]:
    """Return the state machine, <state machine>/<label>, and the name of the child execution in scope `root`."""
    parent = execution.scopes[root[:-1]]
    assert isinstance(parent.children, Iterations) and parent.children.run is not None
    seed = execution.started.seed
    drawn = draw(seed, scope=root, visit=parent.visit, attempt=parent.retry_count, number=NAMING)
    return parent.children.run.machine, uuid_of(drawn)


def _enclosing_item(execution: Execution, key: ScopeKey, root: ScopeKey | None) -> MapItem | None:
    """The innermost inline Map's iteration that `key` is in. A distributed Map's children do not see their item."""
    while key != (root or TOP):
        children = execution.scopes[key[:-1]].children
        if isinstance(children, Iterations):
            return MapItem(key[-1], children.items[key[-1]])
        key = key[:-1]
    return None


def timestamp(time: Millis) -> str:
    """ISO 8601 with milliseconds, in UTC, as AWS writes times into the context object."""
    seconds, ms = divmod(time, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
