"""Mocks made of what AWS recorded, in Step Functions Local's format, give the recorded histories in virtual time.

Needs the shared conformance cases (CONFORMANCE_DIR); skips where they are absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from processor import ZERO, AnyEvent, StartExecution, Workflow, parse
from processor.apps.mocks import Mocks, parse_mocks
from processor.apps.virtual import VirtualExecution, start_virtual
from processor.interpreter.history import render_history
from processor.model.json import Json
from tests.conformance.runner import Answer, conformance_dir, drive, load_cases, load_compare, now_of, recorded_answers

FOLDER = conformance_dir()


def can_be_mocked(case: Any, answers: list[Answer]) -> bool:
    """Mocks answer a state's invocations in order and at once. What else was recorded is not theirs to tell: a timeout,
    who polled an activity, what a call answered that was waited for, answers to several items at a time."""
    kinds = {answer.kind for answer in answers}
    is_plain = "map" not in case["features"]
    ended = case["expected"]["status"] != "RUNNING"
    return bool(answers) and kinds <= {"Succeeded", "Failed"} and is_plain and ended


def mocked_by(case: Any, answers: list[Answer]) -> Mocks:
    responses: dict[str, dict[str, Json]] = {}
    for answer in answers:
        invocations = responses.setdefault(answer.state, {})
        invocations[str(len(invocations))] = _response(answer)
    states: dict[str, Json] = {state: state for state in responses}
    machines: Json = {"machine": {"TestCases": {"recorded": states}}}
    config: Json = {"StateMachines": machines, "MockedResponses": dict(responses)}
    return Mocks(parse_mocks(config).case("machine", "recorded"))


def _response(answer: Answer) -> Json:
    from tests.conformance.runner import _payload, _text

    if answer.kind == "Succeeded":
        return {"Return": _payload(answer.details["output"])}
    thrown: dict[str, Json] = {"Error": answer.details["error"]}
    if (cause := answer.details.get("cause")) is not None:
        thrown["Cause"] = cause if isinstance(cause, str) else _text(cause, spaced=answer.spaced)
    return {"Throw": thrown}


def cases() -> Iterator[Any]:
    if FOLDER is None:
        return
    compare = load_compare(FOLDER)
    for case in load_cases(FOLDER):
        if case["kind"] == "execution" and case["history"] and not case.get("events_sorted"):
            case["history"] = compare.fix_constants(case["history"])
            answers = list(recorded_answers(case))
            if can_be_mocked(case, answers):
                workflow = parse(case["definition"], type=case["type"])
                yield pytest.param(case, workflow, answers, id=case["id"].rpartition("::")[2])


def test_there_are_recordings_to_mock() -> None:
    if FOLDER is None:
        pytest.skip("no conformance cases: set CONFORMANCE_DIR")
    assert len(list(cases())) >= 50


@pytest.mark.parametrize(("case", "workflow", "answers"), list(cases()))
def test_recorded_results_as_mocks_give_the_recorded_history(case: Any, workflow: Workflow, answers: Any) -> None:
    assert FOLDER is not None
    compare = load_compare(FOLDER)
    mocks = mocked_by(case, answers)
    command = StartExecution(
        execution_id="machine:name", input=case["input"], role="arn:aws:iam::111111111111:role/name"
    )
    execution = start_virtual(workflow, command, now=now_of(case), seed=ZERO, answer=mocks.answers)
    assert isinstance(execution, VirtualExecution)
    events: list[AnyEvent] = [event for batch in execution.run() for event in batch]
    # What differs for the runner of the conformance cases too, which feeds the same answers, is that one's business.
    known = compare.history_differences(case, render_history(drive(case).events))
    assert compare.history_differences(case, render_history(events)) == known
