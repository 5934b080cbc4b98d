"""Mocked task results: the format of Step Functions Local, and that recorded results give recorded histories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from processor import CompleteTask, FailTask, HeartbeatTask, SubmitTask, TaskScheduled
from processor.apps.mocks import (
    MockConfig,
    MockedCase,
    Mocks,
    Responses,
    Return,
    Throw,
    load_mocks,
    parse_mocks,
    split_case,
)
from processor.errors import InvalidMocks, InvalidSettings
from processor.model.events import NO_CAUSE
from processor.model.ids import EPOCH

# The example of AWS's page, "Configuration file for mocked service integrations", by its facts.
AWS_EXAMPLE: dict[str, Any] = {
    "StateMachines": {
        "LambdaSQSIntegration": {
            "TestCases": {
                "HappyPath": {"LambdaState": "MockedLambdaSuccess", "SQSState": "MockedSQSSuccess"},
                "RetryPath": {"LambdaState": "MockedLambdaRetry", "SQSState": "MockedSQSSuccess"},
            }
        }
    },
    "MockedResponses": {
        "MockedLambdaSuccess": {"0": {"Return": {"StatusCode": 200}}},
        "MockedSQSSuccess": {"0": {"Return": {"MessageId": "1"}}},
        "MockedLambdaRetry": {
            "0": {"Throw": {"Error": "Lambda.ResourceNotReadyException", "Cause": "Lambda resource is not ready."}},
            "1-2": {"Throw": {"Error": "Lambda.TimeoutException", "Cause": "Lambda timed out."}},
            "3": {"Return": {"StatusCode": 200}},
        },
    },
}


def task(state: str, *, kind: str = "SERVICE", resource: str = "invoke", sequence: int = 2) -> TaskScheduled:
    return TaskScheduled(
        execution_id="m:1",
        sequence=sequence,
        time=EPOCH,
        caused_by=NO_CAUSE,
        state=state,
        kind=kind,  # type: ignore[arg-type] # one of the literals
        resource_type="lambda",
        resource=resource,
        arguments={},
    )


ADDRESS = {"execution_id": "m:1", "token": "m:1##2", "issuer": "mocks"}


def mocks(ranges: dict[str, Any]) -> Mocks:
    config = parse_mocks({"StateMachines": {"m": {"TestCases": {"c": {"S": "R"}}}}, "MockedResponses": {"R": ranges}})
    return Mocks(config.case("m", "c"))


def test_awss_own_example_reads_as_what_it_says() -> None:
    returned = Return({"StatusCode": 200})
    sqs = Responses(name="MockedSQSSuccess", ranges=((0, 0, Return({"MessageId": "1"})),))
    success = Responses(name="MockedLambdaSuccess", ranges=((0, 0, returned),))
    not_ready = Throw("Lambda.ResourceNotReadyException", "Lambda resource is not ready.")
    late = Throw("Lambda.TimeoutException", "Lambda timed out.")
    retry = Responses(name="MockedLambdaRetry", ranges=((0, 0, not_ready), (1, 2, late), (3, 3, returned)))
    assert parse_mocks(AWS_EXAMPLE) == MockConfig(
        machines={
            "LambdaSQSIntegration": {
                "HappyPath": MockedCase(name="HappyPath", states={"LambdaState": success, "SQSState": sqs}),
                "RetryPath": MockedCase(name="RetryPath", states={"LambdaState": retry, "SQSState": sqs}),
            }
        }
    )
    assert [retry.of(invocation) for invocation in range(5)] == [not_ready, late, late, returned, None]


def test_invocations_are_counted_per_state_over_retries_and_iterations() -> None:
    # Users measured on Step Functions Local 2.0.0: one counter per state and execution.
    answering = mocks({"0": {"Throw": {"Error": "Boom", "Cause": "first"}}, "1-2": {"Return": 7}})
    given = [answering.answers(task("S")) for _ in range(3)]
    assert given == [
        (FailTask(**ADDRESS, error="Boom", cause="first"),),
        (CompleteTask(**ADDRESS, output=7),),
        (CompleteTask(**ADDRESS, output=7),),
    ]
    assert (answering.covers("S"), answering.covers("T")) == (True, False)


def test_an_invocation_without_a_response_fails_the_execution() -> None:
    # AWS's page: "If you do not specify a mocked response, the state machine execution will fail."
    cause = "The mocked response R of the state 'S' has none for its invocation 0"
    assert mocks({}).answers(task("S")) == (FailTask(**ADDRESS, error="States.Runtime", cause=cause),)


def test_a_throw_without_a_cause_has_none() -> None:
    assert mocks({"0": {"Throw": {"Error": "E"}}}).answers(task("S")) == (FailTask(**ADDRESS, error="E"),)


@pytest.mark.parametrize(
    ("kind", "thrown", "error", "cause"),
    [
        ("ITEM_READER", {"Error": "S3.NoSuchKey", "Cause": "gone"}, "States.ItemReaderFailed", "S3.NoSuchKey: gone"),
        ("ITEM_READER", {"Error": "S3.NoSuchKey"}, "States.ItemReaderFailed", "S3.NoSuchKey"),
        ("ITEM_READER", {"Error": "States.Timeout", "Cause": "late"}, "States.Timeout", "late"),
        ("ITEM_READER", {"Error": "States.ItemReaderFailed"}, "States.ItemReaderFailed", None),
        ("RESULT_WRITER", {"Error": "S3.NoSuchBucket"}, "States.ResultWriterFailed", "S3.NoSuchBucket"),
        ("SERVICE", {"Error": "S3.NoSuchKey", "Cause": "gone"}, "S3.NoSuchKey", "gone"),
    ],
)
def test_what_s3_would_answer_a_maps_reader_or_writer_fails_the_map_as_it_does_on_aws(
    kind: str, thrown: dict[str, str], error: str, cause: str | None
) -> None:
    answers = mocks({"0": {"Throw": thrown}}).answers(task("S", kind=kind, resource="getObject"))
    assert answers == (FailTask(**ADDRESS, error=error, cause=cause),)


@pytest.mark.parametrize("resource", ["startExecution.sync", "startExecution.sync:2", "sendMessage.waitForTaskToken"])
def test_a_result_of_an_integration_that_waits_comes_behind_its_submission(resource: str) -> None:
    answers = mocks({"0": {"Return": {"a": 1}}}).answers(task("S", resource=resource))
    assert answers == (SubmitTask(**ADDRESS, output={"a": 1}), CompleteTask(**ADDRESS, output={"a": 1}))


def test_an_activity_is_started_before_it_succeeds() -> None:
    answers = mocks({"0": {"Return": 1}}).answers(task("S", kind="ACTIVITY", resource="arn:aws:states:r:1:activity:a"))
    assert answers == (HeartbeatTask(**ADDRESS, worker="mocks"), CompleteTask(**ADDRESS, output=1))


def test_every_fault_of_a_configuration_is_told_with_its_place() -> None:
    written = {
        "StateMachines": {
            "a": {},
            "b": {"TestCases": {"c": {"S": "absent", "T": 1}}},
            "d": [],
        },
        "MockedResponses": {
            "X": {
                "0": {"Return": 1, "Throw": {"Error": "E"}},
                "2-1": {"Return": 1},
                "1": {"Throw": {"Error": None, "Cause": 1}},
                "4": {"Throw": {"Cause": "no name"}},
                "first": {"Return": 3},
                "1-3": {"Return": 4},
                "2": {"Return": 4},
            },
            "Y": None,
        },
    }
    with pytest.raises(InvalidMocks) as caught:
        parse_mocks(written)  # type: ignore[arg-type] # a literal of JSON
    assert [str(diagnostic) for diagnostic in caught.value.diagnostics] == [
        "/MockedResponses/X/0: must have exactly one field, Return or Throw",
        "/MockedResponses/X/2-1: must not end before it begins, got 2 to 1",
        "/MockedResponses/X/1/Throw/Error: must be a text, got None",
        "/MockedResponses/X/1/Throw/Cause: must be a text, got 1",
        "/MockedResponses/X/4/Throw: must have Error",
        '/MockedResponses/X/first: the number of an invocation is "0" or a range of them, "1-2"',
        "/MockedResponses/X/1-3: answers an invocation that another answers too",
        "/MockedResponses/X/2: answers an invocation that another answers too",
        "/MockedResponses/Y: must be an object, got 'None'",
        "/StateMachines/a: must have TestCases",
        "/StateMachines/b/TestCases/c/S: must name one of MockedResponses, got 'absent'",
        "/StateMachines/b/TestCases/c/T: must name one of MockedResponses, got 1",
        "/StateMachines/d: must be an object, got '[]'",
    ]


@pytest.mark.parametrize("written", [None, [], "text", 1])
def test_what_is_no_object_is_no_configuration(written: Any) -> None:
    with pytest.raises(InvalidMocks) as caught:
        parse_mocks(written)
    assert [diagnostic.pointer for diagnostic in caught.value.diagnostics] == [""]


def test_a_configuration_without_its_two_fields_says_which() -> None:
    with pytest.raises(InvalidMocks, match="must have StateMachines and MockedResponses"):
        parse_mocks({"MockedResponse": {}})


def test_a_case_is_named_or_is_the_only_one() -> None:
    config = parse_mocks(AWS_EXAMPLE)
    assert config.case("LambdaSQSIntegration", "RetryPath").name == "RetryPath"
    only: Any = {"StateMachines": {"m": {"TestCases": {"one": {}}}}, "MockedResponses": {}}
    assert parse_mocks(only).case("m", None) == MockedCase(name="one", states={})
    for machine, name, told in [
        ("other", "x", "no state machine 'other'; there are: LambdaSQSIntegration"),
        ("LambdaSQSIntegration", "x", "no test case 'x'; there are: HappyPath, RetryPath"),
        ("LambdaSQSIntegration", None, "must name one of the test cases; there are: HappyPath, RetryPath"),
    ]:
        with pytest.raises(InvalidSettings, match=told):
            config.case(machine, name)


def test_a_case_is_named_with_its_machine_or_that_ones_arn() -> None:
    assert split_case("happy") == (None, "happy")
    assert split_case("order#happy") == ("order", "happy")
    assert split_case("arn:aws:states:us-east-1:111111111111:stateMachine:order#happy") == ("order", "happy")


def test_a_configuration_is_read_from_json_and_yaml(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(AWS_EXAMPLE))
    (tmp_path / "m.yaml").write_text(json.dumps(AWS_EXAMPLE))
    assert load_mocks(tmp_path / "m.json") == load_mocks(tmp_path / "m.yaml") == parse_mocks(AWS_EXAMPLE)
    with pytest.raises(InvalidMocks, match="cannot be read"):
        load_mocks(tmp_path / "absent.json")
