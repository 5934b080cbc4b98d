"""What a Task may not ask of its Resource.

Measured by cdk-preflight with ValidateStateMachineDefinition: pf-sfn-asl-resource-arn, -integration-parameters
and -credentials. Which API of a
service exists is not looked at, only patterns that none of the service's has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from processor.errors import Diagnostic
from processor.interpreter.resources import ResourceFault, parse_resource
from processor.interpreter.validation.shapes import schema_fault
from processor.interpreter.validation.walk import Object, states_in
from processor.model.definition import Resource

_NEVER_SYNC = frozenset({"lambda", "sns", "sqs", "dynamodb", "events", "apigateway", "bedrock-agentcore"})
_NEVER_CALLBACK = frozenset({
    "athena", "batch", "codebuild", "elasticmapreduce", "emr-containers", "emr-serverless", "glue", "databrew",
    "mediaconvert", "sagemaker", "dynamodb", "bedrock-agentcore",
})  # fmt: skip


def check_tasks(definition: Object) -> Iterator[Diagnostic]:
    """Yield every Task whose Resource does not work as it is asked to."""
    for state in states_in(definition):
        text = state.fields.get("Resource")
        if state.type != "Task" or not isinstance(text, str):
            continue
        try:
            resource = parse_resource(text)
        except ResourceFault:
            continue  # said where it is compiled
        if not _is_recognized(resource):
            yield schema_fault(f"{state.pointer}/Resource", f"The resource provided {text} is not recognized")
        template = "Parameters" if state.language == "JSONPath" else "Arguments"
        if resource.kind == "SERVICE" and template not in state.fields:
            yield schema_fault(state.pointer, f"{template} field is required for resource ARN: {text}")
        if resource.kind == "ACTIVITY" and "Credentials" in state.fields:
            message = "The field 'Credentials' is not supported for activities"
            yield schema_fault(f"{state.pointer}/Credentials", message)


def _is_recognized(resource: Resource) -> bool:
    service = resource.resource_type or ""
    match resource.pattern:
        case "REQUEST_RESPONSE":
            return True
        case "SYNC":
            versioned = resource.resource.endswith(".sync:2") and service != "states"
            return not (versioned or service in _NEVER_SYNC or service.startswith("aws-sdk:"))
        case "WAIT_FOR_TOKEN":
            return service not in _NEVER_CALLBACK
        case other:
            assert_never(other)
