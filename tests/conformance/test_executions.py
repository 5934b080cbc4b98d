"""Ends, causes and histories that AWS was recorded to give, as far as parse supports the definitions.

`make conformance` scores all of them.
"""

from __future__ import annotations

import pytest

from tests.conformance.runner import Between, Report, conformance_dir, recovered, run_executions, straight

FOLDER = conformance_dir()
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="no conformance cases: set CONFORMANCE_DIR, for example ../shared/conformance/aws"
)

NO_REDRIVE = "recorded before redrive came, in November 2023: the context object had no RedriveCount then"
KNOWN = {
    "::test_lambda_invoke_with_retry_extended_input#get_execution_history": NO_REDRIVE,
    "::test_lambda_service_invoke_with_retry_extended_input#get_execution_history": NO_REDRIVE,
    "::test_max_concurrency_path_negative#get_execution_history": (
        "AWS stalls before it writes MapStateEntered, here the Map has entered and starts nothing"
    ),
}
"""The end of a failing case's id, and why it fails."""


@pytest.mark.parametrize("between", [straight, recovered], ids=["straight", "recovered after each command"])
def test_executions_go_as_recorded(between: Between) -> None:
    report = _run(between)
    unexpected = {id: found for id, found in report.failures.items() if not id.endswith(tuple(KNOWN))}
    assert unexpected == {}


def _run(between: Between) -> Report:
    assert FOLDER is not None
    return run_executions(FOLDER, between)
