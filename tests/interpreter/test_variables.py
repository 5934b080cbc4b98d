"""Workflow variables: Assign in both query languages, what reads them, scopes, the order of evaluation, limits.

Source: Developer Guide, "Passing data between states with variables", and the recordings named.
"""

from __future__ import annotations

from typing import Any

import pytest

from processor import EvaluationFailed, Failed, StateExited, parse, start
from processor.interpreter.evolve import evolve
from processor.interpreter.paths_syntax import PathFault, is_variable_name, parse_path
from processor.interpreter.turn import MAX_PAYLOAD_BYTES, MAX_VARIABLES_BYTES
from processor.model.json import Json
from tests.interpreter.scenario import Run, machine, scope_of, task


def assigned(run: Run) -> list[tuple[str, Any]]:
    """Return what each exit assigned, where it assigned anything."""
    exits = [event for event in run.events if isinstance(event, StateExited)]
    return [(event.state, event.assigned) for event in exits if event.assigned is not None]


def passing(next: str | None = None, **fields: Any) -> dict[str, Any]:
    leads: dict[str, Any] = {"End": True} if next is None else {"Next": next}
    return {"Type": "Pass", **leads, **fields}


# ---- what Assign reads


def test_assign_of_a_pass_reads_its_result_and_the_variables_as_they_were() -> None:
    """Recorded: test_state_assign_evaluation_order[BASE_EVALUATION_ORDER_PASS_STATE], where OutputPath too reads the
    old value."""
    run = Run(
        machine(
            "A",
            {
                "A": passing("B", Result={"q": "?"}, Assign={"question.$": "$.q", "answer": 42}),
                "B": passing(OutputPath="$answer", Assign={"answer": "new", "old.$": "$answer"}),
            },
        ),
        {},
    )
    assert run.status == "SUCCEEDED"
    assert run.execution.output == 42
    assert assigned(run) == [("A", {"question": "?", "answer": 42}), ("B", {"answer": "new", "old": 42})]


def test_assign_of_a_task_reads_the_result_before_result_selector() -> None:
    state = task("A", Assign={"whole.$": "$", "input.$": "$$.Execution.Input"}, ResultSelector={"x.$": "$.x"})
    run = Run(scope_of("A", state), {"n": 1})
    run.complete("A", {"x": 1, "y": 2})
    assert run.execution.output == {"x": 1}
    assert assigned(run) == [("A", {"whole": {"x": 1, "y": 2}, "input": {"n": 1}})]


def test_assign_of_a_catch_reads_the_error_output_and_that_of_the_state_is_left_out() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Assign": {"error.$": "$.Error"}, "ResultPath": None, "Next": "B"}]
    run = Run(
        machine("A", {"A": task("A", Assign={"result.$": "$"}, Catch=catch), "B": passing(OutputPath="$error")}), {}
    )
    run.fail("A", "Boom", "why")
    assert run.execution.output == "Boom"
    assert assigned(run) == [("A", {"error": "Boom"})]


def test_a_choice_assigns_by_the_rule_that_matched_or_by_its_default() -> None:
    """Recorded: test_assign_in_choice_state."""
    definition = machine(
        "C",
        {
            "C": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Assign": {"status": "ONE"}, "Next": "E"}],
                "Assign": {"status": "OTHER", "guess.$": "$.n"},
                "Default": "E",
            },
            "E": passing(OutputPath="$status"),
        },
    )
    one, other = Run(definition, {"n": 1}), Run(definition, {"n": 2})
    assert (one.execution.output, assigned(one)) == ("ONE", [("C", {"status": "ONE"})])
    assert (other.execution.output, assigned(other)) == ("OTHER", [("C", {"status": "OTHER", "guess": 2})])


def test_a_wait_assigns_when_it_ends() -> None:
    run = Run(scope_of("W", {"Type": "Wait", "Seconds": 5, "Assign": {"n.$": "$.n"}, "End": True}), {"n": 1})
    assert assigned(run) == []
    run.fire("wait", "W")
    assert assigned(run) == [("W", {"n": 1})]


@pytest.mark.parametrize(
    ("state", "field"),
    [
        (passing(InputPath="$v.a"), "output"),
        (passing(Parameters={"x.$": "$v.a", "y.$": "States.Array($v.a)"}), "output"),
        (passing(OutputPath="$v.a"), "output"),
        ({"Type": "Fail", "ErrorPath": "$v.a", "CausePath": "$v.a"}, "error"),
    ],
)
def test_every_field_that_takes_a_path_may_read_a_variable(state: dict[str, Any], field: str) -> None:
    run = Run(machine("A", {"A": passing("B", Assign={"v": {"a": "x"}}), "B": state}), {})
    expected = {"x": "x", "y": ["x"]} if "Parameters" in state else "x"
    assert getattr(run.execution, field) == expected


def test_a_task_reads_variables_in_its_timeouts_and_credentials() -> None:
    state = task(
        "B", TimeoutSecondsPath="$t", HeartbeatSecondsPath="$h", Credentials={"RoleArn.$": "$role"}, Parameters={"a": 1}
    )
    run = Run(machine("A", {"A": passing("B", Assign={"t": "300", "h": 10, "role": "r"}), "B": state}), {})
    scheduled = run.task("B")
    assert (scheduled.timeout_seconds, scheduled.heartbeat_seconds, scheduled.role) == (300, 10, "r")


# ---- what is not there


def test_a_path_into_a_variable_that_was_never_assigned_fails_the_state() -> None:
    causes = []
    for path in ("$nothing", "$nothing.x", "$nothing.x[*].y"):
        run = Run(scope_of("A", passing(OutputPath=path)), {})
        assert (run.status, run.execution.error) == ("FAILED", "States.Runtime")
        causes.append(str(run.execution.cause).partition("). ")[2])
    assert causes == [
        "Invalid path '$nothing' : No results for path: $['nothing']",
        "Invalid path '$nothing.x' : Missing property in path $['nothing']",
        "Invalid path '$nothing.x[*].y' : No results for path: $['nothing']",
    ]


def test_a_choice_can_ask_whether_a_variable_is_there() -> None:
    rule = {"Variable": "$maybe.x", "IsPresent": True, "Next": "Yes"}
    states = {"C": {"Type": "Choice", "Choices": [rule], "Default": "No"}, "Yes": passing(), "No": passing(Result=0)}
    assert Run(machine("C", states), {}).execution.output == 0
    before = {"A": passing("C", Assign={"maybe": {"x": None}})}
    assert Run(machine("A", before | states), 1).execution.output == 1


@pytest.mark.parametrize("name", ["x", "_x", "größe", "x1", "变量", "x" * 80])
def test_a_variable_is_named_by_an_identifier(name: str) -> None:
    assert is_variable_name(name)
    assert parse_path(f"${name}.a").variable == name


@pytest.mark.parametrize("name", ["", "1x", "x-y", "states", "x" * 81])
def test_no_other_text_names_a_variable(name: str) -> None:
    assert not is_variable_name(name)


@pytest.mark.parametrize("path", ["$states.input", "$x-y", "$" + "x" * 81])
def test_a_path_that_names_no_variable_is_refused(path: str) -> None:
    with pytest.raises(PathFault):
        parse_path(path)


# ---- scopes


def test_branches_and_iterations_read_outer_variables_and_theirs_are_gone_after_them() -> None:
    """Recorded: test_base_cases[BASE_SCOPE_MAP], test_reference_assign[BASE_REFERENCE_IN_ITERATOR_OUTER_SCOPE]."""
    inner = scope_of("I", passing(Assign={"inner.$": "$outer"}, Parameters={"seen.$": "$outer"}))
    run = Run(
        machine(
            "A",
            {
                "A": passing("M", Assign={"outer": 1}, Result=[0]),
                "M": {"Type": "Map", "ItemProcessor": inner, "Next": "P"},
                "P": {"Type": "Parallel", "Branches": [scope_of("J", passing(OutputPath="$outer"))], "Next": "C"},
                "C": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$inner", "IsPresent": True, "Next": "Leaked"}],
                    "Default": "Kept",
                },
                "Leaked": {"Type": "Fail"},
                "Kept": passing(Parameters={"branches.$": "$", "outer.$": "$outer"}),
            },
        ),
        {},
    )
    assert run.execution.output == {"branches": [1], "outer": 1}
    assert run.execution.variable_bytes == 0  # it has ended


def test_a_variable_assigned_while_branches_run_is_not_seen_by_those_beside() -> None:
    branches = [
        machine("A", {"A": passing("T", Assign={"x": "a"}), "T": task("T", Next="B"), "B": passing(OutputPath="$x")}),
        machine("D", {"D": passing("U", Assign={"x": "d"}), "U": task("U", Next="E"), "E": passing(OutputPath="$x")}),
    ]
    for branch in branches:
        for state in branch["States"].values():
            if "Next" in state:
                state.pop("End", None)
    run = Run(scope_of("P", {"Type": "Parallel", "Branches": branches, "End": True}), {})
    run.complete("U", 0)
    run.complete("T", 0)
    assert run.execution.output == ["a", "d"]


def test_a_retried_container_forgets_what_its_children_assigned() -> None:
    branch = machine("A", {"A": passing("T", Assign={"x": "y" * 10}), "T": task("T")})
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    run = Run(scope_of("P", {"Type": "Parallel", "Branches": [branch], "Retry": retry, "End": True}), {})
    assert run.execution.variable_bytes == 12
    run.fail("T", "E")
    run.fire("retry", "P")
    assert run.execution.variable_bytes == 12
    run.complete("T", 1)
    assert (run.status, run.execution.variable_bytes) == ("SUCCEEDED", 0)


# ---- limits


def test_one_assign_holds_no_more_than_a_payload_may() -> None:
    states = {"A": passing("B", Assign={"x.$": "$", "y.$": "$"}), "B": passing()}
    fits, too_large = "x" * (MAX_PAYLOAD_BYTES // 2 - 100), "x" * (MAX_PAYLOAD_BYTES // 2)
    assert Run(machine("A", states), fits).status == "SUCCEEDED"
    run = Run(machine("A", states), too_large)
    assert (run.status, run.execution.error) == ("FAILED", "States.DataLimitExceeded")


def test_an_execution_holds_ten_mebibytes_of_variables() -> None:
    """Each step assigns 250,000 bytes under a new name, until they are too many. Not a Run, which folds every prefix of
    these large events again."""
    count = MAX_VARIABLES_BYTES // 250_000
    states = {
        f"S{n}": passing(f"S{n + 1}" if n <= count else None, Assign={f"v{n}.$": "$.x"}, OutputPath="$")
        for n in range(count + 2)
    }
    outcome = start(parse(machine("S0", states)), {"x": "x" * 249_998})
    assert isinstance(outcome, Failed)
    assert outcome.error == "States.DataLimitExceeded"
    assert (outcome.cause or "").endswith("The variables of the execution exceed the service limit.")
    assert outcome.execution.variable_bytes == count * 250_000


def filling(last: int, *then: dict[str, Json]) -> dict[str, Any]:
    """Return a machine that assigns all the bytes of variables that an execution may hold but for what `last` says, of
    which the last variable takes `last` bytes less; `then` are further assignments, one after the other."""
    whole, rest = divmod(MAX_VARIABLES_BYTES, 250_000)
    assigns: list[dict[str, Json]] = [{f"v{n}.$": "$.x"} for n in range(whole)]
    assigns += [{"rest": "x" * (rest - last - 2)}, *then]
    states = {
        f"S{n}": passing(f"S{n + 1}" if n + 1 < len(assigns) else None, Assign=assign, OutputPath="$")
        for n, assign in enumerate(assigns)
    }
    return machine("S0", states)


@pytest.mark.parametrize(
    ("last", "then", "status"),
    [
        (0, [], "SUCCEEDED"),
        (-1, [], "FAILED"),
        (0, [{"v0.$": "$.x"}, {"v0.$": "$.x", "rest": 5}, {"new.$": "$.x"}], "FAILED"),
        (0, [{"v0.$": "$.x"}, {"v0": 5, "v1": 5}, {"new.$": "$.x"}], "SUCCEEDED"),
        (1, [{"one": 5}], "SUCCEEDED"),
        (1, [{"one": 15}], "FAILED"),
    ],
)
def test_a_variable_that_is_assigned_again_counts_once(last: int, then: list[dict[str, Json]], status: str) -> None:
    """To the byte: what is replaced makes room for what replaces it."""
    outcome = start(parse(filling(last, *then)), {"x": "x" * 249_998})
    assert outcome.execution is not None
    error = None if status == "SUCCEEDED" else "States.DataLimitExceeded"
    assert (outcome.execution.status, outcome.execution.error) == (status, error)


# ---- folding


def test_an_exit_folds_to_the_variables_it_tells_without_evaluating_anything() -> None:
    run = Run(machine("A", {"A": passing("T", Assign={"x": 1}), "T": task("T")}), {})
    exit = next(event for event in run.events if isinstance(event, StateExited))
    before = Run(scope_of("A", task("A", Assign={"x": 1})), {}).execution
    after = evolve(before, exit)
    assert dict(after.scopes[()].variables) == {"x": 1}
    assert not [event for event in run.events if isinstance(event, EvaluationFailed)]
