"""parse: what a definition becomes, and every fault of one that becomes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any

import pytest

from processor.errors import SCHEMA, Diagnostic, InvalidDefinition
from processor.interpreter.parse import MAX_DEPTH, parse
from processor.interpreter.validation.query_language import other_language_message
from processor.interpreter.validation.reading import MAX_LENGTH
from processor.model.definition import (
    AnyState,
    ChoiceState,
    FailState,
    MapState,
    ParallelState,
    PassState,
    Resource,
    Retrier,
    SucceedState,
    TaskState,
    WaitState,
    Workflow,
)
from processor.model.events import MachineType
from processor.model.json import Json, canonical_json
from tests.interpreter.surroundings import NOWHERE

TASK: dict[str, Any] = {"Type": "Task", "Next": "N", "Resource": "f"}
NEITHER = (
    "The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic function call, "
    "got \"t\" (a path starts with '$', got 't')"
)
WAITS = "[SecondsPath, Seconds, TimestampPath, Timestamp]"
ONE = "This object should have only one of the following fields:"
ONLY_ONE = "There should only be one of the following fields:"
TYPES = "Task, Pass, Choice, Wait, Succeed, Fail, Parallel, Map"


def machine(**states: object) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def state_of(fields: dict[str, Json], *others: str) -> AnyState:
    """Return the state S of a machine in which the others are there to be led to."""
    succeed: dict[str, Json] = {other: {"Type": "Succeed"} for other in others}
    return parse(machine(S=fields, **succeed)).states["S"]


def faults_of(definition: object, *, type: MachineType = "STANDARD") -> list[tuple[str, str, str]]:
    with pytest.raises(InvalidDefinition) as invalid:
        parse(definition, type=type)  # type: ignore[arg-type]  # any shape at all
    return [
        (fault.pointer, fault.code, str(fault).removeprefix(f"{fault.pointer or '/'}: "))
        for fault in invalid.value.diagnostics
    ]


def schema_faults_of(fields: Json, *, type: MachineType = "STANDARD") -> list[tuple[str, str]]:
    """Return the faults of the state S that are not about where states lead."""
    return [
        (pointer, message)
        for pointer, code, message in faults_of(machine(S=fields, N={"Type": "Succeed"}), type=type)
        if code == SCHEMA
    ]


# ---- what it becomes


def test_the_readmes_example_becomes_two_states() -> None:
    definition = machine(Start={"Type": "Wait", "Seconds": 10, "Next": "End"}, End={"Type": "Succeed"})

    workflow = parse(definition)

    wait, succeed = workflow.states["Start"], workflow.states["End"]
    assert isinstance(wait, WaitState)
    assert isinstance(succeed, SucceedState)
    assert (workflow.first, workflow.type, workflow.timeout_seconds) == ("Start", "STANDARD", None)
    assert (wait.name, wait.seconds, wait.timestamp, wait.next, wait.prepare) == ("Start", 10, None, "End", None)
    assert (succeed.name, succeed.next) == ("End", None)
    assert wait.finish(1, 1, NOWHERE) == ("INPUT", 1)


def test_a_definition_may_be_text_bytes_or_a_value_and_is_told_by_its_content() -> None:
    definition = machine(S={"Type": "Succeed", "Comment": "é"})
    reordered = {"States": definition["States"], "StartAt": "S"}

    workflows = [parse(definition), parse(json.dumps(definition)), parse(json.dumps(reordered).encode())]

    expected = sha256(canonical_json({"definition": definition, "type": "STANDARD"})).digest()
    assert [workflow.definition_hash for workflow in workflows] == [expected] * 3
    assert workflows[0] == workflows[1]
    assert {hash(workflow) for workflow in workflows} == {hash(workflows[0])}
    assert workflows[0].revision == expected.hex()[:16]
    assert parse(definition, type="EXPRESS") != workflows[0]
    assert workflows[0] != "something else"


def test_a_workflow_holds_a_copy_that_nobody_else_changes() -> None:
    definition = machine(S={"Type": "Succeed"})
    workflow = parse(definition)

    definition["StartAt"] = "Elsewhere"

    assert workflow.definition == machine(S={"Type": "Succeed"})


def test_fields_of_the_whole_machine_are_read() -> None:
    definition = machine(S={"Type": "Succeed", "QueryLanguage": "JSONPath"})
    definition |= {"Comment": "c", "Version": "1.0", "TimeoutSeconds": 60, "QueryLanguage": "JSONPath"}

    assert parse(definition).timeout_seconds == 60


def test_a_pass_hands_on_its_input_its_parameters_or_its_result() -> None:
    plain = state_of({"Type": "Pass", "End": True})
    shaped = state_of({"Type": "Pass", "End": True, "Parameters": {"x.$": "$"}})
    given = state_of({"Type": "Pass", "Next": "N", "Result": None, "ResultPath": "$.r"}, "N")

    assert isinstance(plain, PassState)
    assert isinstance(shaped, PassState)
    assert isinstance(given, PassState)
    assert (plain.prepare, plain.has_result, plain.finish(1, 1, NOWHERE)) == (None, False, ("INPUT", 1))
    assert shaped.prepare is not None
    assert (shaped.prepare(1, NOWHERE), shaped.finish(1, {"x": 1}, NOWHERE)) == ({"x": 1}, ("VALUE", {"x": 1}))
    assert (given.has_result, given.result, given.next) == (True, None, "N")
    assert given.finish({}, None, NOWHERE) == ("VALUE", {"r": None})


def test_a_task_is_read_with_its_retriers_and_catchers() -> None:
    task = state_of(
        {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "f"},
            "TimeoutSeconds": 60,
            "HeartbeatSeconds": 10,
            "Retry": [
                {"ErrorEquals": ["A", "B"], "IntervalSeconds": 2, "MaxAttempts": 0, "BackoffRate": 1,
                 "MaxDelaySeconds": 9, "JitterStrategy": "FULL", "Comment": "c"},
                {"ErrorEquals": ["States.ALL"]},
            ],
            "Catch": [
                {"ErrorEquals": ["E"], "Next": "N", "ResultPath": "$.error"},
                {"ErrorEquals": ["States.ALL"], "Next": "N", "ResultPath": None},
            ],
            "Credentials": {"RoleArn.$": "$.role"},
            "End": True,
        },
        "N",
    )  # fmt: skip

    assert isinstance(task, TaskState)
    assert task.resource == Resource(kind="SERVICE", resource_type="lambda", resource="invoke")
    assert (task.timeout_seconds, task.heartbeat_seconds, task.next) == (60, 10, None)
    assert task.retriers == (
        Retrier(
            errors=("A", "B"), interval_seconds=2, max_attempts=0, backoff_rate=1.0, max_delay_seconds=9, jitter=True
        ),
        Retrier(errors=("States.ALL",)),
    )
    assert [(catcher.errors, catcher.next) for catcher in task.catchers] == [(("E",), "N"), (("States.ALL",), "N")]
    assert [catcher.finish({"a": 1}, {"Error": "E"}, NOWHERE) for catcher in task.catchers] == [
        ("VALUE", {"a": 1, "error": {"Error": "E"}}),
        ("INPUT", {"a": 1}),
    ]
    assert task.credentials is not None
    assert task.credentials({"role": "arn"}, NOWHERE) == "arn"
    assert task.finish(1, 2, NOWHERE) == ("RESULT", 2)


def test_a_task_may_take_its_limits_from_its_input() -> None:
    task = state_of(
        {"Type": "Task", "Resource": "work", "TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.h", "End": True}
    )

    assert isinstance(task, TaskState)
    assert callable(task.timeout_seconds)
    assert callable(task.heartbeat_seconds)
    assert task.resource == Resource(kind="LAMBDA", resource="work")
    assert (task.timeout_seconds({"t": 5}, NOWHERE), task.heartbeat_seconds({"h": 2}, NOWHERE)) == (5, 2)
    assert (task.retriers, task.catchers, task.credentials, task.prepare) == ((), (), None, None)


def test_a_choice_has_its_rules_in_order() -> None:
    choice = state_of(
        {
            "Type": "Choice",
            "InputPath": "$.a",
            "OutputPath": "$.b",
            "Choices": [
                {"Variable": "$.b", "NumericEquals": 1, "Next": "One"},
                {"Not": {"Variable": "$.b", "IsPresent": True}, "Next": "Two", "Comment": "c"},
            ],
            "Default": "Three",
        },
        "One",
        "Two",
        "Three",
    )

    assert isinstance(choice, ChoiceState)
    assert [rule.next for rule in choice.rules] == ["One", "Two"]
    assert [rule.when({"b": 1}, NOWHERE) for rule in choice.rules] == [True, False]
    assert choice.next == "Three"
    assert choice.prepare is not None
    assert choice.prepare({"a": {"b": 1}}, NOWHERE) == {"b": 1}
    assert choice.finish({"a": {"b": 1}}, {"b": 1}, NOWHERE) == ("VALUE", 1)


@pytest.mark.parametrize(
    ("field", "written", "value", "seconds", "timestamp"),
    [
        ("Seconds", 0, None, 0, None),
        ("Timestamp", "1970-01-01T00:00:01Z", None, None, 1_000),
        ("SecondsPath", "$.w", {"w": 3}, 3, None),
        ("TimestampPath", "$.w", {"w": "1970-01-01T00:00:02Z"}, None, 2_000),
    ],
)
def test_a_wait_has_one_of_four_forms(field: str, written: Json, value: Json, seconds: Json, timestamp: Json) -> None:
    wait = state_of({"Type": "Wait", field: written, "End": True})

    assert isinstance(wait, WaitState)
    given = [form(value, NOWHERE) if callable(form) else form for form in (wait.seconds, wait.timestamp)]
    assert given == [seconds, timestamp]


def test_a_fail_has_texts_or_paths_to_them() -> None:
    plain = state_of({"Type": "Fail"})
    said = state_of({"Type": "Fail", "Error": "E", "CausePath": "$.why"})

    assert isinstance(plain, FailState)
    assert isinstance(said, FailState)
    assert (plain.error, plain.cause, said.error) == (None, None, "E")
    assert callable(said.cause)
    assert said.cause({"why": "because"}, NOWHERE) == "because"


def test_a_parallel_knows_where_its_branches_start_and_their_states_are_the_machines() -> None:
    definition = machine(
        P={
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Fail"}}},
                {"Comment": "c", "StartAt": "C", "States": {"C": {"Type": "Succeed"}}},
            ],
            "Parameters": {"x.$": "$"},
            "ResultSelector": {"first.$": "$[0]"},
            "Retry": [{"ErrorEquals": ["E"]}],
            "Catch": [{"ErrorEquals": ["E"], "Next": "N"}],
            "Next": "N",
        },
        N={"Type": "Succeed"},
    )

    workflow = parse(definition)
    parallel = workflow.states["P"]

    assert list(workflow.states) == ["P", "A", "B", "C", "N"]
    assert isinstance(parallel, ParallelState)
    assert (parallel.branches, parallel.next) == (("A", "C"), "N")
    assert parallel.prepare is not None
    assert parallel.prepare(1, NOWHERE) == {"x": 1}
    assert parallel.finish({}, [1, 2], NOWHERE) == ("VALUE", {"first": 1})
    assert (len(parallel.retriers), len(parallel.catchers)) == (1, 1)


@pytest.mark.parametrize(
    ("processor", "selector"),
    [("ItemProcessor", "ItemSelector"), ("Iterator", "Parameters"), ("Iterator", "ItemSelector")],
)
def test_a_map_is_read_in_both_its_forms(processor: str, selector: str) -> None:
    fields: dict[str, Json] = {
        "Type": "Map",
        "InputPath": "$.in",
        "ItemsPath": "$.items",
        selector: {"x.$": "$.y"},
        processor: {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "I",
            "States": {"I": {"Type": "Succeed"}},
        },
        "MaxConcurrency": 3,
        "End": True,
    }
    workflow = parse(machine(M=fields))
    state = workflow.states["M"]

    assert list(workflow.states) == ["M", "I"]
    assert isinstance(state, MapState)
    assert (state.first, state.mode, state.max_concurrency) == ("I", "INLINE", 3)
    assert state.prepare is not None
    assert state.items is not None
    assert state.selector is not None
    assert state.prepare({"in": {"items": [1], "y": 2}}, NOWHERE) == {"items": [1], "y": 2}
    assert state.items({"items": [1]}, NOWHERE) == [1]
    assert state.selector({"y": 2}, NOWHERE) == {"x": 2}


def test_a_map_of_its_whole_input_has_no_items_of_its_own() -> None:
    fields: dict[str, Json] = {
        "Type": "Map",
        "ItemProcessor": machine(I={"Type": "Succeed"}),
        "MaxConcurrencyPath": "$.n",
        "End": True,
    }
    state = parse(machine(M=fields)).states["M"]

    assert isinstance(state, MapState)
    assert (state.prepare, state.items, state.selector) == (None, None, None)
    assert callable(state.max_concurrency)


# ---- what is no definition


@pytest.mark.parametrize(
    "definition", [[], 5, None, True, "[]", "5", b"null", " ", "", b"\n", ("a",), {1: 2}, object()]
)
def test_what_is_no_json_object_is_refused(definition: object) -> None:
    ((pointer, code, message),) = faults_of(definition)

    assert (pointer, code, message.partition(", got")[0]) == ("", SCHEMA, "Definition must be a valid JSON object")


@pytest.mark.parametrize(
    ("value", "within", "found"),
    [
        ({"a": [0, float("nan")]}, "/a/1", "nan"),
        ({"a/b~": {"c": -float("inf")}}, "/a~1b~0/c", "-inf"),
        (["\ud800"], "/0", "'half of a surrogate pair'"),
        ({"a": {"\ud800": 1}}, "/a", "'a key with half of a surrogate pair'"),
        ({"a": {1: 2}}, "/a", "'a key of type int'"),
        (datetime(2026, 1, 1), "", "'a value of type datetime'"),
        ((1, {2}), "/1", "'a value of type set'"),
        (10**400, "", "'an integer that no float comes near to'"),
        ([10**30, None, True, 1.5, "x", b"x"], "/5", "'a value of type bytes'"),
    ],
)
def test_a_value_that_is_no_json_is_refused_where_it_stands(value: object, within: str, found: str) -> None:
    definition: Any = machine(A={"Type": "Pass", "Result": value, "End": True})
    with pytest.raises(InvalidDefinition) as refused:
        parse(definition)
    assert refused.value.diagnostics == (
        Diagnostic(pointer=f"/States/A/Result{within}", code=SCHEMA, message="Value must be JSON", found=found),
    )


@pytest.mark.parametrize(
    "definition", ["not a definition", '{"a": 1,}', '{"a": NaN}', b"\xff", '"\\ud800"', "\ud800", "{"]
)
def test_a_text_that_is_no_json_is_refused(definition: str | bytes) -> None:
    ((pointer, code, _),) = faults_of(definition)

    assert (pointer, code) == ("", "INVALID_JSON_DESCRIPTION")


@pytest.mark.parametrize("given", [lambda text: text, str.encode, json.loads], ids=["text", "bytes", "value"])
def test_a_definition_is_as_long_as_awss_api_takes_one(given: Callable[[str], object]) -> None:
    """API reference, CreateStateMachine: at most 1048576 characters. A value's text is the shortest."""
    beginning, end = '{"StartAt":"S","States":{"S":{"Type":"Pass","Comment":"', '","End":true}}}'
    longest = beginning + "é" * (MAX_LENGTH - len(beginning + end)) + end

    assert parse(given(longest)).first == "S"  # type: ignore[arg-type]  # any shape at all
    rule = "Value at 'definition' failed to satisfy constraint: Member must have length less than or equal to 1048576"
    assert faults_of(given(longest.replace("é", "éé", 1))) == [("", SCHEMA, f"{rule}, got 1048577 characters")]


@pytest.mark.parametrize("depth", [MAX_DEPTH, 300, 2_000, 100_000])
@pytest.mark.parametrize(
    "make", [lambda depth: '{"a":' * depth + "0" + "}" * depth, lambda depth: "[" * depth + "]" * depth]
)
def test_a_definition_nested_too_deeply_is_refused(depth: int, make: Callable[[int], str]) -> None:
    text = f'{{"StartAt":"S","States":{{"S":{{"Type":"Pass","Result":{make(depth)},"End":true}}}}}}'

    ((pointer, code, _),) = faults_of(text)

    assert (pointer, code) == ("", "TOO_DEEPLY_NESTED")


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: Json = 0
    for _ in range(300):
        value = [value]

    assert faults_of(machine(S={"Type": "Pass", "Result": value, "End": True})) == [
        ("", "TOO_DEEPLY_NESTED", "Definition is nested more than 128 levels deep")
    ]


def test_a_value_that_holds_itself_is_nested_too_deeply() -> None:
    state: dict[str, Json] = {"Type": "Pass", "End": True}
    state["Result"] = state

    assert [code for _, code, _ in faults_of(machine(S=state))] == ["TOO_DEEPLY_NESTED"]


def test_a_definition_nested_as_deeply_as_allowed_is_run_without_a_deep_stack() -> None:
    template: Json = {"x.$": "$"}
    for _ in range(MAX_DEPTH - 6):
        template = [template]
    state = state_of({"Type": "Pass", "Parameters": {"t": template}, "End": True})

    assert isinstance(state, PassState)
    assert state.prepare is not None
    made = state.prepare(1, NOWHERE)
    assert isinstance(made, dict)
    found = made["t"]
    while isinstance(found, list):
        found = found[0]
    assert found == {"x": 1}


def test_parallels_nest_up_to_the_depth_allowed() -> None:
    inner: dict[str, Json] = machine(S={"Type": "Succeed"})
    for level in range(24):
        inner = machine(**{f"P{level}": {"Type": "Parallel", "Branches": [inner], "End": True}})

    assert len(parse(inner).states) == 25


# ---- shapes


def test_fields_that_are_missing_are_named_together() -> None:
    # recorded: test_validate_state_machine_definition_not_a_definition[EMPTY_DICT], …_type_express[…NO_STARTAT]
    assert faults_of({}) == [("", SCHEMA, "These fields are required: [States, StartAt]")]
    assert faults_of({"States": {"S": {"Type": "Pass", "End": True}}}) == [
        ("", SCHEMA, "These fields are required: [StartAt]")
    ]
    assert schema_faults_of({}) == [("/States/S", "These fields are required: [Type]")]
    assert schema_faults_of({"Type": "Task", "Next": "N"}) == [("/States/S", "These fields are required: [Resource]")]


@pytest.mark.parametrize("kind", ["Pass", "Wait", "Choice", "Succeed", "Fail", "Map", "Parallel"])
@pytest.mark.parametrize("field", ["TimeoutSeconds", "Catch", "Retry"])
def test_a_field_that_the_type_does_not_have_is_refused(kind: str, field: str) -> None:
    """Measured on AWS by users of another project: 17 combinations, all refused in these words."""
    faults = schema_faults_of({"Type": kind, field: []})

    refused = ("/States/S", f"Field '{field}' is not supported") in faults
    assert refused is (field == "TimeoutSeconds" or kind not in ("Map", "Parallel"))


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"Type": "Nope"}, [("/Type", f'Value should be one of the following: [{TYPES}], got "Nope"')]),
        ({"Type": 5}, [("/Type", f"Value should be one of the following: [{TYPES}], got 5")]),
        ({"Type": "Pass", "Next": 5}, [("/Next", "Expected value of type [STRING], got 5")]),
        ({"Type": "Pass", "Next": "N", "End": "yes"}, [("/End", 'Expected value of type [BOOLEAN], got "yes"')]),
        ({"Type": "Pass", "Next": "N", "Parameters": [1]},
         [("/Parameters", "Expected value of type [OBJECT], got [1]")]),
        ({"Type": "Pass", "Next": "N", "InputPath": 5}, [("/InputPath", "Expected value of type [STRING], got 5")]),
        ({"Type": "Pass", "Next": "N", "Comment": None}, [("/Comment", "Value cannot be null")]),
        ({"Type": "Pass", "Next": "N", "Result": {"a": 1}, "Output": 1},
         [("", other_language_message("Output", "JSONPath"))]),
        ({"Type": "Wait", "Next": "N", "Seconds": 1.5}, [("/Seconds", "Expected value of type Integer, got 1.5")]),
        ({"Type": "Wait", "Next": "N", "Seconds": True}, [("/Seconds", "Expected value of type Integer, got true")]),
        ({"Type": "Wait", "Next": "N", "Seconds": -1}, [("/Seconds", "Minimum value is 0, got -1")]),
        ({"Type": "Wait", "Next": "N", "Seconds": 10**8}, [("/Seconds", "Maximum value is 99999999, got 100000000")]),
        ({"Type": "Wait", "Next": "N", "Timestamp": "2016-12-05 21:29:29Z"},
         [("/Timestamp", "String does not match RFC3339 timestamp")]),
        ({"Type": "Wait", "Next": "N"},
         [("", f"{ONE} {WAITS}")]),
        ({"Type": "Wait", "Next": "N", "Seconds": 1, "TimestampPath": "$.t"},
         [("", f"{ONLY_ONE} {WAITS}")]),
        ({"Type": "Wait", "Next": "N", "SecondsPath": "t"},
         [("/SecondsPath", "Value must be a valid JSONPath., got 't' (a path starts with '$', got 't')")]),
        ({"Type": "Map", "Next": "N", "ItemProcessor": machine(I={"Type": "Succeed"}), "ItemsPath": "t"},
         [("/ItemsPath", "Value must be a valid JSONPath., got 't' (a path starts with '$', got 't')")]),
        ({**TASK, "TimeoutSecondsPath": "t"},
         [("/TimeoutSecondsPath", "Value must be a valid JSONPath., got 't' (a path starts with '$', got 't')")]),
        ({"Type": "Pass", "Next": "N", "Parameters": {"a": {"x.$": "t"}}, "Assign": {"b": {"x.$": "t"}}},
         [("/Parameters/a", NEITHER), ("/Assign/b", NEITHER)]),
        ({**TASK, "ResultSelector": {"a": {"x.$": "t"}}}, [("/ResultSelector/a", NEITHER)]),
        ({"Type": "Wait", "Next": "N", "TimestampPath": "t"},
         [("/TimestampPath", "Value must be a valid JSONPath., got 't' (a path starts with '$', got 't')")]),
        ({"Type": "Pass", "Next": "N", "End": True}, [("", f"{ONLY_ONE} [Next, End]")]),
        ({"Type": "Pass", "End": False}, [("", f"{ONE} [Next, End]")]),
        ({"Type": "Choice"}, [("", "These fields are required: [Choices]")]),
        ({"Type": "Choice", "Choices": [], "Default": "N"}, [("/Choices", "Value cannot be empty")]),
        ({"Type": "Choice", "Choices": [5], "Default": "N"}, [("/Choices/0", "Expected value of type [OBJECT]")]),
        ({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True}], "Default": "N"},
         [("/Choices/0", "These fields are required: [Next]")]),
        ({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": 5}], "Default": "N"},
         [("/Choices/0/Next", "Expected value of type [STRING]")]),
        ({"Type": "Fail", "Error": "E", "ErrorPath": "$.e"},
         [("", f"{ONLY_ONE} [Error, ErrorPath]")]),
        ({"Type": "Fail", "Cause": 5}, [("/Cause", "Expected value of type [STRING], got 5")]),
        ({"Type": "Task", "Next": "N", "Resource": "arn:aws:nope"},
         [("/Resource", "Invalid ARN: 'arn:aws:nope' names no Lambda function, activity or service integration")]),
        ({**TASK, "TimeoutSeconds": 0}, [("/TimeoutSeconds", "Minimum value is 1, got 0")]),
        ({**TASK, "TimeoutSeconds": 5, "HeartbeatSeconds": 5},
         [("/HeartbeatSeconds", "must be less than TimeoutSeconds 5, got 5")]),
        ({**TASK, "TimeoutSeconds": 5, "TimeoutSecondsPath": "$.t"},
         [("", f"{ONLY_ONE} [TimeoutSeconds, TimeoutSecondsPath]")]),
        # recorded, in a JSONata state: test_invalid_credentials_field
        ({**TASK, "Credentials": {}},
         [("/Credentials", "The field 'RoleArn' is required but was missing")]),
        ({**TASK, "Credentials": {"RoleArn": 5}}, [("/Credentials/RoleArn", "Expected value of type [STRING]")]),
        ({**TASK, "Credentials": 5},
         [("/Credentials", "Expected value of type [OBJECT], got 5")]),
        ({**TASK, "Retry": [
            {"ErrorEquals": ["A"], "BackoffRate": 0.5, "IntervalSeconds": 0, "MaxAttempts": -1,
             "JitterStrategy": "HALF", "MaxDelaySeconds": 31_622_401}]},
         [("/Retry/0/MaxAttempts", "Minimum value is 0, got -1"),
          ("/Retry/0/BackoffRate", "Minimum value is 1.0, got 0.5"),
          ("/Retry/0/MaxDelaySeconds", "Maximum value is 31622400, got 31622401"),
          ("/Retry/0/JitterStrategy", "Value should be one of the following: [NONE, FULL], got \"HALF\"")]),
        ({**TASK, "Retry": [5, {}]},
         [("/Retry/1", "These fields are required: [ErrorEquals]"),
          ("/Retry/0", "Expected value of type [OBJECT], got 5")]),
        ({**TASK, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}]},
         [("/Retry/0/ErrorEquals", "States.ALL must appear alone and at end of list")]),
        ({**TASK, "Catch": [{"ErrorEquals": ["A", "States.ALL"], "Next": "N"}]},
         [("/Catch/0/ErrorEquals", "States.ALL must appear alone and at end of list")]),
        ({**TASK, "Catch": [{"ErrorEquals": [], "Next": "N"}, {"ErrorEquals": [""]}]},
         [("/Catch/1", "These fields are required: [Next]"),
          ("/Catch/0/ErrorEquals", "Value cannot be empty"),
          ("/Catch/1/ErrorEquals/0", "Value cannot be empty")]),
        ({**TASK, "Catch": [{"ErrorEquals": ["E"], "Next": "N", "ResultPath": "$.a[*]"}]},
         [("/Catch/0/ResultPath",
           "Value is not a Reference Path, got '$.a[*]' "
           "(a reference path names a single place, by names and indexes, got '$.a[*]')")]),
        ({"Type": "Parallel", "Next": "N", "Branches": []}, [("/Branches", "Value cannot be empty")]),
        ({"Type": "Parallel", "Next": "N", "Branches": [5]},
         [("/Branches/0", "Expected value of type [OBJECT], got 5")]),
        ({"Type": "Parallel", "Next": "N", "Branches": [{"States": {}}]},
         [("/Branches/0", "These fields are required: [StartAt]"), ("/Branches/0/States", "Value cannot be empty")]),
        ({"Type": "Parallel", "Next": "N", "Branches": {"StartAt": "A"}},
         [("/Branches", 'Expected value of type [ARRAY], got {"StartAt":"A"}')]),
        ({"Type": "Map", "Next": "N"},
         [("", f"{ONE} [ItemProcessor, Iterator]")]),
        ({"Type": "Map", "Next": "N", "ItemProcessor": 5},
         [("/ItemProcessor", "Expected value of type [OBJECT], got 5")]),
        ({"Type": "Map", "Next": "N", "Parameters": {}, "ItemSelector": {}, "MaxConcurrency": -1, "Iterator":
          {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}, "ProcessorConfig": {"Mode": "X"}}},
         [("/MaxConcurrency", "Minimum value is 0, got -1"),
          ("", f"{ONLY_ONE} [ItemSelector, Parameters]"),
          ("/Iterator/ProcessorConfig/Mode",
           "Value should be one of the following: [INLINE, DISTRIBUTED], got \"X\"")]),
        (5, [("", "Expected value of type [OBJECT], got 5")]),
        (["x" * 100], [("", f'Expected value of type [OBJECT], got ["{"x" * 77}…')]),
    ],
)  # fmt: skip
def test_a_state_with_faults_is_reported_with_each(fields: Json, faults: list[tuple[str, str]]) -> None:
    assert schema_faults_of(fields) == [(f"/States/S{pointer}", message) for pointer, message in faults]


def test_pointers_of_states_and_branches_are_json_pointers_without_types() -> None:
    definition = machine(
        **{"a/b~": {"Type": "Parallel", "End": True, "Branches": [machine(**{"c d": {"Type": "Wait", "End": True}})]}}
    )

    assert faults_of(definition) == [
        (
            "/States/a~1b~0/Branches/0/States/c d",
            SCHEMA,
            f"{ONE} {WAITS}",
        )
    ]


def test_fields_of_the_machine_are_checked() -> None:
    definition = machine(S={"Type": "Succeed"}) | {"Version": "2.0", "TimeoutSeconds": -1, "Extra": 1, "States2": 2}

    assert faults_of(definition) == [
        ("/Version", SCHEMA, 'Value should be one of the following: [1.0], got "2.0"'),
        ("/TimeoutSeconds", SCHEMA, "Minimum value is 0, got -1"),
        ("", SCHEMA, "Field 'Extra' is not supported"),
        ("", SCHEMA, "Field 'States2' is not supported"),
    ]
    assert faults_of({"StartAt": 5, "States": []}) == [
        ("/States", SCHEMA, "Expected value of type [OBJECT], got []"),
        ("/StartAt", SCHEMA, "Expected value of type [STRING], got 5"),
    ]
    assert faults_of({"StartAt": "", "States": {"": {"Type": "Succeed"}}}) == [
        ("/StartAt", SCHEMA, "Value cannot be empty"),
        ("/States/", "INVALID_STATE_NAME", "Invalid State name: a name cannot be empty"),
    ]
    assert faults_of(machine(**{"x" * 81: {"Type": "Succeed"}})) == [
        (
            "/States/" + "x" * 81,
            "INVALID_STATE_NAME",
            f"Invalid State name: State '{'x' * 81}' exceeds the 80-character limit allowed by the service",
        )
    ]


def test_a_state_beside_one_with_faults_is_read_all_the_same() -> None:
    definition = machine(A={"Type": "Pass", "Next": "B", "InputPath": "x"}, B={"Type": "Fail", "Cause": 1})

    assert [pointer for pointer, _, _ in faults_of(definition)] == ["/States/A/InputPath", "/States/B/Cause"]


def test_the_message_of_the_exception_holds_every_fault() -> None:
    with pytest.raises(InvalidDefinition) as invalid:
        parse({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": -1, "End": True}}, "X": 1})

    assert str(invalid.value) == "/: Field 'X' is not supported; /States/A/Seconds: Minimum value is 0, got -1"
    assert invalid.value.diagnostics[0] == Diagnostic(
        pointer="", code=SCHEMA, message="Field 'X' is not supported", field="/X"
    )


# ---- Express


def test_express_machines_do_not_wait_for_answers_from_outside() -> None:
    def said(resource: str) -> list[tuple[str, str]]:
        return schema_faults_of({"Type": "Task", "Resource": resource, "Parameters": {}, "Next": "N"}, type="EXPRESS")

    # recorded: test_illegal_callbacks, test_illegal_activity_task; the blank at the end is AWS's
    place = "/States/S/Resource"
    assert said("arn:aws:states:::sns:publish.waitForTaskToken") == [
        (place, "Express state machine does not support '.waitForTaskToken' service integration ")
    ]
    assert said("arn:aws:states:::states:startExecution.sync:2") == [
        (place, "Express state machine does not support '.sync' service integration ")
    ]
    assert said("arn:aws:states:us-east-1:111111111111:activity:a") == [
        (place, "Express state machine does not support Activity ARN")
    ]


@pytest.mark.parametrize("resource", ["work", "arn:aws:states:::sns:publish"])
def test_express_machines_may_call(resource: str) -> None:
    definition = machine(S={"Type": "Task", "Resource": resource, "Parameters": {}, "End": True})

    assert isinstance(parse(definition, type="EXPRESS"), Workflow)


# ---- what comes with the whole language


def test_a_machine_in_jsonata_has_no_state_in_jsonpath() -> None:
    definition = machine(S={"Type": "Pass", "QueryLanguage": "JSONPath", "End": True}) | {"QueryLanguage": "JSONata"}

    # recorded: test_validate_state_machine_definition_type_express[INVALID_DOWNGRADE_QUERY_LANGUAGE]
    assert faults_of(definition) == [
        ("/States/S", SCHEMA, "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine")
    ]


def test_a_succeed_assigns_nothing() -> None:
    assert schema_faults_of({"Type": "Succeed", "Assign": {}}) == [("/States/S", "Field 'Assign' is not supported")]


def test_a_definition_whose_names_are_long_and_nested_is_refused_before_any_pointer_is_made() -> None:
    """20,000 parts below 100 names of 4,000 characters each: their JSON pointers alone would have 8 GB."""
    names, parts = 100, 20_000
    leaf = "{" + ",".join(f'"a{n}.$":"bad"' for n in range(parts)) + "}"
    deep = ('{"' + "k" * 4_000 + '":') * names + leaf + "}" * names
    text = '{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Parameters":' + deep + "}}}"

    with pytest.raises(InvalidDefinition) as refused:
        parse(text)

    (diagnostic,) = refused.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == (
        "TOO_DEEPLY_NESTED",
        "Names in the definition are too long: the JSON pointers of its parts may have 32,000,000 characters together",
    )


@pytest.mark.parametrize(("count", "refused"), [(500, False), (501, True)])
def test_a_definition_has_no_more_regular_expressions_than_are_compiled_in_half_a_second(
    count: int, refused: bool
) -> None:
    paths = {f"a{n}.$": "$.b[?(@.c =~ /x/)]" for n in range(count)}
    definition: Any = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True, "Parameters": paths}}}

    if not refused:
        assert parse(definition).first == "A"
        return
    with pytest.raises(InvalidDefinition) as fault:
        parse(definition)
    (diagnostic,) = fault.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == (
        SCHEMA,
        "Paths in the definition may have 500 regular expressions together",
    )


@pytest.mark.parametrize(
    ("parameters", "place"), [({"w.$": 3}, "w.$"), ({"a": [0, {"w.$": 3}]}, "a/1/w.$")], ids=["", "in an array"]
)
def test_a_field_of_a_template_that_is_no_text_is_told_with_what_stands_there(parameters: Json, place: str) -> None:
    definition: Any = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True, "Parameters": parameters}}}

    with pytest.raises(InvalidDefinition) as refused:
        parse(definition)

    (diagnostic,) = refused.value.diagnostics
    assert (diagnostic.field, diagnostic.found) == (f"/States/A/Parameters/{place}", "3 (it is no string)")
