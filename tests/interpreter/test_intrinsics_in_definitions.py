"""Intrinsic functions where definitions have them: payload templates, a Fail's paths, each item of a Map."""

from __future__ import annotations

from processor import Succeeded, parse, start
from processor.interpreter.interpreter import Failed, recover
from processor.model.json import Json


def run(state: dict[str, Json], value: Json = None, *, seed: bytes = bytes(16)) -> Json:
    outcome = start(parse({"StartAt": "S", "States": {"S": state}}), value, seed=seed)
    assert isinstance(outcome, Succeeded)
    assert recover(outcome.execution.workflow, outcome.events).execution == outcome.execution
    return outcome.output


def test_a_template_calls_functions_on_its_input_and_on_the_context_object() -> None:
    parameters: Json = {
        "greeting.$": "States.Format('{} of {}', $.name, $$.State.Name)",
        "sum.$": "States.MathAdd(States.ArrayLength($.items), 1)",
    }
    assert run({"Type": "Pass", "Parameters": parameters, "End": True}, {"name": "Ada", "items": [1, 2]}) == {
        "greeting": "Ada of S",
        "sum": 3,
    }


def test_a_fail_takes_its_error_from_a_function() -> None:
    workflow = parse(
        {"StartAt": "S", "States": {"S": {"Type": "Fail", "ErrorPath": "States.Format('E{}', $.n)", "Cause": "c"}}}
    )
    outcome = start(workflow, {"n": 7})
    assert isinstance(outcome, Failed)
    assert (outcome.error, outcome.cause) == ("E7", "c")


def test_what_is_drawn_differs_by_field_by_item_and_by_seed_and_is_the_same_again() -> None:
    pass_state: dict[str, Json] = {
        "Type": "Pass",
        "Parameters": {"a.$": "States.UUID()", "b": {"a.$": "States.UUID()"}},
        "End": True,
    }
    items: dict[str, Json] = {
        "Type": "Map",
        "ItemSelector": {"id.$": "States.UUID()"},
        "ItemProcessor": {"StartAt": "P", "States": {"P": pass_state | {"ResultPath": "$.own"}}},
        "End": True,
    }
    seeds = (bytes(16), bytes(range(16)))
    outputs = [run(items, [1, 2, 3], seed=seed) for seed in seeds]
    drawn = [text for output in outputs for text in _texts(output)]

    assert len(set(drawn)) == len(drawn) == 2 * 3 * 3
    assert [run(items, [1, 2, 3], seed=seed) for seed in seeds] == outputs


def _texts(value: Json) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for part in value for text in _texts(part)]
        case dict():
            return [text for part in value.values() for text in _texts(part)]
        case _:
            return []
