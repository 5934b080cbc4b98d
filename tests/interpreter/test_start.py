"""start: what it records, what it rejects; recover: what it takes for a history."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from processor import (
    EPOCH,
    ZERO,
    ExecutionStarted,
    Millis,
    RedriveExecution,
    Rejected,
    StartExecution,
    StateEntered,
    StateExited,
    Succeeded,
    Workflow,
    parse,
    recover,
    resume,
    start,
)
from processor.errors import DecodingFailed
from processor.interpreter.evolve import begin
from processor.interpreter.interpreter import first_event, input_hash
from processor.interpreter.refused import Refused
from processor.model.events import NO_CAUSE
from processor.model.json import Json, parse_json, private_json
from tests.interpreter.scenario import machine, scope_of, task

PASS: Workflow = parse(scope_of("A", {"Type": "Pass", "End": True}))
WAITING: Workflow = parse(scope_of("A", {"Type": "Wait", "Seconds": 5, "End": True}))


def test_the_first_event_holds_all_that_the_run_depends_on() -> None:
    workflow = parse(machine("A", {"A": task("A")}, TimeoutSeconds=7))
    outcome = start(
        workflow,
        {"n": 1},
        context={"env": "test"},
        execution_id="orders:42",
        now=Millis(5_000),
        seed=b"0123456789abcdef",
    )
    assert outcome.events[0] == ExecutionStarted(
        execution_id="orders:42",
        sequence=0,
        time=Millis(5_000),
        caused_by=NO_CAUSE,
        state_machine="orders",
        revision=workflow.revision,
        definition_hash=workflow.definition_hash,
        type="STANDARD",
        input={"n": 1},
        context={"env": "test"},
        seed=b"0123456789abcdef",
        first="A",
        timeout_at=Millis(12_000),
    )


def test_equal_arguments_give_equal_outcomes() -> None:
    assert start(WAITING, {"n": 1}) == start(WAITING, {"n": 1})


def test_the_input_is_copied() -> None:
    given: dict[str, Any] = {"list": [1]}
    outcome = start(WAITING, given)
    given["list"].append(2)
    assert outcome.execution is not None
    assert outcome.execution.started.input == {"list": [1]}


@pytest.mark.parametrize(
    ("input", "more", "reason", "detail"),
    [
        ({}, {"execution_id": "no colon"}, "InvalidCommand", "execution_id: must be <state machine>:<name>"),
        ({}, {"execution_id": "m:a b"}, "InvalidCommand", "execution_id: must be <state machine>:<name>"),
        ({}, {"execution_id": "m:" + "x" * 81}, "InvalidCommand", "execution_id: must be <state machine>:<name>"),
        (float("nan"), {}, "InvalidCommand", "input: must be JSON, got nan"),
        ({}, {"context": [1]}, "InvalidCommand", "context: must be a JSON object, got [1]"),
        ({}, {"context": []}, "InvalidCommand", "context: must be a JSON object, got []"),
        ({}, {"context": "x"}, "InvalidCommand", "context: must be a JSON object, got 'x'"),
        ({}, {"context": 5}, "InvalidCommand", "context: must be a JSON object, got 5"),
        ({}, {"context": {1}}, "InvalidCommand", "context: must be JSON, got 'a value of type set'"),
        ({}, {"context": {"a": float("nan")}}, "InvalidCommand", "context/a: must be JSON, got nan"),
        ({1: 2}, {}, "InvalidCommand", "input: must be JSON, got 'a key of type int'"),
        ("\ud800", {}, "InvalidCommand", "input: must be JSON, got 'half of a surrogate pair'"),
        ({"when": object}, {}, "InvalidCommand", "input/when: must be JSON, got 'a value of type type'"),
        ({"x": 10**400}, {}, "InvalidCommand", "input/x: must be JSON, got 'an integer that no float comes near to'"),
        ({}, {"context": {"Execution": 1}}, "InvalidCommand", "context: must not hold Execution, Map, State"),
        ({}, {"context": {"x": float("inf")}}, "InvalidCommand", "context/x: must be JSON, got inf"),
        ("x" * 262_143, {}, "InputTooLarge", "input and context take 262145 bytes of JSON, 262144 are allowed"),
        ("ü" * 131_071, {"context": {"a": 1}}, "InputTooLarge", "input and context take 262151 bytes"),
    ],
)
def test_start_rejects(input: object, more: dict[str, Any], reason: str, detail: str) -> None:
    outcome = start(PASS, input, **more)
    assert isinstance(outcome, Rejected)
    assert (outcome.execution, outcome.events, outcome.reason) == (None, (), reason)
    assert outcome.detail.startswith(detail)


def test_an_input_may_take_what_it_may_and_needs_no_context() -> None:
    assert not isinstance(start(PASS, "x" * 262_142), Rejected)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30, -(10**30), 123456789012345678901234567890])
def test_an_integer_beyond_64_bits_is_the_same_float_wherever_it_comes_from(number: int) -> None:
    definition: dict[str, Json] = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": [number], "End": True}}}
    of_text, of_value = parse(json.dumps(definition)), parse(definition)
    found = [
        parse_json(json.dumps(number)),
        private_json({"x": number}, what="input"),
        start(PASS, {"x": number}).execution.started.input,  # type: ignore[union-attr]
        start(of_text, {}).execution.output,  # type: ignore[union-attr]
        start(of_value, {}).execution.output,  # type: ignore[union-attr]
    ]
    assert repr(found) == repr(
        [float(number), {"x": float(number)}, {"x": float(number)}, [float(number)], [float(number)]]
    )
    assert of_text.definition_hash == of_value.definition_hash


def test_the_largest_input_is_taken() -> None:
    assert start(PASS, "x" * (262_144 - 2 - 4)).execution is not None  # 4 for the context's null


def test_the_users_context_is_read_beside_awss_own() -> None:
    made = {"env.$": "$$.env", "machine.$": "$$.StateMachine.Name", "state.$": "$$.State.Name"}
    workflow = parse(scope_of("A", {"Type": "Pass", "Parameters": made, "End": True}))
    outcome = start(workflow, {}, context={"env": "staging"}, execution_id="orders:1")
    assert outcome.execution is not None
    assert outcome.execution.output == {"env": "staging", "machine": "orders", "state": "A"}


def test_recover_takes_a_beginning_of_one_history_in_order() -> None:
    events = start(WAITING, {}).events
    for cut in range(1, len(events) + 1):
        assert recover(WAITING, events[:cut]).execution is not None
    wrongs = [(), events[1:], (events[0], events[2]), (events[0], events[0]), (*events, events[2])]
    other = start(WAITING, {}, execution_id="other:1").events
    for wrong in [*wrongs, (events[0], other[1])]:
        with pytest.raises(DecodingFailed, match="history does not decode"):
            recover(WAITING, wrong)


def test_recover_takes_a_history_of_its_workflow_alone() -> None:
    with pytest.raises(DecodingFailed) as refused:
        recover(PASS, start(WAITING, {}).events)
    assert refused.value.reason == (
        f"it is of the definition with the hash {WAITING.definition_hash.hex()}, "
        f"the workflow's is {PASS.definition_hash.hex()}"
    )


def test_recover_takes_a_redriven_history_with_the_workflow_that_it_was_redriven_on() -> None:
    failed = start(parse(scope_of("A", {"Type": "Fail"})), {})
    other = parse(scope_of("A", {"Type": "Fail", "Error": "E"}))
    assert failed.execution is not None
    redriven = resume(replace(failed.execution, workflow=other), RedriveExecution(execution_id="local:1"))
    history = (*failed.events, *redriven.events)
    assert redriven.execution is not None
    assert recover(other, history).execution == redriven.execution
    with pytest.raises(DecodingFailed, match=r"it is of the definition with the hash"):
        recover(failed.execution.workflow, history)


def test_resume_without_a_command_goes_on_where_a_log_was_cut() -> None:
    whole = start(PASS, 1)
    cut = recover(PASS, whole.events[:1]).execution
    assert cut is not None
    assert whole.execution is not None
    assert resume(cut) == Succeeded(execution=whole.execution, events=whole.events[1:], output=1)
    assert [type(event) for event in whole.events[1:3]] == [StateEntered, StateExited]


def test_a_repeated_start_is_told_by_the_hash_of_its_input() -> None:
    assert input_hash({"a": 1, "b": 2}, None) == input_hash({"b": 2, "a": 1}, None)
    assert input_hash({"a": 1}, None) != input_hash({"a": 1}, {"env": 1})
    assert len(ZERO) == 16


def test_an_express_execution_has_an_arn_of_its_own() -> None:
    """Recorded: test_query_runtime_memory (Express): machine, name and a UUID that AWS draws."""
    definition = scope_of("A", {"Type": "Pass", "Parameters": {"id.$": "$$.Execution.Id"}, "End": True})
    made = [start(parse(definition, type="EXPRESS"), {}, execution_id="m:n", seed=seed) for seed in (ZERO, b"1" * 16)]
    ids = [outcome.execution.output["id"] for outcome in made if outcome.execution is not None]  # type: ignore[index, call-overload]
    pattern = r"arn:aws:states:us-east-1:\d{12}:express:m:n:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert all(re.fullmatch(pattern, str(id)) for id in ids)
    assert ids[0] != ids[1]


def test_a_context_that_is_no_object_is_refused() -> None:
    command = StartExecution(execution_id="m:n", input={}, context=[1])
    refused = first_event(PASS, command, now=Millis(0), seed=ZERO, cause=NO_CAUSE)
    assert refused == Refused("InvalidCommand", "context: must be a JSON object, got [1]")


def test_an_execution_that_somebody_waits_for_has_no_redrive_count_in_its_context() -> None:
    """Recorded: StartSyncExecution's context object has none, StartExecution's has one, Express too."""
    workflow = parse(
        {"StartAt": "A", "States": {"A": {"Type": "Pass", "InputPath": "$$.Execution", "End": True}}}, type="EXPRESS"
    )
    counts = []
    for synchronous in (True, False):
        command = StartExecution(execution_id="m:x", input={}, synchronous=synchronous)
        started = first_event(workflow, command, now=EPOCH, seed=ZERO, cause=NO_CAUSE)
        assert isinstance(started, ExecutionStarted)
        outcome = resume(begin(workflow, started))
        assert isinstance(outcome, Succeeded)
        assert isinstance(outcome.output, dict)
        counts.append("RedriveCount" in outcome.output)
    assert counts == [False, True]
