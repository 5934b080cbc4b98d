"""Which function a task goes to, and what that function sees.

| the state's Resource | routes by | the function gets | its result becomes |
|---|---|---|---|
| a plain name | the name | the arguments | the output |
| arn:aws:lambda:…:function:NAME[:version] | NAME | the arguments | the output |
| arn:aws:states:::lambda:invoke | FunctionName in the arguments, a name or an ARN | Payload | Payload of the answer |
| arn:aws:states:…:activity:NAME | NAME | the arguments | the output |
| any other service integration | its two names, as in `sqs:sendMessage` | the arguments | the output |

The whole resource as written routes too, and wins.
"""

from __future__ import annotations

from typing import Final

from processor.model.events import TaskScheduled
from processor.model.json import Json
from processor.model.records import Task

_WAITING: Final = ".waitForTaskToken"


def routes_of(task: Task | TaskScheduled) -> tuple[str, ...]:
    """Return the names under which a function for `task` may be registered, the most special first."""
    match task.kind:
        case "LAMBDA":
            return _distinct(task.resource, function_name(task.resource))
        case "ACTIVITY":
            return _distinct(task.resource, task.resource.rpartition(":")[2])
        case "SERVICE":
            service = f"{task.resource_type}:{task.resource}"
            plain = service.removesuffix(_WAITING)
            if invokes_lambda(task) and isinstance(task.arguments, dict):
                named = task.arguments.get("FunctionName")
                if isinstance(named, str):
                    return _distinct(named, function_name(named), service, plain)
            return _distinct(service, plain)
        case "ITEM_READER" | "RESULT_WRITER":
            return (f"{task.resource_type}:{task.resource}",)


def invokes_lambda(task: Task | TaskScheduled) -> bool:
    """Whether it is the service integration lambda:invoke, which wraps what the function sees and gives."""
    return (
        task.kind == "SERVICE" and task.resource_type == "lambda" and task.resource.removesuffix(_WAITING) == "invoke"
    )


def waits_for_token(task: Task | TaskScheduled) -> bool:
    """Whether the function's result only says that the call was made; somebody else completes the task."""
    return task.resource.endswith(_WAITING)


def function_name(resource: str) -> str:
    """Return NAME of a Lambda ARN, whole or partial (`account:function:NAME`), or of `NAME:version`."""
    parts = resource.split(":")
    if "function" in parts[:-1]:
        return parts[parts.index("function") + 1]
    return parts[0] if len(parts) == 2 else resource  # NAME:version


def arguments_for(task: Task, route: str) -> Json:
    """Return what the function registered as `route` is called with."""
    if _unwraps(task, route) and isinstance(task.arguments, dict):
        return task.arguments.get("Payload", {})
    return task.arguments


def output_of(task: Task, route: str, result: Json) -> Json:
    """Return what the task's output is when the function registered as `route` gave `result`."""
    if not _unwraps(task, route):
        return result
    return {"ExecutedVersion": "$LATEST", "Payload": result, "StatusCode": 200}


def _unwraps(task: Task, route: str) -> bool:
    """A function registered for lambda:invoke itself stands for the service and wraps on its own."""
    return invokes_lambda(task) and not route.startswith("lambda:invoke")


def _distinct(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
