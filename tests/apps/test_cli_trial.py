"""`asl test-state`: a table or one line of JSON on standard output, exit 0, 1 or 2."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from processor.apps.cli.app import app

PUT = {
    "Type": "Task",
    "Resource": "arn:aws:states:::dynamodb:putItem",
    "Parameters": {"TableName.$": "$.table"},
    "ResultPath": "$.put",
    "Retry": [{"ErrorEquals": ["Throttled"], "IntervalSeconds": 3}],
    "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Rescue"}],
    "Next": "Paint",
}
MACHINE = {
    "StartAt": "Say",
    "States": {
        "Say": {"Type": "Pass", "Parameters": {"v.$": "$word"}, "Next": "Stop"},
        "Stop": {"Type": "Fail", "Error": "Boom", "Cause": "why"},
    },
}
GIVEN = '{"table": "t"}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "put.json").write_text(json.dumps(PUT))
    (tmp_path / "machine.yaml").write_text(json.dumps(MACHINE))
    (tmp_path / "mapped.json").write_text(
        json.dumps(
            {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}},
                "Retry": [{"ErrorEquals": ["Boom"], "BackoffRate": 3.0}],
                "End": True,
            }
        )
    )
    return tmp_path


def trial(*arguments: str, input: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["test-state", *arguments], input=input)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def put(*arguments: str) -> dict[str, Any]:
    result = trial("--definition", "put.json", "--input", GIVEN, *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    [line] = result.stdout.splitlines()
    told: dict[str, Any] = json.loads(line)
    return told


def test_as_json_the_answer_is_aws_with_payloads_as_values() -> None:
    told = put("--mock-result", '{"ConsumedCapacity": {"CapacityUnits": 1}}', "--inspection-level", "debug")
    result = {"ConsumedCapacity": {"CapacityUnits": 1}}
    assert told == {
        "status": "SUCCEEDED",
        "nextState": "Paint",
        "output": {"table": "t", "put": result},
        "inspectionData": {
            "input": {"table": "t"},
            "afterInputPath": {"table": "t"},
            "afterParameters": {"TableName": "t"},
            "result": result,
            "afterResultSelector": result,
            "afterResultPath": {"table": "t", "put": result},
        },
    }


def test_a_mocked_error_is_retried_or_caught_and_that_is_no_failure() -> None:
    assert put("--mock-error", "Throttled") == {"status": "RETRIABLE", "error": "Throttled"}
    told = put("--mock-error", "Other: much too hot")
    error = {"Error": "Other", "Cause": "much too hot"}
    assert told == {
        "status": "CAUGHT_ERROR", "error": "Other", "cause": "much too hot", "nextState": "Rescue",
        "output": {"table": "t", "error": error},
    }  # fmt: skip


def test_a_mock_may_be_a_file_with_a_result_or_an_error(folder: Path) -> None:
    (folder / "mock.json").write_text('{"result": 7, "fieldValidationMode": "NONE"}')
    assert put("--mock", "@mock.json")["output"] == {"table": "t", "put": 7}
    caught = put("--mock", '{"errorOutput": {"error": "Other", "cause": "why"}}')
    assert (caught["status"], caught["cause"]) == ("CAUGHT_ERROR", "why")
    assert "cause" not in put("--mock", '{"errorOutput": {"error": "Throttled"}}')


def test_people_get_a_table() -> None:
    result = trial("--definition", "put.json", "-i", GIVEN, "--mock-result", "{}", "--inspection-level", "TRACE")
    rows = re.findall(r"^│ (\w+)", result.stdout, re.MULTILINE)
    assert (result.exit_code, rows) == (
        0,
        [
            "status", "nextState", "output", "input", "afterInputPath", "afterParameters", "result",
            "afterResultSelector", "afterResultPath",
        ],
    )  # fmt: skip
    assert '"TableName": "t"' in result.stdout


def test_a_state_of_a_machine_is_named_and_may_read_variables() -> None:
    arguments = ("--definition", "machine.yaml", "--state")
    said = trial(*arguments, "Say", "--variables", "-", "--json", input='{"word": "hello"}')
    assert (said.exit_code, json.loads(said.stdout)["output"]) == (0, {"v": "hello"})
    stopped = trial(*arguments, "Stop")
    assert stopped.exit_code == 1
    assert [row.split() for row in re.findall(r"│ (\w+ +│ \w+)", stopped.stdout)] == [
        ["status", "│", "FAILED"], ["error", "│", "Boom"], ["cause", "│", "why"],
    ]  # fmt: skip


def test_the_context_object_and_the_configuration_are_given_as_json(folder: Path) -> None:
    state = {**PUT, "ResultSelector": {"name.$": "$$.State.Name"}, "ResultPath": "$"}
    (folder / "put.json").write_text(json.dumps(state))
    assert put("--mock-result", "{}", "--context", '{"State": {"Name": "Here"}}')["output"] == {"name": "Here"}
    configuration = '{"retrierRetryCount": 2, "errorCausedByState": "I", "mapIterationFailureCount": 1}'
    told = trial(
        "--definition", "mapped.json", "--input", "[1, 2]", "--mock-error", "Boom", "--configuration", configuration,
        "--inspection-level", "DEBUG", "--json",
    )  # fmt: skip
    assert json.loads(told.stdout)["inspectionData"]["errorDetails"] == {
        "retryIndex": 0, "retryBackoffIntervalSeconds": 9,
    }  # fmt: skip


def refusal(*arguments: str) -> str:
    result = trial("--definition", "put.json", "--input", GIVEN, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def test_what_aws_refuses_is_bad_usage_in_its_words() -> None:
    mock = '{"ConsumedCapacity": {"CapacityUnits": "1"}}'
    message = "Mock result schema validation error: Field 'CapacityUnits' must be a number"
    assert refusal("--mock-result", mock) == f"asl: {message}\n"
    as_json = trial("--definition", "put.json", "--mock-result", mock, "--json")
    assert (as_json.exit_code, json.loads(as_json.stderr)) == (2, {"error": "RequestRefused", "message": message})


def test_a_task_without_a_mock_is_said_to_need_one() -> None:
    assert refusal().startswith("asl: mock: is needed for this Task: nobody here runs putItem")


def test_without_the_models_strict_is_said_to_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    assert "pip install 'asl-processor[aws]'" in refusal("--mock-result", "{}")
    assert put("--mock", '{"result": 1, "fieldValidationMode": "NONE"}')["output"] == {"table": "t", "put": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mock-result", "{"), "--mock-result"),
        (("--mock-result", "{}", "--mock-error", "E"), "excludes --mock-result and --mock-error"),
        (("--mock", "{}"), "must have result or errorOutput"),
        (("--mock", "[]"), "must be an object of result, errorOutput, fieldValidationMode"),
        (("--mock", '{"result": 1, "mode": "NONE"}'), "must be an object of"),
        (("--mock", '{"result": 1, "fieldValidationMode": "LAX"}'), "must be one of STRICT, PRESENT, NONE, got 'LAX'"),
        (("--mock", '{"errorOutput": {"cause": "why"}}'), "errorOutput must have error"),
        (("--mock-error", "E", "--configuration", '{"retrierRetryCount": -1}'), "retrierRetryCount must be an integer"),
        (("--mock-error", "E", "--configuration", '{"errorCausedByState": 1}'), "errorCausedByState must be a text"),
        (("--inspection-level", "ALL"), "must be one of INFO, DEBUG, TRACE, got 'ALL'"),
    ],
)
def test_bad_usage_is_answered_with_what_would_do(arguments: tuple[str, ...], message: str) -> None:
    assert message in refusal(*arguments)


def test_a_faulty_definition_is_refused_as_validate_tells_it(folder: Path) -> None:
    (folder / "faulty.json").write_text('{"Type": "Pass", "Next": 7}')
    result = trial("--definition", "faulty.json")
    assert (result.exit_code, result.stdout) == (2, "")
    told = json.loads(trial("--definition", "faulty.json", "--json").stderr)["diagnostics"]
    assert [(fault["pointer"], fault["line"], fault["column"]) for fault in told] == [
        ("/Next", 1, 18), ("", 1, 1),
    ]  # fmt: skip


def test_a_faulty_machine_is_refused_at_the_places_of_its_file(folder: Path) -> None:
    states = {"StateName": {"Type": "Pass", "Next": 7}, "B": {"Type": "Pass", "End": True}}
    (folder / "faulty.json").write_text(json.dumps({"StartAt": "B", "States": states}))
    told = json.loads(trial("--definition", "faulty.json", "--state", "B", "--json").stderr)["diagnostics"]
    assert {fault["pointer"] for fault in told} == {"/States/StateName", "/States/StateName/Next"}


def test_of_a_machine_it_is_asked_which_state(folder: Path) -> None:
    result = trial("--definition", "machine.yaml")
    asked = "--state: must name a state of the machine, such as Say, Stop, for example --state Say"
    assert (result.exit_code, asked in result.stderr) == (2, True)
