"""AWS's recordings, as far as an expression can be evaluated by itself: the Output of a machine of one Pass state."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.interpreter.jsonata import EvaluationFailed, JsonataFault, compile_expression
from processor.interpreter.jsonata_template import compile_jsonata_template, expression_in, is_expression
from processor.model.ids import Millis

FOLDER = Path(os.environ.get("CONFORMANCE_DIR", Path(__file__).parents[3] / "shared" / "conformance" / "aws"))

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recordings at {FOLDER}; CONFORMANCE_DIR names another")


def recordings() -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("*.json")):
        yield from json.loads(path.read_text())


def expressions_in(value: Any) -> Iterator[str]:
    match value:
        case str() if is_expression(value):
            yield expression_in(value) or ""
        case dict():
            for member in value.values():
                yield from expressions_in(member)
        case list():
            for element in value:
                yield from expressions_in(element)


def refuse(pointer: str, fault: JsonataFault) -> None:
    raise AssertionError((pointer, fault))


def lone_pass(case: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state of a pure machine of one JSONata Pass state that reads no context, and assigns nothing."""
    definition = case.get("definition")
    if case["kind"] != "execution" or case.get("needs") or not isinstance(definition, dict):
        return None
    states = definition.get("States", {})
    state: dict[str, Any] = next(iter(states.values()), {})
    language = state.get("QueryLanguage", definition.get("QueryLanguage"))
    if len(states) != 1 or state.get("Type") != "Pass" or language != "JSONata" or "$states.context" in str(state):
        return None
    return state if "Output" in state and "Assign" not in state else None


def test_every_recorded_expression_compiles() -> None:
    texts = {text for case in recordings() for text in expressions_in(case.get("definition"))}
    assert {compile_expression(text, field="x").text for text in texts} == texts
    assert len(texts) > 50


def test_outputs_and_causes_are_those_recorded() -> None:
    wrong, judged = [], 0
    for case in recordings():
        if (state := lone_pass(case)) is None:
            continue
        judged += 1
        expected = case["expected"]
        template = compile_jsonata_template(state["Output"], field="Output", pointer="", report=refuse)
        try:
            given = template.evaluate({"input": case["input"]}, {}, entropy=lambda: bytes(16), now=Millis(0))
            found = ("SUCCEEDED", given)
        except EvaluationFailed as failed:
            found = (failed.error, failed.cause)
            details = next(event for event in case["history"] if event["type"] == "EvaluationFailed")
            assert details["evaluationFailedEventDetails"]["location"] == failed.location
        if expected["status"] == "SUCCEEDED":
            wanted = ("SUCCEEDED", expected["output"])
        else:  # the opening names the state and the event
            wanted = (expected["error"], expected["cause"].partition("). ")[2])
        if json.dumps(found, sort_keys=True) != json.dumps(wanted, sort_keys=True):
            wrong.append((case["id"], found, wanted))
    assert wrong == []
    assert judged > 30


def test_items_of_another_type_fail_in_the_recorded_words() -> None:
    judged = 0
    for case in recordings():
        cause = str(case.get("expected", {}).get("cause", "")) if case.get("expected") else ""
        if "returned an unexpected result type" not in cause:
            continue
        judged += 1
        states = case["definition"]["States"]
        assigned = compile_jsonata_template(
            states.get("Start", {}).get("Assign", {}), field="Assign", pointer="", report=refuse
        ).evaluate({"input": case["input"]}, {}, entropy=bytes, now=Millis(0))
        items = compile_expression(expression_in(states["MapIterateState"]["Items"]) or "", field="Items")
        assert isinstance(assigned, dict)
        with pytest.raises(EvaluationFailed) as failed:
            items.value({"input": case["input"]}, assigned, entropy=bytes, now=Millis(0), expected="array")
        assert failed.value.cause == cause.partition("). ")[2]
    assert judged >= 5
