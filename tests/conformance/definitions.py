"""Judges what AWS was recorded to answer about definitions: the cases of kind validate_definition, and of kind
create_error where the definition is what is refused.

`python -m tests.conformance.definitions` prints each failing case with what differs, then one line of JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processor.errors import InvalidDefinition
from processor.interpreter.parse import parse
from processor.interpreter.validation.answers import refusal_message, validate_definition
from processor.model.events import MachineType
from tests.conformance.runner import Case, Watch, load_cases, load_compare, required_dir, unwatched

INVALID_DEFINITION = "InvalidDefinition"


@dataclass
class Tally:
    """Of one kind. `passed`: the same codes, or the same refusal by code. `text`: words and places equal too.

    `failures`: what differs in cases that did not pass; `worded`: in those whose text alone differs.
    """

    cases: int = 0
    passed: int = 0
    text: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)
    worded: dict[str, list[str]] = field(default_factory=dict)


def judge_definitions(folder: Path, *, watch: Watch = unwatched) -> dict[str, Tally]:
    """Return a tally per kind. Cases of create_error that refuse no definition are the API's, and counted there."""
    compare = load_compare(folder)
    tallies = {"validate_definition": Tally(), "create_error": Tally()}
    for case in load_cases(folder):
        if case["kind"] == "validate_definition":
            with watch(case["id"]):
                _judge_answer(case, compare, tallies["validate_definition"])
        elif case["kind"] == "create_error" and _code_of(case) == INVALID_DEFINITION:
            with watch(case["id"]):
                _judge_refusal(case, tallies["create_error"])
    return tallies


def _judge_answer(case: Case, compare: Any, tally: Tally) -> None:
    request, want = case["request"], _without_metadata(case["api_response"])
    got: dict[str, Any] = validate_definition(
        request["definition"],
        type=_type_of(case),
        max_results=request.get("maxResults", 100),
        severity=request.get("severity", "ERROR"),
    )
    right = [_essence(want), _essence(got)]
    _count(tally, case, alike=right[0] == right[1], same=bool(compare.same(want, got)), want=want, got=got)


def _judge_refusal(case: Case, tally: Tally) -> None:
    definition = case["request"]["definition"]
    want, got = _message_of(case), "accepted"
    try:
        parse(definition, type=_type_of(case))
    except InvalidDefinition as invalid:
        got = refusal_message(invalid, definition)
    _count(tally, case, alike=got != "accepted", same=got == want, want=want, got=got)


def _count(tally: Tally, case: Case, *, alike: bool, same: bool, want: object, got: object) -> None:
    tally.cases += 1
    tally.passed += alike
    tally.text += same
    if not same:
        differs = [f"expected {json.dumps(want)}", f"given {json.dumps(got)}"]
        (tally.worded if alike else tally.failures)[case["id"]] = differs


def _essence(answer: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    return answer["result"], [(told["code"], told["severity"]) for told in answer["diagnostics"]]


def _without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _type_of(case: Case) -> MachineType:
    return "EXPRESS" if case["request"].get("type") == "EXPRESS" else "STANDARD"


def _code_of(case: Case) -> str:
    answer = case["api_response"]
    return str(answer.get("exception_typename") or answer.get("Error", {}).get("Code"))


def _message_of(case: Case) -> str:
    answer = case["api_response"]
    text = answer.get("message") or answer["exception_value"]
    return str(text).partition("operation: ")[2] or str(text)


def main() -> None:
    folder = required_dir()
    tallies = judge_definitions(folder)
    for tally in tallies.values():
        for id, differences in (tally.failures | tally.worded).items():
            print(id, *differences, sep="\n    ")
    told = {kind: {"cases": t.cases, "passed": t.passed, "text": t.text} for kind, t in tallies.items()}
    print(json.dumps({"by_kind": told}))


if __name__ == "__main__":
    main()
