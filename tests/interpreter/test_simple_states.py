"""Pass, Succeed, Fail, Choice and Wait: their events, whole."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from processor import (
    ExecutionFailed,
    ExecutionSucceeded,
    StateEntered,
    StateExited,
    WaitStarted,
    recover,
    resume,
)
from tests.interpreter.scenario import RUNS, Run, begun, machine, scope_of

TOO_LARGE = "The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit."


def failed(kind: str, cause: str, error: str = "States.Runtime") -> tuple[Any, ...]:
    """Rows of an execution whose first state fails at once."""
    said = f"An error occurred while executing the state 'A' (entered at the event id #2). {cause}"
    return (StateEntered, (), "A", {"type": kind}), (ExecutionFailed, (), "", {"error": error, "cause": said})


@pytest.mark.parametrize(
    ("fields", "input", "output_of", "output"),
    [
        ({}, {"n": 1}, "INPUT", {"n": 1}),
        ({"Result": [1]}, {"n": 1}, "VALUE", [1]),
        ({"Result": None}, {"n": 1}, "VALUE", None),
        ({"ResultPath": None, "Result": 5}, {"n": 1}, "INPUT", {"n": 1}),
        ({"ResultPath": "$.r", "Result": 5}, {"n": 1}, "VALUE", {"n": 1, "r": 5}),
        ({"InputPath": "$.a"}, {"a": {"b": 1}}, "VALUE", {"b": 1}),
        ({"InputPath": "$.a", "ResultPath": "$.c"}, {"a": {"b": 1}}, "VALUE", {"a": {"b": 1}, "c": {"b": 1}}),
        ({"Parameters": {"x.$": "$.a"}}, {"a": 2}, "VALUE", {"x": 2}),
        ({"OutputPath": "$.a"}, {"a": 2}, "VALUE", 2),
        ({"OutputPath": None}, {"a": 2}, "VALUE", {}),
        ({"InputPath": None}, {"a": 2}, "VALUE", {}),
    ],
)
def test_pass(fields: dict[str, Any], input: Any, output_of: str, output: Any) -> None:
    run = Run(scope_of("A", {"Type": "Pass", "End": True, **fields}), input)
    written = {"output": output} if output_of == "VALUE" else {}
    assert begun(run) == run.built(
        (StateEntered, (), "A", {"type": "Pass"}),
        (StateExited, (), "A", {"output_of": output_of, **written}),
        (ExecutionSucceeded, (), "", {"output": output}),
    )
    assert run.execution.output == output


def test_states_follow_each_other() -> None:
    states = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}
    run = Run(machine("A", states), {"n": 1})
    assert begun(run) == run.built(
        (StateEntered, (), "A", {"type": "Pass"}),
        (StateExited, (), "A", {"output_of": "INPUT", "next": "B"}),
        (StateEntered, (), "B", {"type": "Succeed"}),
        (StateExited, (), "B", {"output_of": "INPUT"}),
        (ExecutionSucceeded, (), "", {"output": {"n": 1}}),
    )


def test_succeed_applies_its_paths() -> None:
    run = Run(scope_of("A", {"Type": "Succeed", "InputPath": "$.a", "OutputPath": "$.b"}), {"a": {"b": 3}})
    assert run.execution.output == 3


def test_a_value_that_was_larger_than_a_state_may_hold_fails_the_execution() -> None:
    run = Run(scope_of("A", {"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}, "End": True}), "x" * 140_000)
    assert begun(run) == run.built(
        (StateEntered, (), "A", {"type": "Pass"}),
        (ExecutionFailed, (), "", {"error": "States.DataLimitExceeded", "cause": TOO_LARGE}),
    )


SHARED = {f"a{number}.$": "$" for number in range(400)}


@pytest.mark.parametrize(
    "fields",
    [
        {"Parameters": SHARED},
        {"Parameters": {"deeper": [SHARED]}},
        {"InputPath": "$[" + "0," * 400 + "0]"},
        {"InputPath": "$[" + "0," * 400 + "0]", "Parameters": {"a.$": "$.not-there"}},
    ],
)
def test_a_value_is_not_written_out_to_learn_that_it_is_too_large(fields: dict[str, Any]) -> None:
    """A short definition can name its input any number of times; what that is in bytes is never held in memory."""
    run = Run(scope_of("A", {"Type": "Pass", **fields, "End": True}), ["x" * 250_000])
    assert run.status == "FAILED"
    RUNS.clear()
    entered = recover(run.workflow, run.events[:2]).execution
    assert entered is not None
    tracemalloc.start()
    again = resume(entered)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert again.events == run.events[2:]
    assert peak < 2_000_000


def test_an_output_larger_than_a_state_may_have_fails_the_execution() -> None:
    state = {"Type": "Pass", "Result": "x" * 140_000, "ResultPath": "$.r", "End": True}
    run = Run(scope_of("A", state), {"a": "x" * 140_000})
    assert begun(run) == run.built(
        (StateEntered, (), "A", {"type": "Pass"}),
        (ExecutionFailed, (), "", {"error": "States.DataLimitExceeded", "cause": TOO_LARGE}),
    )


def test_a_path_that_is_not_there_fails_the_execution_at_once() -> None:
    run = Run(scope_of("A", {"Type": "Pass", "InputPath": "$.no", "End": True}), {})
    assert begun(run) == run.built(*failed("Pass", "Invalid path '$.no' : No results for path: $['no']"))


def test_a_result_path_that_does_not_fit_the_input_fails_the_execution() -> None:
    run = Run(scope_of("A", {"Type": "Pass", "ResultPath": "$.a.b", "End": True}), {"a": 1})
    cause = 'Unable to apply ReferencePath $.a.b to input {"a":1}'
    assert begun(run) == run.built(*failed("Pass", cause, "States.ResultPathMatchFailure"))


# ---- Fail


@pytest.mark.parametrize(
    ("fields", "error", "cause"),
    [
        ({}, None, None),
        ({"Error": "E", "Cause": "C"}, "E", "C"),
        ({"Cause": "C"}, None, "C"),
        ({"ErrorPath": "$.e", "CausePath": "$$.State.Name"}, "of the input", "A"),
    ],
)
def test_fail(fields: dict[str, Any], error: str | None, cause: str | None) -> None:
    run = Run(scope_of("A", {"Type": "Fail", **fields}), {"e": "of the input"})
    assert begun(run) == run.built(
        (StateEntered, (), "A", {"type": "Fail"}), (ExecutionFailed, (), "", {"error": error, "cause": cause})
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"ErrorPath": "$.e", "CausePath": "$.c"},
        {"QueryLanguage": "JSONata", "Error": "{% $states.input.e %}", "Cause": "{% $states.input.c %}"},
        {"Error": "e" * 300, "Cause": "c" * 40_000},
    ],
)
def test_fail_is_cut_to_what_an_event_of_aws_holds(fields: dict[str, Any]) -> None:
    run = Run(scope_of("A", {"Type": "Fail", **fields}), {"e": "e" * 300, "c": "c" * 40_000})
    cut = {"error": "e" * 256, "cause": "c" * 32_768}
    assert begun(run) == run.built((StateEntered, (), "A", {"type": "Fail"}), (ExecutionFailed, (), "", cut))


def test_a_cause_that_quotes_a_large_input_is_cut() -> None:
    run = Run(scope_of("A", {"Type": "Fail", "ErrorPath": "$.no"}), {"n": "x" * 40_000})
    where = "An error occurred while executing the state 'A' (entered at the event id #2). "
    why = "The JSONPath '$.no' specified for the field 'ErrorPath' could not be found in the input '{\"n\":\""
    cause = f"{where}{why}{'x' * 40_000}"[:32_768]
    assert run.execution.cause == cause


def test_fail_with_a_path_that_is_not_there() -> None:
    run = Run(scope_of("A", {"Type": "Fail", "ErrorPath": "$.no"}), {})
    cause = "The JSONPath '$.no' specified for the field 'ErrorPath' could not be found in the input '{}'"
    assert begun(run) == run.built(*failed("Fail", cause))


# ---- Choice

CHOICE: dict[str, Any] = {
    "Type": "Choice",
    "Choices": [
        {"Variable": "$.n", "NumericGreaterThan": 10, "Next": "Many"},
        {"And": [{"Variable": "$.n", "NumericEquals": 1}, {"Variable": "$$.env", "IsPresent": False}], "Next": "One"},
    ],
    "Default": "Some",
}
ENDS: dict[str, Any] = {name: {"Type": "Succeed"} for name in ("Many", "One", "Some")}


@pytest.mark.parametrize(("n", "chosen"), [(11, "Many"), (1, "One"), (5, "Some"), ("text", "Some")])
def test_choice_takes_the_first_rule_that_matches(n: object, chosen: str) -> None:
    run = Run(machine("A", {"A": CHOICE, **ENDS}), {"n": n})
    assert begun(run)[:3] == run.built(
        (StateEntered, (), "A", {"type": "Choice"}),
        (StateExited, (), "A", {"output_of": "INPUT", "next": chosen}),
        (StateEntered, (), chosen, {"type": "Succeed"}),
    )


def test_choice_hands_on_what_its_paths_select() -> None:
    choice = {**CHOICE, "InputPath": "$.in", "OutputPath": "$.n"}
    run = Run(machine("A", {"A": choice, **ENDS}), {"in": {"n": 1}})
    assert begun(run)[1:2] == run.built((StateEntered, (), "A", {"type": "Choice"}),
        (StateExited, (), "A", {"output_of": "VALUE", "output": 1, "next": "One"}))[1:]  # fmt: skip


def test_choice_without_a_match_or_a_default_fails_the_execution() -> None:
    choice = {**CHOICE}
    del choice["Default"]
    ends = {"Many": ENDS["Many"], "One": ENDS["One"]}
    run = Run(machine("A", {"A": choice, **ends}), {"n": 5})
    cause = "Failed to transition out of the state. The state does not point to a next state."
    assert begun(run) == run.built(*failed("Choice", cause))


def test_choice_on_a_variable_that_is_not_there_fails_the_execution() -> None:
    run = Run(machine("A", {"A": CHOICE, **ENDS}), {})
    cause = "Invalid path '$.n': The choice state's condition path references an invalid value."
    assert begun(run) == run.built(*failed("Choice", cause))


# ---- Wait

NOW = 1_000_000


@pytest.mark.parametrize(
    ("fields", "input", "due"),
    [
        ({"Seconds": 10}, {}, NOW + 10_000),
        ({"Seconds": 0}, {}, NOW),
        ({"SecondsPath": "$.s"}, {"s": 3}, NOW + 3_000),
        ({"SecondsPath": "$.s", "InputPath": "$.in"}, {"in": {"s": 3}}, NOW + 3_000),
        ({"Timestamp": "1970-01-01T00:20:00Z"}, {}, 1_200_000),
        ({"Timestamp": "1970-01-01T01:20:00.5+01:00"}, {}, 1_200_500),
        ({"Timestamp": "1970-01-01T00:00:00Z"}, {}, NOW),
        ({"TimestampPath": "$.t"}, {"t": "1970-01-01T00:20:00Z"}, 1_200_000),
        ({"SecondsPath": "$.s"}, {"s": 2**31 - 1}, NOW + (2**31 - 1) * 1000),
    ],
)
def test_wait_rests_until_its_timer_fires(fields: dict[str, Any], input: Any, due: int) -> None:
    run = Run(scope_of("A", {"Type": "Wait", "End": True, **fields}), input, now=NOW)
    assert begun(run) == run.built((StateEntered, (), "A", {"type": "Wait"}), (WaitStarted, (), "A", {"due": due}))
    output = input["in"] if "InputPath" in fields else input
    written = {"output_of": "VALUE", "output": output} if "InputPath" in fields else {"output_of": "INPUT"}
    assert run.fire("wait", "A") == run.built(
        (StateExited, (), "A", written), (ExecutionSucceeded, (), "", {"output": output})
    )
    assert run.execution.time == due


@pytest.mark.parametrize(
    ("fields", "input", "cause"),
    [
        ({"SecondsPath": "$.s"}, {"s": "3"}, "The SecondsPath parameter cannot be parsed as a long value: $.s == 3"),
        ({"SecondsPath": "$.s"}, {"s": -1}, "The SecondsPath parameter references a negative value: $.s == -1"),
        ({"SecondsPath": "$.s"}, {}, "The SecondsPath parameter does not reference an input value: $.s"),
        ({"SecondsPath": "$.s"}, {"s": 2**31}, "Wait state delay is too long."),
        (
            {"TimestampPath": "$.t"},
            {"t": "yesterday"},
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            "$.t == yesterday",
        ),
        ({"TimestampPath": "$.t"}, {"t": "9999-01-01T00:00:00Z"}, "Wait state delay is too long."),
    ],
)
def test_wait_for_what_is_no_time_fails_the_execution(fields: dict[str, Any], input: Any, cause: str) -> None:
    run = Run(scope_of("A", {"Type": "Wait", "End": True, **fields}), input, now=NOW)
    assert begun(run) == run.built(*failed("Wait", cause))


def test_a_wait_whose_output_fails_ends_the_execution_when_its_timer_fires() -> None:
    run = Run(scope_of("A", {"Type": "Wait", "Seconds": 1, "OutputPath": "$.no", "End": True}), {})
    cause = "Invalid path '$.no' : No results for path: $['no']"
    assert run.fire("wait", "A") == run.built(failed("Wait", cause)[1])


def test_a_wait_fired_early_ends_all_the_same() -> None:
    """FireTimer applies by the timer's id, whatever the clock says (design, "Time")."""
    run = Run(scope_of("A", {"Type": "Wait", "Seconds": 10, "End": True}), {})
    run.fire("wait", "A", now=1)
    assert (run.status, run.execution.time) == ("SUCCEEDED", 1)


def test_a_wait_set_before_the_present_does_not_turn_time_back() -> None:
    run = Run(scope_of("A", {"Type": "Wait", "Seconds": 10, "End": True}), {}, now=NOW)
    run.fire("wait", "A", now=5)
    assert run.execution.time == NOW


def test_a_wait_whose_input_path_finds_nothing_fails_at_once() -> None:
    run = Run(scope_of("A", {"Type": "Wait", "Seconds": 1, "InputPath": "$.no", "End": True}), {})
    assert begun(run) == run.built(*failed("Wait", "Invalid path '$.no' : No results for path: $['no']"))


def test_an_output_nested_deeper_than_can_be_written_fails_the_execution() -> None:
    deep: Any = 0
    for _ in range(120):
        deep = [deep]
    path = "".join(f".a{n}" for n in range(70))
    states: dict[str, Any] = {
        "A": {"Type": "Pass", "ResultPath": f"${path}", "Next": "B"},
        "B": {"Type": "Pass", "ResultPath": f"${path}{path}", "End": True},
    }
    run = Run(machine("A", states), {"deep": deep})
    assert (run.status, run.execution.error) == ("FAILED", "States.Runtime")
    assert str(run.execution.cause).endswith("The value is nested too deeply.")


def test_two_fields_of_a_state_draw_different_random_values() -> None:
    run = Run(scope_of("F", {"Type": "Fail", "ErrorPath": "States.UUID()", "CausePath": "States.UUID()"}), {})
    error, cause = run.execution.error, run.execution.cause
    assert (error is None, cause is None, error == cause) == (False, False, False)
