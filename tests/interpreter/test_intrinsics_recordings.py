"""Intrinsic calls that AWS was recorded with: what they gave, and what it refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.interpreter.intrinsics import IntrinsicFault, compile_intrinsic, is_intrinsic
from processor.model.json import Json
from tests.interpreter.surroundings import Surroundings

NOTHING_HERE = "no recordings of AWS here: set CONFORMANCE_DIR to their folder"
MACHINE: Json = {
    "Id": "arn:<partition>:states:<region>:111111111111:stateMachine:<ArnPart_0idx>",
    "Name": "<ArnPart_0idx>",
}


def surroundings(value: Json) -> Surroundings:
    """Return the context object with the placeholders that the recordings have for made-up texts."""
    return Surroundings({"Execution": {"Input": value, "Name": "<ExecArnPart_0idx>"}, "StateMachine": MACHINE})


def recordings(pattern: str = "*") -> list[dict[str, Any]]:
    default = Path(__file__).parents[2].parent / "shared" / "conformance" / "aws"
    folder = Path(os.environ.get("CONFORMANCE_DIR", default))
    cases = [case for file in sorted(folder.glob(f"{pattern}.json")) for case in json.loads(file.read_text())]
    if not cases:
        pytest.skip(NOTHING_HERE)
    return cases


def calls(part: Json) -> Iterator[tuple[str, str]]:
    """Give the fields that compute a call, with its text."""
    match part:
        case dict():
            for key, value in part.items():
                if isinstance(value, str):
                    if is_intrinsic(value) and key.endswith((".$", "Path")):
                        yield key, value
                elif key != "Result":  # data as they stand
                    yield from calls(value)
        case list():
            for element in part:
                yield from calls(element)


def test_calls_give_what_aws_recorded() -> None:
    differing = {}
    judged = 0
    for case in recordings("intrinsic_functions__*"):
        found = list(calls(case["definition"]))
        if len(found) != 1 or case["expected"]["status"] != "SUCCEEDED":
            continue
        [(field, text)] = found
        judged += 1
        output = case["expected"]["output"]
        expected = output.get("FunctionResult", output)
        made = compile_intrinsic(text, field=field)(case["input"], surroundings(case["input"]))
        if expected != "RandomNumberGenerated" and json.dumps(made) != json.dumps(expected):
            differing[case["id"]] = (made, expected)

    assert differing == {}
    assert judged > 100


def test_every_call_that_aws_ran_is_accepted() -> None:
    refused = {}
    for case in recordings():
        if case["kind"] == "execution":
            for field, text in calls(case["definition"]):
                try:
                    compile_intrinsic(text, field=field)
                except IntrinsicFault as fault:
                    refused[text] = str(fault)

    assert refused == {}


def test_every_call_that_aws_refused_is_refused() -> None:
    rule = "must be a valid JSONPath or a valid intrinsic function call"
    refused = [
        (field, text)
        for case in recordings()
        if case["kind"] == "create_error" and rule in json.dumps(case.get("expected") or case.get("api_response"))
        for field, text in calls(case["definition"])
    ]
    for field, text in refused:
        with pytest.raises(IntrinsicFault):
            compile_intrinsic(text, field=field)

    assert {field for field, _ in refused} == {"parsed.$"}
