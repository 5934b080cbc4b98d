"""A Task's Resource, read once: a Lambda function, a service integration, an activity, or a worker's task by name."""

from __future__ import annotations

from typing import Literal, TypeAlias

from processor.model.definition import Resource
from processor.model.events import MachineType

Pattern: TypeAlias = Literal["REQUEST_RESPONSE", "SYNC", "WAIT_FOR_TOKEN"]

_PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b")


class ResourceFault(ValueError):
    """A Resource that names nothing; the message is meant for a diagnostic."""


def parse_resource(text: str) -> Resource:
    """Return who runs the task.

    A plain word, without `arn:`, is this project's own: the name under which a worker offers the task.
    Raises ResourceFault for any other text.
    """
    if not text.startswith("arn:"):
        if not text or not text.isprintable() or ":" in text:
            raise ResourceFault(f"must be an ARN or the name of a worker's task, got {text[:200]!r}")
        return Resource(kind="LAMBDA", resource=text)
    match text.split(":", 5):
        case ["arn", partition, "lambda", region, account, name] if _known(partition) and region and account:
            if name.startswith("function:") and name != "function:":
                return Resource(kind="LAMBDA", resource=text)
        case ["arn", partition, "states", "", "", integration] if _known(partition):
            return _service(integration, text)
        case ["arn", partition, "states", region, account, name] if _known(partition) and region and account:
            if name.startswith("activity:") and name != "activity:":
                return Resource(kind="ACTIVITY", resource=text)
        case _:
            pass
    raise ResourceFault(f"Invalid ARN: {text[:200]!r} names no Lambda function, activity or service integration")


def _known(partition: str) -> bool:
    return partition in _PARTITIONS


def _service(integration: str, text: str) -> Resource:
    """Split `aws-sdk:dynamodb:putItem` after the service, `states:startExecution.sync:2` after `states`.

    The history keeps the pattern in the resource: recorded `states` + `startExecution.sync:2`.
    """
    service, _, action = integration.partition(":")
    if service == "aws-sdk":
        api, _, action = action.partition(":")
        service = f"aws-sdk:{api}" if api else ""
    name, _, suffix = action.partition(".")
    pattern = _PATTERNS.get(suffix)
    if not service or not name or pattern is None:
        raise ResourceFault(f"Invalid ARN: {text[:200]!r} is not arn:aws:states:::<service>:<action>[.<pattern>]")
    return Resource(kind="SERVICE", resource_type=service, resource=action, pattern=pattern)


_PATTERNS: dict[str, Pattern] = {
    "": "REQUEST_RESPONSE",
    "sync": "SYNC",
    "sync:2": "SYNC",
    "waitForTaskToken": "WAIT_FOR_TOKEN",
}


def refusal(resource: Resource, *, type: MachineType) -> str | None:
    """Return why a machine of this type cannot use the resource, None where it can. The texts are AWS's, recorded."""
    if type == "STANDARD":
        return None
    if resource.kind == "ACTIVITY":
        return "Express state machine does not support Activity ARN"
    if resource.pattern == "REQUEST_RESPONSE":
        return None
    # AWS's text ends with a blank; `.sync` is said the same way, by analogy.
    written = "waitForTaskToken" if resource.pattern == "WAIT_FOR_TOKEN" else "sync"
    return f"Express state machine does not support '.{written}' service integration "
