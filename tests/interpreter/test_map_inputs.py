"""A Map's input after InputPath, which all its iterations select from: worked out once, and no part of the state.

And what an event may use, however many items it selects.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from processor import (
    EPOCH,
    ZERO,
    ExecutionStarted,
    MapIterationStarted,
    RedriveExecution,
    Rejected,
    Workflow,
    parse,
    recover,
    start,
)
from processor.engine.encoding import decode_execution, encode_execution
from processor.interpreter import paths_values
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.interpreter import proceed
from processor.model.definition import Environment, MapState
from processor.model.execution import Execution, Iterations, Prepared
from processor.model.json import Json
from tests.interpreter.scenario import Run, machine, scope_of
from tests.interpreter.test_distributed import asks, distributed, passes
from tests.interpreter.test_jsonata_map import Shared, mapping

SELECTOR = {"k.$": "$.k", "v.$": "$$.Map.Item.Value"}
INPUT: Json = {"in": {"k": "key", "l": list(range(50))}}


def each(**fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": passes(), "End": True, **fields}


def counted(definition: dict[str, Any]) -> tuple[Workflow, list[Json]]:
    """Return the machine, and a list to which each working out of M's input adds it."""
    workflow = parse(definition)
    state = workflow.states["M"]
    assert isinstance(state, MapState)
    prepare, given = state.prepare, list[Json]()
    assert prepare is not None

    def counting(value: Json, environment: Environment) -> Json:
        given.append(value)
        assert prepare is not None
        return prepare(value, environment)

    return replace(workflow, states={**workflow.states, "M": replace(state, prepare=counting)}), given


def inputs(run: Run) -> list[Any]:
    return [event.input for event in run.events if isinstance(event, MapIterationStarted)]


def started(workflow: Workflow, input: Json) -> Execution:
    outcome = start(workflow, input)
    assert not isinstance(outcome, Rejected)
    return outcome.execution


# ---- worked out once


BATCHER = {"MaxItemsPerBatchPath": "$.one", "BatchInput": {"k.$": "$.k"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"ItemSelector": SELECTOR},
        distributed(passes(), ItemSelector=SELECTOR, ItemBatcher={"MaxItemsPerBatch": 1}),
        distributed(passes(), ItemBatcher=BATCHER),
    ],
)
def test_the_input_is_worked_out_when_the_map_starts_and_for_all_its_iterations_together(
    fields: dict[str, Any],
) -> None:
    workflow, given = counted(scope_of("M", each(InputPath="$.in", ItemsPath="$.l", **fields)))
    input: Json = {"in": {"k": "key", "one": 1, "l": list(range(50))}}
    assert started(workflow, input).status == "SUCCEEDED"
    assert given == [input, input]


def test_answers_of_iterations_do_not_work_it_out_again() -> None:
    fields = {"InputPath": "$.in", "ItemsPath": "$.l", "ItemSelector": SELECTOR, "MaxConcurrency": 1}
    run = Run(scope_of("M", each(ItemProcessor=asks(), **fields)), INPUT)
    workflow, given = counted(scope_of("M", each(ItemProcessor=asks(), **fields)))
    recovered = recover(workflow, run.events).execution
    assert recovered is not None
    assert given == []  # to fold evaluates nothing
    run.outcome = replace(run.outcome, execution=recovered)
    for _ in range(50):
        run.complete("A", 1)
    assert run.status == "SUCCEEDED"
    assert given == [INPUT]
    assert inputs(run) == [{"k": "key", "v": item} for item in range(50)]


def test_a_retry_works_it_out_anew() -> None:
    """The context object tells it how often the Map was tried."""
    fields = {"InputPath": "$$.State", "ItemSelector": {"n.$": "$.RetryCount"}, "ItemsPath": "$$.Execution.Input"}
    run = Run(scope_of("M", each(ItemProcessor=asks(), Retry=[{"ErrorEquals": ["E"]}], **fields)), [0, 1])
    run.fail("A", "E", scope=(0,))
    run.fire("retry", "M")
    assert inputs(run) == [{"n": 0}, {"n": 0}, {"n": 1}, {"n": 1}]


def test_a_redrive_works_it_out_anew_live_as_when_recovered() -> None:
    """The context object tells it of the redrive; an iteration that goes on keeps its input."""
    fields = {"InputPath": "$$.Execution", "ItemsPath": "$.Input", "ItemSelector": {"n.$": "$.RedriveCount"}}
    run = Run(scope_of("M", each(ItemProcessor=asks(), MaxConcurrency=1, **fields)), [0, 1, 2])
    run.complete("A", 1)
    run.fail("A", "E")
    run.give(RedriveExecution(execution_id="local:1"))
    run.complete("A", 1)
    run.complete("A", 1)
    assert run.execution.output == [1, 1, 1]
    assert inputs(run) == [{"n": 0}, {"n": 0}, {"n": 1}]


def test_it_is_that_of_the_maps_start_not_one_of_each_item() -> None:
    """An inner Map's InputPath may read the outer Map's item."""
    inner = each(
        InputPath="$$.Map.Item.Value", ItemsPath="$.l", ItemSelector={"all.$": "$.l", "v.$": "$$.Map.Item.Value"}
    )
    outer = {"Type": "Map", "ItemProcessor": scope_of("N", inner), "End": True}
    run = Run(machine("M", {"M": outer}), [{"l": [1, 2]}])
    assert run.execution.output == [[{"all": [1, 2], "v": 1}, {"all": [1, 2], "v": 2}]]


def test_variables_in_it_are_those_of_the_maps_own_scope() -> None:
    states = {
        "V": {"Type": "Pass", "Assign": {"x": {"l": ["a", "b"]}}, "Next": "M"},
        "M": each(
            ItemProcessor=passes(Assign={"y.$": "$"}),
            InputPath="$x",
            ItemsPath="$.l",
            ItemSelector={"x.$": "$.l", "v.$": "$$.Map.Item.Value"},
        ),
    }
    run = Run(machine("V", states), {})
    assert run.execution.output == [{"x": ["a", "b"], "v": "a"}, {"x": ["a", "b"], "v": "b"}]


# ---- no part of the state


def test_an_execution_that_has_it_equals_one_that_has_not_and_is_written_without_it() -> None:
    fields = {"InputPath": "$.in", "ItemsPath": "$.l", "ItemSelector": SELECTOR, "MaxConcurrency": 1}
    run = Run(scope_of("M", each(ItemProcessor=asks(), **fields)), INPUT)
    recovered = recover(run.workflow, run.events).execution
    assert recovered is not None
    told_of = [prepared_of(run.execution), prepared_of(recovered)]
    assert [(prepared.there, repr(prepared)) for prepared in told_of] == [(True, "Prepared()"), (False, "Prepared()")]
    assert recovered == run.execution
    assert encode_execution(recovered) == encode_execution(run.execution)
    read = decode_execution(encode_execution(run.execution), run.workflow)
    assert not prepared_of(read).there
    assert Prepared() != {}


def prepared_of(execution: Execution) -> Prepared:
    children = execution.scopes[()].children
    assert isinstance(children, Iterations)
    return children.prepared


def test_a_state_that_is_given_up_leaves_nothing_behind() -> None:
    """A processor drops what a transaction came to that was not committed, and begins again before it."""
    fields = {"InputPath": "$$.State", "ItemSelector": {"t.$": "$.EnteredTime"}, "ItemsPath": "$$.Execution.Input"}
    run = Run(scope_of("M", each(**fields)), [0])
    first, entered, *others = run.events
    assert isinstance(first, ExecutionStarted)
    before = begin(run.workflow, first)
    given_up = proceed(evolve(before, replace(entered, time=EPOCH + 5_000)))[0]
    again = proceed(evolve(before, entered))[1]
    assert given_up.output == [{"t": "1970-01-01T00:00:05.000Z"}]
    assert again == tuple(others)


# ---- what an event may use


def test_looking_at_it_counts_for_no_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the first iteration after a recovery could fail where the live one does not."""
    monkeypatch.setattr(paths_values, "MAX_VISITS", 100)
    paths = {"InputPath": "$.l[?(@.n >= 0)]", "ItemsPath": "$$.Execution.Input.few"}
    selecting = each(ItemSelector={"all.$": "$[?(@.n >= 0)]"}, MaxConcurrency=1, **paths)
    run = Run(scope_of("M", selecting), {"l": [{"n": 0}] * 60, "few": [1, 2]})
    assert run.execution.output == [{"all": [{"n": 0}] * 60}] * 2


def test_the_items_of_a_batch_share_what_their_paths_may_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths_values, "MAX_VISITS", 100)
    selector = {"some.$": "$[?(@.n >= 0)]"}

    def batches(size: int) -> tuple[str, str | None]:
        fields = distributed(passes(), ItemSelector=selector, ItemBatcher={"MaxItemsPerBatch": size})
        ended = started(parse(scope_of("M", fields)), [{"n": 0}] * 12)
        return ended.status, ended.cause

    assert batches(4) == ("SUCCEEDED", None)
    status, cause = batches(12)
    assert status == "FAILED"
    assert cause is not None and "looks at more than" in cause


def test_the_items_of_a_batch_share_what_their_expressions_may_take() -> None:
    sandbox = Shared()
    endless = "{% ($f := function($n) { $f($n + 1) }; $f(0)) %}"
    batcher = {"MaxItemsPerBatch": 3, "BatchInput": endless}
    workflow = parse(mapping(ItemSelector=endless, ItemBatcher=batcher), sandbox=sandbox)
    outcome = start(workflow, [1, 2, 3, 4, 5, 6], seed=ZERO, now=EPOCH)
    assert not isinstance(outcome, Rejected)
    of_first, of_second = sandbox.budgets[:4], sandbox.budgets[4:]
    assert [budget is of_first[0] for budget in of_first] == [True] * 4
    assert [budget is of_second[0] for budget in of_second] == [True] * 4
    assert of_first[0] is not of_second[0]
