"""The models of AWS's services, as botocore ships them: what it is asked by the names of a Task's Resource."""

from __future__ import annotations

import sys

import pytest

from processor.adapters.aws_models import AwsModels
from processor.errors import InvalidSettings, RequestRefused
from processor.interpreter.trial_shapes import check_shape
from processor.model.json import Json

MODELS = AwsModels()


@pytest.mark.parametrize(
    ("service", "operation", "field"),
    [
        ("dynamodb", "putItem", "ConsumedCapacity"),
        ("aws-sdk:s3", "getObject", "ContentLength"),
        ("states", "startExecution", "executionArn"),
        ("aws-sdk:sfn", "describeExecution", "stateMachineArn"),
        ("elasticmapreduce", "addStep", None),
        ("elasticmapreduce", "runJobFlow", "JobFlowId"),
        ("aws-sdk:cloudwatchlogs", "getLogEvents", "events"),
        ("events", "putEvents", "Entries"),
        ("aws-sdk:eventbridge", "putEvents", "Entries"),
        ("aws-sdk:cognitoidentityprovider", "listUsers", "Users"),
        ("aws-sdk:lambda", "getFunction", "Configuration"),
        ("aws-sdk:rds", "createDBCluster", "DBCluster"),
        ("aws-sdk:s3", "deleteBucket", None),
        ("http", "invoke", None),
        ("apigateway", "invoke", None),
    ],
)
def test_an_operation_is_found_by_step_functions_names(service: str, operation: str, field: str | None) -> None:
    shape = MODELS.output(service, operation)
    assert (shape is not None and field in shape.fields) == (field is not None)
    assert (shape is None) == (field is None)


def faults(service: str, operation: str, result: Json) -> str | None:
    shape = MODELS.output(service, operation)
    assert shape is not None
    try:
        check_shape(result, shape, mode="STRICT")
    except RequestRefused as refused:
        return refused.message.removeprefix("Mock result schema validation error: ")
    return None


@pytest.mark.parametrize(
    ("service", "operation", "result", "fault"),
    [
        ("states", "startExecution", {}, "Required field 'ExecutionArn' is missing"),
        ("aws-sdk:s3", "getObject", {"StorageClass": "Papyrus"}, "Field 'StorageClass' is not an expected value"),
        ("aws-sdk:kms", "encrypt", {"CiphertextBlob": ""}, "Field 'CiphertextBlob' is smaller than the minimum length"),
        ("aws-sdk:lambda", "getFunction", {"Configuration": {"MemorySize": 127}},
         "Field 'MemorySize' is less than the minimum value"),
        ("sqs", "sendMessage", {"MD5OfMessageBody": {"unexpected": ["object"]}, "MessageId": "i"}, None),
        ("dynamodb", "getItem", {"Item": {"a": {"S": 1}}}, "Field 'S' must be a string"),
        ("dynamodb", "getItem", {"Item": {"a": {"L": [{"M": {"b": {"Bool": "x"}}}]}}},
         "Field 'Bool' must be a boolean"),
        ("dynamodb", "getItem", {"Item": {"a": {"L": [{"M": {"b": {"N": "7"}}}]}}}, None),
        ("aws-sdk:bedrockruntime", "converse", {"Output": {"Message": {"Content": [{"ToolUse": {"Input": [7]}}]}}},
         "Required field 'StopReason' is missing"),
    ],
)  # fmt: skip
def test_the_models_say_what_a_result_must_be_however_deep_and_whatever_refers_to_itself(
    service: str, operation: str, result: Json, fault: str | None
) -> None:
    assert faults(service, operation, result) == fault


def test_a_functions_payload_is_a_text_though_an_executions_is_an_object() -> None:
    """Reported of AWS: who mocked the results of real executions was refused (boto3 issues 4682 and 4683)."""
    assert faults("lambda", "invoke", {"Payload": {"ok": True}}) == "Field 'Payload' must be a string"
    assert faults("lambda", "invoke", {"Payload": '{"ok": true}', "StatusCode": 200}) is None


def test_without_botocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(InvalidSettings, match=r"asl-processor\[aws\]"):
        AwsModels()
