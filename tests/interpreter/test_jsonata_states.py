"""States of the query language JSONata: which field is evaluated when, with what, and what a failure leads to.

Source: Developer Guide, "Transforming data with JSONata in Step Functions", and the recordings named.
"""

from __future__ import annotations

from typing import Any

import pytest

from processor import (
    EvaluationFailed,
    ExecutionFailed,
    MapFailed,
    MapIterationAborted,
    MapIterationStarted,
    MapStarted,
    ParallelStarted,
    RetryScheduled,
    StateAborted,
    StateEntered,
    StateExited,
    TaskScheduled,
    TaskSucceeded,
    WaitStarted,
    parse,
)
from processor.errors import InvalidDefinition
from tests.interpreter.scenario import Run, begun, machine, scope_of, told


def jsonata(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return machine(next(iter(states)), states, QueryLanguage="JSONata", **fields)


def lone(state: dict[str, Any]) -> dict[str, Any]:
    return jsonata({"A": {"End": True, **state} if state["Type"] not in ("Choice", "Succeed", "Fail") else state})


def asking(**fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "a", **fields}


def failure(
    field: str, text: str, rest: str, *, state: str = "A", id: int = 2, at: str | None = None
) -> dict[str, Any]:
    cause = (
        f"An error occurred while executing the state '{state}' (entered at the event id #{id}). "
        f"The JSONata expression '{text}' specified for the field '{field}' {rest}"
    )
    return {"error": "States.QueryEvaluationError", "cause": cause, "location": at or field}


# ---- the way of a payload


def test_without_output_a_state_hands_on_its_input_or_its_result() -> None:
    run = Run(jsonata({"P": {"Type": "Pass", "Next": "A"}, "A": asking(End=True)}), {"n": 1})
    assert begun(run) == run.built(
        (StateEntered, (), "P", {"type": "Pass"}),
        (StateExited, (), "P", {"output_of": "INPUT", "next": "A"}),
        (StateEntered, (), "A", {"type": "Task"}),
        (TaskScheduled, (), "A", {"kind": "LAMBDA", "resource": "a", "arguments": {"n": 1}}),
    )
    assert run.complete("A", [1])[:2] == run.built(
        (TaskSucceeded, (), "A", {"output": [1]}), (StateExited, (), "A", {"output_of": "RESULT"})
    )


def test_an_output_that_hands_on_input_or_result_is_not_written_again() -> None:
    states = {
        "A": asking(Output="{% $states.input %}", Next="B"),
        "B": asking(Output="{% $states.result %}", End=True),
    }
    run = Run(jsonata(states), {"n": 1})
    run.complete("A", 5)
    run.complete("B", 6)
    assert [event.output_of for event in run.events if isinstance(event, StateExited)] == ["INPUT", "RESULT"]
    assert run.execution.output == 6


def test_output_and_assign_read_input_result_context_and_the_old_variables() -> None:
    states = {
        "S": {"Type": "Pass", "Assign": {"x": 1}, "Next": "A"},
        "A": asking(
            Arguments={"n": "{% $states.input.n + $x %}"},
            Assign={"x": "{% $states.result %}", "old": "{% $x %}"},
            Output={
                "sum": "{% $states.result + $x %}",
                "name": "{% $states.context.State.Name %}",
                "kept": ["{% 1 %}", 2],
            },
            End=True,
        ),
    }
    run = Run(jsonata(states), {"n": 1})
    assert run.task("A").arguments == {"n": 2}
    run.complete("A", 10)
    assert run.execution.output == {"sum": 11, "name": "A", "kept": [1, 2]}
    exit = [event for event in run.events if isinstance(event, StateExited)][-1]
    assert exit.assigned == {"x": 10, "old": 1}


def test_a_catch_reads_the_error_output_and_gives_it_on_where_it_has_no_output() -> None:
    """Recorded: test_catch_error_variable_sampling, test_task_catch_error_output."""
    plain = {"ErrorEquals": ["States.ALL"], "Next": "B"}
    shaped = plain | {
        "Output": {"of": "{% $states.input %}", "error": "{% $states.errorOutput.Error %}"},
        "Assign": {"cause": "{% $states.errorOutput.Cause %}"},
    }
    outputs = []
    for catcher in (plain, shaped):
        run = Run(jsonata({"A": asking(Catch=[catcher], End=True), "B": {"Type": "Pass", "End": True}}), {"n": 1})
        run.fail("A", "Boom", "why")
        outputs.append((run.execution.output, next(e.assigned for e in run.events if isinstance(e, StateExited))))
    assert outputs == [
        ({"Error": "Boom", "Cause": "why"}, None),
        ({"of": {"n": 1}, "error": "Boom"}, {"cause": "why"}),
    ]


def test_a_choice_takes_the_first_condition_that_is_true_with_its_output_and_variables() -> None:
    rules = [
        {
            "Condition": "{% $states.input.n = 1 %}",
            "Next": "E",
            "Output": "one",
            "Assign": {"v": "{% $states.input.n %}"},
        },
        {"Condition": True, "Next": "E", "Output": {"n": "{% $states.input.n %}"}},
    ]
    choice = {"Type": "Choice", "Choices": rules, "Default": "E", "Output": "default"}
    end = {"Type": "Succeed", "Output": {"got": "{% $states.input %}"}}
    assert Run(jsonata({"C": choice, "E": end}), {"n": 1}).execution.output == {"got": "one"}
    assert Run(jsonata({"C": choice, "E": end}), {"n": 2}).execution.output == {"got": {"n": 2}}
    never = choice | {"Choices": [{"Condition": False, "Next": "E"}]}
    assert Run(jsonata({"C": never, "E": end}), {"n": 2}).execution.output == {"got": "default"}


def test_a_fail_computes_its_error_and_cause() -> None:
    run = Run(
        lone({"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'n: ' & $states.input.n %}"}),
        {"e": "X", "n": 1},
    )
    assert (run.execution.error, run.execution.cause) == ("X", "n: 1")


def test_a_wait_computes_its_seconds_or_its_timestamp() -> None:
    run = Run(
        lone({"Type": "Wait", "Seconds": "{% $states.input.s * 2 %}", "Output": "{% $states.input.s %}"}), {"s": 5}
    )
    assert [event.due for event in run.events if isinstance(event, WaitStarted)] == [10_000]
    run.fire("wait", "A")
    assert run.execution.output == 5
    run = Run(lone({"Type": "Wait", "Timestamp": "{% $states.input %}"}), "1970-01-01T00:01:00Z")
    assert [event.due for event in run.events if isinstance(event, WaitStarted)] == [60_000]


def test_a_parallel_gives_its_arguments_to_the_branches() -> None:
    branch = {"StartAt": "B", "States": {"B": {"Type": "Pass", "Output": "{% $states.input.x + $v %}", "End": True}}}
    states = {
        "S": {"Type": "Pass", "Assign": {"v": 10}, "Next": "P"},
        "P": {
            "Type": "Parallel",
            "Arguments": {"x": "{% $states.input %}"},
            "Branches": [branch],
            "Output": {"sum": "{% $sum($states.result) %}"},
            "End": True,
        },
    }
    run = Run(jsonata(states), 1)
    assert [event.input for event in run.events if isinstance(event, ParallelStarted)] == [{"x": 1}]
    assert run.execution.output == {"sum": 11}


def test_a_map_computes_its_items_and_selects_of_each() -> None:
    """Recorded: test_map_state_item_selector[MAP_STATE_ITEM_SELECTOR_JSONATA]."""
    each = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
    state = {
        "Type": "Map",
        "Items": "{% $states.input.rows[n > 1] %}",
        "ItemSelector": {
            "n": "{% $states.context.Map.Item.Value.n %}",
            "at": "{% $states.context.Map.Item.Index %}",
            "of": "{% $count($states.input.rows) %}",
        },
        "MaxConcurrency": "{% 2 %}",
        "ItemProcessor": each,
    }
    run = Run(lone(state), {"rows": [{"n": 1}, {"n": 2}, {"n": 3}]})
    started = [event for event in run.events if isinstance(event, MapStarted)]
    assert [(event.length, event.max_concurrency) for event in started] == [(2, 2)]
    assert run.execution.output == [{"n": 2, "at": 0, "of": 3}, {"n": 3, "at": 1, "of": 3}]


def test_items_may_be_written_out_with_expressions_in_them() -> None:
    each = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
    state = {"Type": "Map", "Items": [1, "{% $states.input %}", {"x": "{% 2 %}"}], "ItemProcessor": each}
    assert Run(lone(state), "a").execution.output == [1, "a", {"x": 2}]


def test_a_task_computes_its_timeouts_and_its_role() -> None:
    run = Run(
        lone(
            asking(
                TimeoutSeconds="{% $states.input.t %}",
                HeartbeatSeconds="{% $states.input.t - 1 %}",
                Credentials={"RoleArn": "{% 'arn:' & $states.input.t %}"},
            )
        ),
        {"t": 5},
    )
    scheduled = run.task("A")
    assert (scheduled.timeout_seconds, scheduled.heartbeat_seconds, scheduled.role) == (5, 4, "arn:5")
    plain = Run(lone(asking(Credentials={"RoleArn": "arn"}, TimeoutSeconds=9)), {})
    assert (plain.task("A").timeout_seconds, plain.task("A").role) == (9, "arn")


def test_a_state_without_a_query_language_has_the_machines_even_within_one_of_another() -> None:
    each = {"StartAt": "B", "States": {"B": {"Type": "Pass", "Parameters": {"v.$": "$"}, "End": True}}}
    state = {"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% [1] %}", "ItemProcessor": each, "End": True}
    assert Run(scope_of("M", state), {}).execution.output == [{"v": 1}]


# ---- draws


def test_what_is_drawn_depends_on_the_seed_and_the_place_and_not_on_when_it_is_evaluated() -> None:
    state = asking(Arguments=["{% $random() %}", "{% $uuid() %}", "{% $uuid() %}"], Output="{% $uuid() %}")
    first, again = Run(lone(state), {}, seed=b"s" * 16), Run(lone(state), {}, seed=b"s" * 16, now=5_000)
    other = Run(lone(state), {}, seed=b"t" * 16)
    assert first.task("A").arguments == again.task("A").arguments != other.task("A").arguments
    for run in (first, again):
        run.complete("A", 0)
    drawn = [*first.task("A").arguments, first.execution.output]  # type: ignore[misc]  # a list, as it was written
    assert first.execution.output == again.execution.output
    assert len({str(value) for value in drawn}) == 4


def test_the_time_of_an_expression_is_that_of_its_event() -> None:
    assert Run(lone({"Type": "Pass", "Output": "{% $millis() %}"}), {}, now=1234).execution.output == 1234


# ---- failures


def test_a_failed_evaluation_is_told_by_an_event_of_its_own() -> None:
    """Recorded: test_undefined_reference[BASE_UNDEFINED_OUTPUT], …ASSIGN."""
    run = Run(lone({"Type": "Pass", "Output": {"r": "{% $nothing %}"}}), {})
    failed = failure("Output/r", "$nothing", "returned nothing (undefined).")
    assert (
        begun(run)[1:]
        == run.built(
            (StateEntered, (), "A", {"type": "Pass"}),
            (EvaluationFailed, (), "A", failed),
            (ExecutionFailed, (), "", {"error": failed["error"], "cause": failed["cause"]}),
        )[1:]
    )


@pytest.mark.parametrize(
    ("state", "field", "text", "rest"),
    [
        ({"Type": "Pass", "Assign": {"x": "{% $no %}"}}, "Assign/x", "$no", "returned nothing (undefined)."),
        (asking(Arguments={"a": ["{% $no %}"]}), "Arguments/a[0]", "$no", "returned nothing (undefined)."),
        (
            asking(TimeoutSeconds="{% 'x' %}"),
            "TimeoutSeconds",
            "'x'",
            "returned an unexpected result type. Expected 'number', but was 'string' for value: \"x\"",
        ),
        (
            {"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "A"}], "Default": "A"},
            "Choices[0]/Condition",
            "1",
            "returned an unexpected result type. Expected 'boolean', but was 'number' for value: 1",
        ),
        (
            {"Type": "Fail", "Error": "{% 1 %}"},
            "Error",
            "1",
            "returned an unexpected result type. Expected 'string', but was 'number' for value: 1",
        ),
        (
            asking(Credentials={"RoleArn": "{% 1 %}"}),
            "Credentials/RoleArn",
            "1",
            "returned an unexpected result type. Expected 'string', but was 'number' for value: 1",
        ),
    ],
)
def test_a_failure_names_its_field(state: dict[str, Any], field: str, text: str, rest: str) -> None:
    definition = lone(state)
    if state["Type"] == "Choice":
        definition["States"]["End"] = {"Type": "Succeed"}
        definition["States"]["A"]["Default"] = "End"
    run = Run(definition, {})
    failed = [event for event in run.events if isinstance(event, EvaluationFailed)]
    assert [{"error": e.error, "cause": e.cause, "location": e.location} for e in failed] == [
        failure(field, text, rest)
    ]
    assert run.execution.cause == failed[0].cause


@pytest.mark.parametrize(
    ("state", "location", "tail"),
    [
        (asking(TimeoutSeconds="{% 0 %}"), "TimeoutSeconds", "must be an integer between 1 and 99999999 but was: 0"),
        (
            asking(TimeoutSeconds="{% 1.5 %}"),
            "TimeoutSeconds",
            "must be an integer between 1 and 99999999 but was: 1.5",
        ),
        ({"Type": "Wait", "Seconds": "{% -1 %}"}, "Seconds", "must be an integer at least 0 but was: -1"),
        (
            {"Type": "Wait", "Timestamp": "{% '2016-12-05T21:29:29' %}"},
            "Timestamp",
            "cannot be parsed as an ISO-8601 extended offset date-time format string: 2016-12-05T21:29:29",
        ),
    ],
)
def test_a_value_out_of_range_fails_by_the_name_of_the_field(state: dict[str, Any], location: str, tail: str) -> None:
    """Recorded for Timestamp; the others say the same of their field."""
    run = Run(lone(state), {})
    failed = [event for event in run.events if isinstance(event, EvaluationFailed)]
    opening = "An error occurred while executing the state 'A' (entered at the event id #2). "
    assert [(e.cause, e.location) for e in failed] == [(f"{opening}The {location} field {tail}", location)]


def test_a_map_whose_input_is_no_array_fails_without_naming_a_place() -> None:
    """Recorded: test_map_state_items_input_types[string]."""
    each = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
    run = Run(lone({"Type": "Map", "ItemProcessor": each}), "string")
    cause = (
        "An error occurred while executing the state 'A' (entered at the event id #2). "
        'Map state input must be an array but was: "string"'
    )
    told = {"error": "States.QueryEvaluationError", "cause": cause}
    assert (
        begun(run)[1:]
        == run.built(
            (StateEntered, (), "A", {"type": "Map"}),
            (EvaluationFailed, (), "A", told),
            (MapFailed, (), "A", told),
            (ExecutionFailed, (), "", told),
        )[1:]
    )


def test_a_failed_evaluation_can_be_retried_and_caught() -> None:
    state = asking(
        Arguments="{% $states.context.State.RetryCount = 0 ? $no : 'again' %}",
        Retry=[{"ErrorEquals": ["States.QueryEvaluationError"]}],
        Output="{% $no %}",
        Catch=[{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput.Error %}", "Next": "B"}],
    )
    run = Run(jsonata({"A": state | {"End": True}, "B": {"Type": "Pass", "End": True}}), {})
    assert told(run.events)[-2:] == [("EvaluationFailed", (), "A"), ("RetryScheduled", (), "A")]
    run.fire("retry", "A")
    assert run.task("A").arguments == "again"
    given = run.complete("A", 1)
    assert told(given)[:3] == [("TaskSucceeded", (), "A"), ("EvaluationFailed", (), "A"), ("RetryScheduled", (), "A")]
    run.fire("retry", "A")
    assert run.complete("A", 1)[-1].__class__.__name__ == "RetryScheduled"
    run.fire("retry", "A")
    run.complete("A", 1)
    assert run.execution.output == "States.QueryEvaluationError"
    assert sum(isinstance(event, RetryScheduled) for event in run.events) == 3


def test_what_fails_in_a_catch_is_not_caught_again() -> None:
    catch = {"ErrorEquals": ["States.ALL"], "Output": "{% $no %}", "Next": "B"}
    run = Run(jsonata({"A": asking(Catch=[catch], End=True), "B": {"Type": "Pass", "End": True}}), {})
    failed = failure("Catch[0]/Output", "$no", "returned nothing (undefined).")
    assert (
        run.fail("A", "Boom")[1:]
        == run.built(
            (TaskSucceeded, (), "A", {"output": 0}),
            (EvaluationFailed, (), "A", failed),
            (ExecutionFailed, (), "", {"error": failed["error"], "cause": failed["cause"]}),
        )[1:]
    )


def test_a_wait_whose_output_fails_is_told_when_it_ends() -> None:
    run = Run(lone({"Type": "Wait", "Seconds": 1, "Output": "{% $no %}"}), {})
    failed = failure("Output", "$no", "returned nothing (undefined).")
    assert run.fire("wait", "A") == run.built(
        (EvaluationFailed, (), "A", failed),
        (ExecutionFailed, (), "", {"error": failed["error"], "cause": failed["cause"]}),
    )


def test_a_selector_that_fails_cuts_the_iterations_that_run() -> None:
    each = {"StartAt": "B", "States": {"B": asking(End=True)}}
    state = {
        "Type": "Map",
        "MaxConcurrency": 2,
        "ItemSelector": "{% $states.context.Map.Item.Index < 2 ? 1 : $no %}",
        "ItemProcessor": each,
    }
    run = Run(lone(state), [1, 2, 3])
    given = run.complete("B", 0, scope=(1,))
    assert told(given) == [
        ("TaskSucceeded", (1,), "B"),
        ("StateExited", (1,), "B"),
        ("MapIterationSucceeded", (1,), "A"),
        ("EvaluationFailed", (), "A"),
        ("MapIterationAborted", (0,), "A"),
        ("StateAborted", (0,), "B"),
        ("MapFailed", (), "A"),
        ("ExecutionFailed", (), ""),
    ]
    assert {type(event) for event in given} >= {MapIterationAborted, StateAborted}
    assert not isinstance(given[0], MapIterationStarted)


# ---- definitions


@pytest.mark.parametrize(
    ("state", "faults"),
    [
        ({"Type": "Pass", "Output": "{% 1 + %}"}, ["/States/A/Output"]),
        ({"Type": "Pass", "Output": {"x": ["{% ( %}"]}}, ["/States/A/Output/x/0"]),
        ({"Type": "Pass", "Output": "{% $eval('1') %}"}, []),
        ({"Type": "Pass", "Output": "{% input.x %}"}, ["/States/A/Output"]),
        ({"Type": "Pass", "Parameters": {}}, ["/States/A"]),
        ({"Type": "Pass", "Assign": 5}, ["/States/A/Assign"]),
        (asking(TimeoutSeconds="5"), ["/States/A/TimeoutSeconds"]),
        (asking(TimeoutSeconds=True, HeartbeatSeconds=[]), ["/States/A/TimeoutSeconds", "/States/A/HeartbeatSeconds"]),
        (asking(TimeoutSeconds=0), ["/States/A/TimeoutSeconds"]),
        (asking(TimeoutSeconds=5, HeartbeatSeconds=5), ["/States/A/HeartbeatSeconds"]),
        (asking(Credentials={}), ["/States/A/Credentials"]),
        (asking(Credentials={"RoleArn": 5}), ["/States/A/Credentials/RoleArn"]),
        ({"Type": "Wait"}, ["/States/A"]),
        ({"Type": "Wait", "Seconds": 1, "Timestamp": "2020-01-01T00:00:00Z"}, ["/States/A"]),
        ({"Type": "Wait", "Timestamp": "x"}, ["/States/A/Timestamp"]),
        ({"Type": "Wait", "Timestamp": 5}, ["/States/A/Timestamp"]),
        ({"Type": "Fail", "Error": 5}, ["/States/A/Error"]),
        ({"Type": "Map"}, ["/States/A"]),
        ({"Type": "Map", "Items": 5, "ItemProcessor": scope_of("B", {"Type": "Succeed"})}, ["/States/A/Items"]),
        ({"Type": "Map", "Items": "x", "ItemProcessor": scope_of("B", {"Type": "Succeed"})}, ["/States/A/Items"]),
        ({"Type": "Choice", "Choices": [5, {}]}, ["/States/A/Choices/0", "/States/A/Choices/1", "/States/A/Choices/1"]),
        (
            {
                "Type": "Choice",
                "Choices": [{"Condition": "x", "Next": "A", "Variable": "$"}, {"Condition": 1, "Next": "A"}],
            },
            ["/States/A/Choices/0", "/States/A/Choices/0/Condition", "/States/A/Choices/1/Condition"],
        ),
    ],
)
def test_faults_of_a_jsonata_state_are_reported_by_their_place(state: dict[str, Any], faults: list[str]) -> None:
    definition = lone(state)
    try:
        parse(definition)
        found = []
    except InvalidDefinition as invalid:
        found = [d.pointer for d in invalid.diagnostics if d.code != "MISSING_END_STATE"]
    assert found == faults


def test_an_event_tells_no_more_of_a_place_than_fits_a_record() -> None:
    run = Run(lone({"Type": "Pass", "Output": {"k" * 1_030_000: "{% $states.input.a.$number('x') %}"}}), {"a": "b"})
    [failed] = [event for event in run.events if isinstance(event, EvaluationFailed)]
    assert failed.location == "Output/" + "k" * 993
    assert run.execution.error == "States.QueryEvaluationError"


def test_a_role_has_the_length_of_a_role() -> None:
    """IAM API reference, Role: an Arn has at most 2,048 characters."""
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}}
    ended = {}
    for length in (2_048, 2_049):
        role = "{% $pad('r', " + str(length) + ", 'r') %}"
        run = Run(lone({**task, "Credentials": {"RoleArn": role}}), {})
        ended[length] = run.execution.status, run.execution.error
    assert ended == {2_048: ("RUNNING", None), 2_049: ("FAILED", "States.Runtime")}
