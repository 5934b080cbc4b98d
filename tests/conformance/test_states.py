"""TestState's answers, as AWS was recorded to give them: the cases of kind `test_state`, judged by compare.py's `same`.

`run_test_states` gives what `make conformance` prints of them. The recorded requests went through AWS's client, so
they do here: it refuses what its model of the API does not allow, and words the service's errors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from botocore.session import Session
from botocore.validate import ParamValidator

from processor.adapters.aws_models import AwsModels
from processor.errors import RequestRefused
from processor.interpreter.trial import Invoke
from processor.interpreter.trial_api import answer_test_state
from processor.interpreter.trial_request import MockedResult
from processor.model.events import TaskScheduled
from processor.model.json import Json
from tests.conformance.runner import Case, Watch, conformance_dir, load_cases, load_compare, now_of, unwatched

FOLDER = conformance_dir()

KNOWN: dict[str, str] = {}
"""The end of a failing case's id, and why it fails."""


@dataclass
class StatesReport:
    """`made_up`: the cases whose Task ran outside, and is given what the recording shows of its result."""

    cases: int = 0
    made_up: list[str] = field(default_factory=list)
    failures: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passed(self) -> int:
        return self.cases - len(self.failures)

    def by_kind(self) -> dict[str, int]:
        return {"cases": self.cases, "passed": self.passed}


def run_test_states(folder: Path, *, watch: Watch = unwatched) -> StatesReport:
    """Judge every case of kind test_state. Each failure: what was recorded, what was given."""
    compare, report = load_compare(folder), StatesReport()
    for case in load_cases(folder):
        if case["kind"] != "test_state":
            continue
        report.cases += 1
        with watch(case["id"]):
            given, made_up = answer(case)
        if made_up:
            report.made_up.append(case["id"])
        recorded = compare.fix_constants({k: v for k, v in case["api_response"].items() if k != "ResponseMetadata"})
        names = [p for p in case.get("placeholders_in_expected", ()) if not p.startswith("<")]
        if not compare.same(recorded, given, names, case.get("substitutions", ())):
            report.failures[case["id"]] = [f"recorded {json.dumps(recorded)}", f"given {json.dumps(given)}"]
    return report


def answer(case: Case) -> tuple[dict[str, Any], bool]:
    """Return what AWS's client would have given for the request, an answer, or what a test saw of an exception; and
    whether the result of its Task had to be made up."""
    asked: list[TaskScheduled] = []

    def stand_in(scheduled: TaskScheduled) -> MockedResult:
        asked.append(scheduled)
        return _stand_in(case)

    return _answer(case, stand_in), bool(asked)


def _answer(case: Case, invoke: Invoke) -> dict[str, Any]:
    seen_as_text = "exception_typename" in case["api_response"]
    try:
        _check_by_client(case["request"])
        return dict(answer_test_state(case["request"], models=_models(), invoke=invoke, now=now_of(case)))
    except ParamValidationError as fault:
        return {"exception_typename": type(fault).__name__, "exception_value": str(fault)}
    except RequestRefused as refused:
        error = {"Code": refused.code, "Message": refused.message}
        if seen_as_text:
            told = ClientError({"Error": error}, "TestState")
            return {"exception_typename": refused.code, "exception_value": str(told)}
        return {"Error": error, "message": refused.message}


def _check_by_client(request: Json) -> None:
    report = ParamValidator().validate(
        request, _session().get_service_model("stepfunctions").operation_model("TestState").input_shape
    )
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


@cache
def _session() -> Any:
    return Session()


@cache
def _models() -> AwsModels:
    return AwsModels()


def _stand_in(case: Case) -> MockedResult:
    """A Task without a mock ran outside: what it gave there is what the recording shows of it."""
    recorded = case["api_response"]
    result = recorded.get("inspectionData", recorded).get("result", recorded.get("output"))
    return MockedResult(result=json.loads(result) if isinstance(result, str) else result)


# ---- the test


@pytest.mark.skipif(
    FOLDER is None, reason="no conformance cases: set CONFORMANCE_DIR, for example ../shared/conformance/aws"
)
def test_states_on_trial_answer_as_recorded() -> None:
    assert FOLDER is not None
    report = run_test_states(FOLDER)
    unexpected = {id: found for id, found in report.failures.items() if not id.endswith(tuple(KNOWN))}
    assert unexpected == {}
    print(json.dumps(report.by_kind()))
