"""A Task's Resource: what each kind of ARN, and a plain word, stands for."""

from __future__ import annotations

import pytest

from processor.interpreter.resources import Pattern, ResourceFault, parse_resource
from processor.model.definition import Resource


@pytest.mark.parametrize(
    ("text", "resource_type", "resource", "pattern"),
    [
        # resourceType and resource as recorded in TaskScheduled
        ("arn:aws:states:::lambda:invoke", "lambda", "invoke", "REQUEST_RESPONSE"),
        ("arn:aws:states:::sqs:sendMessage.waitForTaskToken", "sqs", "sendMessage.waitForTaskToken", "WAIT_FOR_TOKEN"),
        ("arn:aws:states:::states:startExecution.sync", "states", "startExecution.sync", "SYNC"),
        ("arn:aws:states:::states:startExecution.sync:2", "states", "startExecution.sync:2", "SYNC"),
        ("arn:aws:states:::aws-sdk:dynamodb:putItem", "aws-sdk:dynamodb", "putItem", "REQUEST_RESPONSE"),
        ("arn:aws-cn:states:::apigateway:invoke", "apigateway", "invoke", "REQUEST_RESPONSE"),
    ],
)
def test_a_service_integration_has_the_two_names_of_its_history(
    text: str, resource_type: str, resource: str, pattern: Pattern
) -> None:
    assert parse_resource(text) == Resource(
        kind="SERVICE", resource_type=resource_type, resource=resource, pattern=pattern
    )


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:lambda:us-east-1:111111111111:function:f",
        "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST",
        "charge-card",
        "Charge the card",
        "größe",
    ],
)
def test_a_lambda_function_and_a_workers_task_are_named_as_written(text: str) -> None:
    assert parse_resource(text) == Resource(kind="LAMBDA", resource=text)


def test_an_activity_is_named_by_its_arn() -> None:
    text = "arn:aws:states:us-east-1:111111111111:activity:a"

    assert parse_resource(text) == Resource(kind="ACTIVITY", resource=text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a:b",
        "a\nb",
        "arn:",
        "arn:aws:lambda:us-east-1:111111111111:layer:f",
        "arn:aws:lambda:us-east-1:111111111111:function:",
        "arn:aws:lambda:::function:f",
        "arn:aws:states:us-east-1:111111111111:stateMachine:s",
        "arn:aws:states:us-east-1:111111111111:activity:",
        "arn:aws:states:::",
        "arn:aws:states:::lambda",
        "arn:aws:states:::lambda:",
        "arn:aws:states:::lambda:.sync",
        "arn:aws:states:::lambda:invoke.async",
        "arn:aws:states:::aws-sdk:putItem",
        "arn:aws:states:::aws-sdk::putItem",
        "arn:nowhere:states:::lambda:invoke",
        "arn:aws:s3:::bucket",
    ],
)
def test_any_other_text_names_nothing(text: str) -> None:
    with pytest.raises(ResourceFault):
        parse_resource(text)
