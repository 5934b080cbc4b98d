"""One state on trial. What AWS was recorded to tell is in tests/conformance; here is each rule by itself."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from processor import Succeeded, parse, start
from processor.errors import InvalidCommand, InvalidDefinition, InvalidSettings, RequestRefused
from processor.interpreter.trial import TestStateResult
from processor.interpreter.trial import test_state as try_state  # pytest takes what is called test_… for a test
from processor.interpreter.trial_inspection import ErrorDetails, InspectionData
from processor.interpreter.trial_request import MockedError, MockedResult, StateConfiguration
from processor.model.events import TaskScheduled
from processor.model.json import Json

BOOM = MockedError(error="Boom", cause="why")
GIVEN: Json = {"in": {"n": 1}}


def tried(state: dict[str, Any], given: object = GIVEN, **asked: Any) -> TestStateResult:
    return try_state(state, given, inspection_level="DEBUG", **asked)


def told(state: dict[str, Any], given: object = GIVEN, **asked: Any) -> InspectionData:
    data = tried(state, given, **asked).inspection
    assert data is not None
    return data


def task(**fields: Any) -> dict[str, Any]:
    """A service integration is refused without Parameters."""
    parameters: dict[str, Any] = {"Parameters": {}} if "states:::" in str(fields.get("Resource")) else {}
    return {"Type": "Task", "Resource": "double", "End": True, **parameters, **fields}


def fan_out(**fields: Any) -> dict[str, Any]:
    processor = {"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "End": True}}}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}


def parallel(**fields: Any) -> dict[str, Any]:
    branches = [{"StartAt": name, "States": {name: {"Type": "Pass", "End": True}}} for name in ("Left", "Right")]
    return {"Type": "Parallel", "Branches": branches, "End": True, **fields}


def mocked(result: object) -> MockedResult:
    return MockedResult(result=result)  # type: ignore[arg-type] # a test's own JSON


# ---- which state


def test_a_single_state_may_lead_to_states_that_nobody_has_written() -> None:
    choices = [{"Variable": "$.in.n", "NumericEquals": 1, "Next": "One"}]
    state = {"Type": "Choice", "Choices": choices, "Default": "Other"}
    assert tried(state) == TestStateResult(
        status="SUCCEEDED",
        output=GIVEN,
        next_state="One",
        inspection=InspectionData(input=GIVEN, after_input_path=GIVEN),
    )
    assert tried(state, {"in": {"n": 2}}).next_state == "Other"


def test_a_choice_that_nothing_matches_fails_and_its_cause_has_no_opening() -> None:
    state = {"Type": "Choice", "Choices": [{"Variable": "$.in.n", "NumericEquals": 7, "Next": "One"}]}
    result = tried(state)
    assert (result.status, result.error, result.output, result.next_state) == (
        "FAILED", "States.Runtime", UNSET, None,
    )  # fmt: skip
    assert result.cause == "Failed to transition out of the state. The state does not point to a next state."


def test_a_state_of_a_machine_is_found_however_deep_it_is() -> None:
    inner: Json = {"StartAt": "Deep", "States": {"Deep": {"Type": "Pass", "Result": "deep", "End": True}}}
    around: Json = {"Type": "Map", "ItemProcessor": inner, "End": True}
    branch: Json = {"StartAt": "Around", "States": {"Around": around}}
    machine: Json = {
        "StartAt": "Fork",
        "States": {"Fork": {"Type": "Parallel", "Branches": [branch], "Next": "Last"}, "Last": {"Type": "Succeed"}},
    }
    assert try_state(machine, state_name="Deep") == TestStateResult(status="SUCCEEDED", output="deep")
    assert try_state(machine, {"x": 1}, state_name="Last") == TestStateResult(status="SUCCEEDED", output={"x": 1})
    forked = try_state(machine, state_name="Fork", mock=mocked([1]))
    assert forked == TestStateResult(status="SUCCEEDED", output=[1], next_state="Last")


def test_a_state_has_the_query_language_of_its_machine() -> None:
    machine: Json = {
        "QueryLanguage": "JSONata",
        "StartAt": "A",
        "States": {"A": {"Type": "Pass", "Output": "{% $states.input.in.n + 1 %}", "End": True}},
    }
    result = try_state(machine, GIVEN, state_name="A", inspection_level="TRACE")
    assert result == TestStateResult(status="SUCCEEDED", output=2, inspection=InspectionData(input=GIVEN))


def test_a_state_that_the_machine_does_not_have_is_refused() -> None:
    machine: Json = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    with pytest.raises(RequestRefused, match="State not found in definition"):
        try_state(machine, state_name="B")


SHAPELESS = {"Type": "Parallel", "Branches": [7, {"StartAt": "A", "States": {"A": 7}}, {"States": []}], "End": True}


@pytest.mark.parametrize("definition", ['{"Type": ', "[]", {"Type": "Pass"}, {"a": float("nan")}, 7, SHAPELESS])
def test_a_definition_with_faults_is_refused_with_all_of_them(definition: Any) -> None:
    with pytest.raises(InvalidDefinition):
        try_state(definition)


def test_the_faults_of_a_single_state_are_told_where_aws_tells_them() -> None:
    with pytest.raises(InvalidDefinition) as refused:
        try_state('{"Type": "Parallel", "Branches": [], "End": true}', mock=mocked([]))
    assert [d.pointer for d in refused.value.diagnostics] == ["/States/StateName/Branches"]


# ---- what lies between the fields


def test_info_tells_nothing_of_what_lies_between() -> None:
    assert try_state({"Type": "Pass", "End": True}, GIVEN) == TestStateResult(status="SUCCEEDED", output=GIVEN)


def test_without_an_input_it_is_an_empty_object() -> None:
    assert try_state({"Type": "Succeed"}).output == {}


def test_a_pass_tells_each_of_its_fields() -> None:
    state = {
        "Type": "Pass", "InputPath": "$.in", "Parameters": {"m.$": "$.n"}, "ResultPath": "$.out", "OutputPath": "$.out",
        "End": True,
    }  # fmt: skip
    assert tried(state) == TestStateResult(
        status="SUCCEEDED",
        output={"m": 1},
        inspection=InspectionData(
            input=GIVEN,
            after_input_path={"n": 1},
            after_parameters={"m": 1},
            after_result_selector={"m": 1},
            after_result_path={"in": {"n": 1}, "out": {"m": 1}},
        ),
    )


def test_a_pass_with_a_result_does_not_look_at_its_input() -> None:
    state = {"Type": "Pass", "InputPath": "$.absent", "Result": [1], "ResultPath": "$.out", "End": True}
    assert told(state) == InspectionData(
        input=GIVEN, result=[1], after_result_selector=[1], after_result_path={"in": {"n": 1}, "out": [1]}
    )


def test_a_task_tells_each_of_its_fields() -> None:
    state = task(
        InputPath="$.in",
        Parameters={"m.$": "$.n"},
        ResultSelector={"r.$": "$.x"},
        ResultPath="$.out",
        OutputPath="$.out",
    )
    assert tried(state, mock=mocked({"x": 5})) == TestStateResult(
        status="SUCCEEDED",
        output={"r": 5},
        inspection=InspectionData(
            input=GIVEN,
            after_input_path={"n": 1},
            after_parameters={"m": 1},
            result={"x": 5},
            after_result_selector={"r": 5},
            after_result_path={"in": {"n": 1}, "out": {"r": 5}},
        ),
    )


def test_what_a_failing_field_would_give_is_not_told_nor_what_comes_after_it() -> None:
    state = task(InputPath="$.in", Parameters={"m.$": "$.absent"})
    result = tried(state, mock=mocked({}))
    assert result.inspection == InspectionData(input=GIVEN, after_input_path={"n": 1})
    assert (result.status, result.error) == ("FAILED", "States.Runtime")
    assert result.cause == (
        "The JSONPath '$.absent' specified for the field 'm.$' could not be found in the input '{\"n\":1}'"
    )
    assert told(task(InputPath="$.absent"), mock=mocked({})) == InspectionData(input=GIVEN)
    selected = told(task(ResultSelector={"r.$": "$.absent"}), mock=mocked({}))
    assert (selected.result, selected.after_result_selector, selected.after_result_path) == ({}, UNSET, UNSET)
    placed = told(task(ResultPath="$.in.n.deeper"), mock=mocked({}))
    assert (placed.after_result_selector, placed.after_result_path) == ({}, UNSET)


def test_a_jsonata_task_tells_its_arguments_and_its_result() -> None:
    state = task(
        QueryLanguage="JSONata", Arguments={"m": "{% $states.input.in.n %}"}, Output="{% $states.result * 2 %}"
    )
    assert tried(state, mock=mocked(21)) == TestStateResult(
        status="SUCCEEDED",
        output=42,
        inspection=InspectionData(input=GIVEN, after_arguments={"m": 1}, result=21),
    )


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Succeed", "InputPath": "$.in"},
        {"Type": "Wait", "Seconds": 3600, "InputPath": "$.in", "End": True},
    ],
    ids=lambda state: state["Type"],
)
def test_a_state_without_a_result_tells_its_input_only(state: dict[str, Any]) -> None:
    assert tried(state) == TestStateResult(
        status="SUCCEEDED", output={"n": 1}, inspection=InspectionData(input=GIVEN, after_input_path={"n": 1})
    )


def test_a_fail_tells_its_error_and_in_jsonata_its_input_alone() -> None:
    state = {"Type": "Fail", "Error": "Boom", "Cause": "why"}
    after = InspectionData(input=GIVEN, after_input_path=GIVEN)
    assert tried(state) == TestStateResult(status="FAILED", error="Boom", cause="why", inspection=after)
    assert told({**state, "QueryLanguage": "JSONata"}) == InspectionData(input=GIVEN)


def test_a_wait_that_is_too_long_fails_though_no_time_passes() -> None:
    result = try_state({"Type": "Wait", "SecondsPath": "$.s", "End": True}, {"s": 2**31})
    assert (result.status, result.cause) == ("FAILED", "Wait state delay is too long.")


def test_a_parallel_tells_what_becomes_of_its_result() -> None:
    result = tried(parallel(InputPath="$.in", ResultPath="$.out"), mock=mocked([1, 2]))
    after: Json = {"in": {"n": 1}, "out": [1, 2]}
    inspection = InspectionData(input=GIVEN, after_result_selector=[1, 2], after_result_path=after)
    assert result == TestStateResult(status="SUCCEEDED", output=after, inspection=inspection)


def test_a_parallel_whose_parameters_fail_never_comes_to_its_mock() -> None:
    assert tried(parallel(Parameters={"m.$": "$.absent"}), mock=mocked([1, 2])).status == "FAILED"


def test_a_map_tells_its_items_and_its_limits() -> None:
    state = fan_out(ItemsPath="$.items", ItemSelector={"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"})
    given: Json = {"items": ["a", "b"]}
    assert tried(state, given, mock=mocked([1, 2])) == TestStateResult(
        status="SUCCEEDED",
        output=[1, 2],
        inspection=InspectionData(
            input=given,
            after_input_path=given,
            after_items_path=["a", "b"],
            after_item_selector=[{"i": 0, "v": "a"}, {"i": 1, "v": "b"}],
            after_result_selector=[1, 2],
            after_result_path=[1, 2],
            max_concurrency=0,
        ),
    )


def test_a_map_runs_over_its_input_and_takes_its_concurrency_from_there() -> None:
    data = told(fan_out(MaxConcurrencyPath="$[1]"), [100, 200], mock=mocked([1, 2]))
    assert (data.after_items_path, data.max_concurrency) == ([100, 200], 200)


def test_a_jsonata_map_tells_its_selected_items_but_not_its_items() -> None:
    state = fan_out(
        QueryLanguage="JSONata",
        Items="{% $states.input.items %}",
        ItemSelector={"v": "{% $states.context.Map.Item.Value %}"},
        MaxConcurrency="{% 3 %}",
        Output="{% $states.result[0] %}",
    )
    given: Json = {"items": ["a"]}
    assert tried(state, given, mock=mocked([7])) == TestStateResult(
        status="SUCCEEDED",
        output=7,
        inspection=InspectionData(input=given, after_item_selector=[{"v": "a"}], max_concurrency=3),
    )


def test_a_map_over_what_is_no_array_fails_before_it_tells_more() -> None:
    result = tried(fan_out(ItemsPath="$.in"), mock=mocked([]))
    assert result == TestStateResult(
        status="FAILED",
        error="States.Runtime",
        cause='Reference path "$.in" must point to array.',
        inspection=InspectionData(input=GIVEN, after_input_path=GIVEN),
    )


# ---- failures


def test_an_error_that_a_retrier_takes_is_retriable_and_says_when() -> None:
    retriers = [
        {"ErrorEquals": ["Other"]},
        {"ErrorEquals": ["Boom"], "IntervalSeconds": 3, "BackoffRate": 2.0, "MaxAttempts": 3, "MaxDelaySeconds": 10},
    ]
    state = task(Retry=retriers)
    seconds = []
    for count in range(3):
        configuration = StateConfiguration(retrier_retry_count=count)
        result = tried(state, mock=BOOM, state_configuration=configuration)
        assert (result.status, result.error, result.cause, result.output) == ("RETRIABLE", "Boom", "why", UNSET)
        assert result.inspection is not None and result.inspection.error_details is not None
        assert result.inspection.error_details.retry_index == 1
        seconds.append(result.inspection.error_details.retry_backoff_interval_seconds)
    assert seconds == [3, 6, 10]


def test_a_retrier_without_attempts_left_is_named_where_the_state_fails_and_where_a_catch_takes_it() -> None:
    used_up = StateConfiguration(retrier_retry_count=1)
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    failed = tried(task(Retry=retry), mock=BOOM, state_configuration=used_up)
    assert failed.status == "FAILED"
    assert failed.inspection is not None and failed.inspection.error_details == ErrorDetails(retry_index=0)
    catch = [{"ErrorEquals": ["Other"], "Next": "X"}, {"ErrorEquals": ["States.ALL"], "Next": "Rescue"}]
    caught = tried(task(Retry=retry, Catch=catch), mock=BOOM, state_configuration=used_up)
    assert (caught.status, caught.next_state) == ("CAUGHT_ERROR", "Rescue")
    details = ErrorDetails(retry_index=0, catch_index=1)
    assert caught.inspection is not None and caught.inspection.error_details == details


def test_a_caught_error_gives_the_output_of_the_catch() -> None:
    catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Rescue", "ResultPath": "$.error"}]
    result = try_state(task(Catch=catch), GIVEN, mock=BOOM)
    assert result == TestStateResult(
        status="CAUGHT_ERROR",
        error="Boom",
        cause="why",
        next_state="Rescue",
        output={"in": {"n": 1}, "error": {"Error": "Boom", "Cause": "why"}},
    )
    kept = try_state(task(Catch=[{**catch[0], "ResultPath": None}]), GIVEN, mock=BOOM)
    assert kept.output == GIVEN


@pytest.mark.parametrize("state", [parallel(), fan_out(ItemsPath="$.items")], ids=["Parallel", "Map"])
def test_the_error_of_a_container_is_retried_caught_or_fails_it(state: dict[str, Any]) -> None:
    given: Json = {"items": [1]}
    handled = {**state, "Catch": [{"ErrorEquals": ["Boom"], "Next": "Rescue"}]}
    retried = {**handled, "Retry": [{"ErrorEquals": ["Boom"]}]}
    statuses = [try_state(each, given, mock=BOOM).status for each in (retried, handled, state)]
    assert statuses == ["RETRIABLE", "CAUGHT_ERROR", "FAILED"]


def test_a_runtime_error_is_not_handled_and_has_no_details() -> None:
    handlers: dict[str, Any] = {
        "Retry": [{"ErrorEquals": ["States.ALL"]}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Rescue"}],
    }
    result = tried(task(**handlers), mock=MockedError(error="States.Runtime"))
    assert (result.status, result.error, result.cause) == ("FAILED", "States.Runtime", None)
    assert result.inspection is not None and result.inspection.error_details is None


def test_a_query_that_fails_is_an_error_like_any_other() -> None:
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Rescue"}]
    state = task(QueryLanguage="JSONata", Output="{% $states.result.absent %}", Catch=catch)
    result = tried(state, mock=mocked({}))
    cause = (
        "The JSONata expression '$states.result.absent' specified for the field 'Output' returned nothing (undefined)."
    )
    assert (result.status, result.next_state, result.cause) == ("CAUGHT_ERROR", "Rescue", cause)


def test_arguments_that_fail_are_not_told() -> None:
    result = tried(task(QueryLanguage="JSONata", Arguments="{% $states.input.absent %}"), mock=mocked({}))
    assert (result.status, result.error) == ("FAILED", "States.QueryEvaluationError")
    assert result.inspection == InspectionData(input=GIVEN)


def test_what_goes_wrong_in_a_catch_fails_the_state() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Rescue", "Output": "{% $states.errorOutput.absent %}"}]
    result = tried(task(QueryLanguage="JSONata", Catch=catch), mock=BOOM)
    cause = (
        "The JSONata expression '$states.errorOutput.absent' specified for the field 'Catch[0]/Output' "
        "returned nothing (undefined)."
    )
    assert (result.status, result.error, result.cause) == ("FAILED", "States.QueryEvaluationError", cause)
    path = task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Rescue", "ResultPath": "$.in.n.deeper"}])
    by_path = tried(path, mock=BOOM)
    assert (by_path.status, by_path.error) == ("FAILED", "States.ResultPathMatchFailure")
    assert by_path.cause is not None and not by_path.cause.startswith("An error occurred")


# ---- what is given


def test_variables_are_read_and_told_with_those_that_the_state_assigns() -> None:
    state = {"Type": "Pass", "Assign": {"b.$": "$a"}, "Parameters": {"v.$": "$a"}, "End": True}
    result = tried(state, variables={"a": 1})
    assert (result.output, result.inspection and result.inspection.variables) == ({"v": 1}, {"a": 1, "b": 1})
    failed = told(task(), mock=BOOM, variables={"a": 1})
    assert failed.variables == {"a": 1}
    caught = task(Catch=[{"ErrorEquals": ["Boom"], "Next": "X", "Assign": {"e.$": "$.Error"}}])
    assert told(caught, mock=BOOM).variables == {"e": "Boom"}


def test_variables_that_are_no_object_are_refused() -> None:
    with pytest.raises(RequestRefused, match="Variables must be a JSON object"):
        tried({"Type": "Succeed"}, variables=[1])


def test_the_context_object_is_what_the_caller_gives_and_nothing_else() -> None:
    state = task(ResultSelector={"c.$": "$$"})
    assert tried(state, mock=mocked({}), context={"State": {"Name": "Here"}}).output == {
        "c": {"State": {"Name": "Here"}}
    }
    assert tried(state, mock=mocked({}), context={}).output == {"c": {}}


def test_the_context_object_that_is_made_up_names_an_express_execution_and_counts_retries() -> None:
    state = {"Type": "Pass", "Parameters": {"c.$": "$$"}, "End": True}
    made = tried(state).output
    assert isinstance(made, dict)
    context: Any = made["c"]
    machine, name = context["StateMachine"]["Name"], context["Execution"]["Name"]
    assert context == {
        "Execution": {
            "Id": f"arn:aws:states:us-east-1:111111111111:express:{machine}:{name}",
            "Input": GIVEN,
            "StartTime": "1970-01-01T00:00:00.000Z",
            "Name": name,
            "RoleArn": None,
        },
        "StateMachine": {
            "Id": f"arn:aws:states:us-east-1:111111111111:stateMachine:{machine}",
            "Name": machine,
        },
        "State": {"Name": "StateName", "EnteredTime": "1970-01-01T00:00:00.000Z"},
    }
    retried = tried(
        task(ResultSelector={"n.$": "$$.State.RetryCount", "role.$": "$$.Execution.RoleArn"}),
        mock=mocked({}), role_arn="arn:role", state_configuration=StateConfiguration(retrier_retry_count=2),
    )  # fmt: skip
    assert retried.output == {"n": 2, "role": "arn:role"}


def test_equal_arguments_give_equal_results_and_another_seed_another_name() -> None:
    state = {"Type": "Pass", "Parameters": {"n.$": "$$.Execution.Name", "u.$": "States.UUID()"}, "End": True}
    assert tried(state) == tried(state)
    assert tried(state).output != tried(state, seed=bytes(15) + b"1").output


def test_a_trial_ends_as_the_engine_does() -> None:
    state: dict[str, Json] = {
        "Type": "Pass",
        "Parameters": {"u.$": "States.UUID()", "m.$": "$.in"},
        "ResultPath": "$.out",
        "End": True,
    }
    machine = parse({"StartAt": "StateName", "States": {"StateName": state}})
    outcome = start(machine, GIVEN)
    assert isinstance(outcome, Succeeded)
    result = tried(state)
    assert result.output == outcome.output
    assert result.inspection is not None and result.inspection.after_result_path == outcome.output


@pytest.mark.parametrize("asked", [{"given": float("nan")}, {"variables": {1: 2}}, {"context": object()}])
def test_what_is_no_json_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidCommand):
        tried(task(), mock=mocked({}), **asked)


def test_an_input_over_the_limit_is_refused() -> None:
    with pytest.raises(RequestRefused) as refused:
        tried({"Type": "Succeed"}, "x" * 262_144)
    assert refused.value.code == "InvalidExecutionInput"


# ---- a Task without a mock


def test_a_task_without_a_mock_is_done_by_whoever_is_asked() -> None:
    seen: list[TaskScheduled] = []

    def invoke(scheduled: TaskScheduled) -> MockedResult:
        seen.append(scheduled)
        return mocked(2)

    result = tried(task(Parameters={"m.$": "$.in.n"}), role_arn="arn:role", invoke=invoke)
    assert (result.status, result.output) == ("SUCCEEDED", 2)
    assert [(asked.resource, asked.arguments) for asked in seen] == [("double", {"m": 1})]
    failing = tried(task(), role_arn="arn:role", invoke=lambda _: BOOM)
    assert (failing.status, failing.error) == ("FAILED", "Boom")


def test_a_task_that_nobody_does_is_said_to_need_a_mock() -> None:
    with pytest.raises(InvalidSettings, match=r"is needed: the Task .* asks for double, and a trial calls nothing"):
        tried(task(), role_arn="arn:role")


def test_a_result_over_the_limit_fails_the_task() -> None:
    result = try_state(task(), mock=mocked("x" * 262_144))
    assert (result.status, result.error) == ("FAILED", "States.DataLimitExceeded")
