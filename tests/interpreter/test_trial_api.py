"""TestState in AWS's JSON: texts within JSON, in and out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processor.errors import RequestRefused
from processor.interpreter.trial_api import answer_test_state
from processor.model.json import Json
from tests.interpreter.test_trial import fan_out, task

PASS = {"Type": "Pass", "End": True}


def answer(definition: object, **request: Json) -> dict[str, Json]:
    return answer_test_state({"definition": json.dumps(definition), **request})


def refused(definition: object, **request: Json) -> tuple[str, str]:
    with pytest.raises(RequestRefused) as refusal:
        answer(definition, **request)
    return refusal.value.code, refusal.value.message


@pytest.mark.parametrize("level", ["NOPE", "debug", ""])
def test_a_level_that_there_is_not_is_refused(level: str) -> None:
    assert refused(PASS, inspectionLevel=level) == (
        "ValidationException",
        f"1 validation error detected: Value '{level}' at 'inspectionLevel' failed to satisfy constraint: "
        "Member must satisfy enum value set: [INFO, DEBUG, TRACE]",
    )


def test_payloads_are_texts_with_blanks_and_a_null_is_one_of_them() -> None:
    told = answer(task(ResultPath="$.a"), input='{"é":[1,2.0]}', mock={"result": "null"}, inspectionLevel="TRACE")
    given, output = '{"é": [1, 2.0]}', '{"é": [1, 2.0], "a": null}'
    assert told == {
        "status": "SUCCEEDED",
        "output": output,
        "inspectionData": {
            "input": given,
            "afterInputPath": given,
            "afterParameters": given,
            "result": "null",
            "afterResultSelector": "null",
            "afterResultPath": output,
        },
    }


def test_numbers_are_no_texts_and_what_is_not_told_is_left_out() -> None:
    retry = [{"ErrorEquals": ["Boom"], "MaxAttempts": 2}]
    mock: Json = {"errorOutput": {"error": "Boom"}}
    told = answer(
        fan_out(MaxConcurrency=7, Retry=retry), input="[1]", mock=mock, inspectionLevel="DEBUG",
        stateConfiguration={"retrierRetryCount": 1, "errorCausedByState": "Inner", "mapIterationFailureCount": 1},
    )  # fmt: skip
    assert told == {
        "status": "RETRIABLE",
        "error": "Boom",
        "inspectionData": {
            "input": "[1]",
            "afterInputPath": "[1]",
            "afterItemsPath": "[1]",
            "maxConcurrency": 7,
            "errorDetails": {"retryIndex": 0, "retryBackoffIntervalSeconds": 2},
        },
    }


def test_where_it_goes_and_why_it_failed_are_told_at_every_level() -> None:
    state = task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Rescue", "ResultPath": None}])
    told = answer(state, mock={"errorOutput": {"error": "Boom", "cause": "why"}}, input="7", stateConfiguration={})
    assert told == {"status": "CAUGHT_ERROR", "error": "Boom", "cause": "why", "nextState": "Rescue", "output": "7"}


def test_the_other_fields_of_a_request_are_heard() -> None:
    machine = {
        "StartAt": "A",
        "States": {"A": task(ResultSelector={"v.$": "$v", "r.$": "$$.Execution.RoleArn"})},
    }
    asked: dict[str, Any] = {"stateName": "A", "variables": '{"v": 1}', "roleArn": "arn:role", "mock": {"result": "{}"}}
    assert answer(machine, **asked) == {"status": "SUCCEEDED", "output": '{"v": 1, "r": "arn:role"}'}
    context = '{"Execution": {"RoleArn": "other"}}'
    assert answer(machine, **asked, context=context)["output"] == '{"v": 1, "r": "other"}'
    assert refused(machine, **asked, revealSecrets=True)[0] == "ValidationException"


def test_the_mode_of_a_mock_is_heard() -> None:
    state = task(Resource="arn:aws:states:::sqs:sendMessage")
    assert answer(state, mock={"result": "7", "fieldValidationMode": "NONE"})["output"] == "7"


def test_a_faulty_definition_is_refused_in_aws_words() -> None:
    faulty = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}
    assert refused(faulty, stateName="A") == (
        "InvalidDefinition",
        "Invalid State Machine Definition: 'MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/A/Next, "
        "MISSING_END_STATE: Workflow has no terminal state at /'",
    )
    assert refused([])[0] == "InvalidDefinition"


def test_texts_that_are_no_json_are_refused_each_with_its_code() -> None:
    assert refused(PASS, input="{")[0] == "InvalidExecutionInput"
    assert refused(task(), mock={"result": "{}"}, context="{")[0] == "ValidationException"
    assert refused(task(), mock={"result": "{"}) == ("ValidationException", "Mocked result must be valid JSON")


@pytest.mark.parametrize("mock", [{"result": "{}", "errorOutput": {"error": "Boom"}}, {}], ids=["both", "neither"])
def test_a_mock_is_a_result_or_an_error(mock: dict[str, Json]) -> None:
    message = "A test mock should have only one of the following fields: [result, errorOutput]."
    assert refused(task(), mock=mock) == ("ValidationException", message)
