"""What AWS's TestState refuses to try: requests whose parts do not go together, contexts, mocks."""

from __future__ import annotations

from typing import Any

import pytest

from processor.errors import InvalidSettings, RequestRefused
from processor.interpreter.trial import test_state as try_state  # pytest takes what is called test_… for a test
from processor.interpreter.trial_request import Mock, MockedError, MockedResult, StateConfiguration
from tests.interpreter.test_trial import fan_out, mocked, parallel, task

BOOM = MockedError(error="Boom")
CALLED_BACK = task(Resource="arn:aws:states:::sqs:sendMessage.waitForTaskToken")
PUT = task(Resource="arn:aws:states:::dynamodb:putItem")
PASS = {"Type": "Pass", "End": True}


def refused(state: dict[str, Any], given: Any = (), **asked: Any) -> tuple[str, str]:
    with pytest.raises(RequestRefused) as refusal:
        try_state(state, list(given), **asked)
    return refusal.value.code, refusal.value.message


def invalid(state: dict[str, Any], **asked: Any) -> str:
    code, message = refused(state, **asked)
    assert code == "ValidationException"
    return message


@pytest.mark.parametrize("mock", [mocked({}), BOOM], ids=["result", "error"])
@pytest.mark.parametrize(
    "state",
    [PASS, {"Type": "Succeed"}, {"Type": "Fail"}, {"Type": "Wait", "Seconds": 1, "End": True}],
    ids=lambda state: state["Type"],
)
def test_a_state_without_work_takes_no_mock(state: dict[str, Any], mock: Mock) -> None:
    assert invalid(state, mock=mock) == f"State type '{state['Type']}' is not supported when a mock is specified"


@pytest.mark.parametrize("state", [parallel(), fan_out()], ids=["Parallel", "Map"])
def test_a_container_needs_a_mock(state: dict[str, Any]) -> None:
    supported = "Task, Wait, Pass, Succeed, Fail, Choice"
    message = f"TestState API does not support Map or Parallel states. Supported state types include: [{supported}]"
    assert refused(state) == ("InvalidDefinition", message)


def test_a_task_without_a_mock_needs_a_role() -> None:
    assert invalid(task()) == "RoleArn must be specified when testing a Task state"


def test_an_activity_a_job_and_a_callback_need_a_mock() -> None:
    activity = task(Resource="arn:aws:states:us-east-1:111111111111:activity:paint")
    code, message = refused(activity, role_arn="arn:role")
    assert (code, "Activity tasks" in message) == ("InvalidDefinition", True)
    code, message = refused(CALLED_BACK, role_arn="arn:role")
    assert (code, "'.waitForTaskToken'" in message) == ("InvalidDefinition", True)
    assert try_state(activity, mock=mocked(1)).status == "SUCCEEDED"


def test_what_belongs_to_a_mock_is_refused_without_one() -> None:
    assert "Context object" in invalid(PASS, context={})
    assert "state configuration" in invalid(PASS, state_configuration=StateConfiguration(retrier_retry_count=1))


def test_secrets_are_not_revealed_of_a_mock() -> None:
    message = "TestState does not support RevealSecrets when a mock is specified."
    assert invalid(task(), mock=BOOM, reveal_secrets=True) == message


@pytest.mark.parametrize(
    "configuration",
    [StateConfiguration(map_iteration_failure_count=0), StateConfiguration(map_item_reader_data="[]")],
)
def test_what_is_configured_of_a_map_is_refused_elsewhere(configuration: StateConfiguration) -> None:
    assert "when testing a Map state" in invalid(parallel(), mock=BOOM, state_configuration=configuration)


def test_an_error_is_caused_by_a_state_within_a_container_or_it_is_refused() -> None:
    within = StateConfiguration(error_caused_by_state="Left")
    assert try_state(parallel(), mock=BOOM, state_configuration=within).status == "FAILED"
    assert "is not a state within" in invalid(fan_out(), mock=BOOM, state_configuration=within)
    assert "when an error is mocked" in invalid(task(), mock=BOOM, state_configuration=within)
    assert "when an error is mocked" in invalid(parallel(), mock=mocked([1, 2]), state_configuration=within)


def test_a_mocked_result_of_a_container_is_an_array_and_of_a_parallel_one_of_each_branch() -> None:
    assert invalid(fan_out(), mock=mocked({})) == "Mocked result must be an array."
    assert invalid(parallel(), mock=mocked(7)) == "Mocked result must be an array."
    assert invalid(parallel(), mock=mocked([1])) == (
        "Mocked result must contain the same number of items as number of Parallel branches."
    )


def test_no_more_iterations_fail_than_there_are() -> None:
    three = StateConfiguration(map_iteration_failure_count=3)
    assert refused(fan_out(), [1, 2], mock=mocked([1, 2]), state_configuration=three) == (
        "ValidationException",
        "Map iteration failure count must be less than or equal to the number of Map iterations",
    )
    two = StateConfiguration(map_iteration_failure_count=2)
    assert try_state(fan_out(), [1, 2], mock=mocked([1, 2]), state_configuration=two).status == "SUCCEEDED"


# ---- the context object


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ([], "Context object must be a JSON object"),
        ({"Map": {}}, "'Map' field is not supported when mocking a Context object"),
        ({"Pokedex": {}}, "Field 'Pokedex' is not allowed"),
        ({"Execution": {"pokemon": 1}}, "Field 'pokemon' is not allowed"),
        ({"Execution": 1}, "Execution must be a object"),
        ({"Execution": {"Id": 1}}, "Execution.Id must be a string"),
        ({"State": {"RetryCount": "1"}}, "State.RetryCount must be a integer"),
        ({"State": {"RetryCount": True}}, "State.RetryCount must be a integer"),
        (
            {"Task": {"Token": "t"}},
            "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' "
            "service integration pattern",
        ),
    ],
)
def test_a_context_object_that_aws_would_not_have_is_refused(context: Any, reason: str) -> None:
    assert invalid(task(), mock=BOOM, context=context) == f"Invalid Context object provided: {reason}"


def test_a_container_has_no_token_and_a_callback_has_one() -> None:
    given = {"Task": {"Token": "t"}, "Execution": {"Input": [1], "RedriveCount": 0}, "State": {"RetryCount": 1}}
    assert "contains 'Task'" in invalid(parallel(), mock=BOOM, context=given)
    state = {**CALLED_BACK, "ResultSelector": {"t.$": "$$.Task.Token"}}
    assert try_state(state, mock=mocked({}), context=given).output == {"t": "t"}


# ---- the service's model


def test_a_mocked_result_of_a_service_needs_its_model_unless_nothing_is_checked() -> None:
    with pytest.raises(InvalidSettings, match=r"STRICT needs the models of AWS's services.*asl-processor\[aws\]"):
        try_state(PUT, mock=mocked({}))
    unchecked = MockedResult(result={}, field_validation_mode="NONE")
    assert try_state(PUT, mock=unchecked).output == {}


@pytest.mark.parametrize(
    "resource",
    [
        "double",
        "arn:aws:lambda:us-east-1:111111111111:function:double",
        "arn:aws:states:us-east-1:111111111111:activity:paint",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws:states:::ecs:runTask.sync",
        "arn:aws:states:::states:startExecution.sync",
        "arn:aws:states:::states:startExecution.sync:2",
    ],
)
def test_what_is_its_authors_result_needs_no_model(resource: str) -> None:
    assert try_state(task(Resource=resource), mock=mocked("anything")).output == "anything"
