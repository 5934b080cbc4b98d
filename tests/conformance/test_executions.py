"""Ends, causes and histories that AWS was recorded to give.

`make conformance` scores all of them.
"""

from __future__ import annotations

import pytest

from processor import AnyEvent, Outcome, Workflow
from tests.conformance.runner import conformance_dir, run_executions, straight

FOLDER = conformance_dir()
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="no conformance cases: set CONFORMANCE_DIR, for example ../shared/conformance/aws"
)

NO_REDRIVE = "recorded before redrive came, in November 2023: the context object had no RedriveCount then"
KNOWN = {
    "test_lambda_invoke_with_retry_extended_input#get_execution_history": NO_REDRIVE,
    "test_lambda_service_invoke_with_retry_extended_input#get_execution_history": NO_REDRIVE,
    "test_max_concurrency_path_negative#get_execution_history": (
        "AWS stalls before it writes MapStateEntered, here the Map has entered and starts nothing"
    ),
}
"""The end of a failing case's id, after the last `::`, and why it fails."""


def test_executions_go_as_recorded_straight_and_recovered_after_each_command() -> None:
    assert FOLDER is not None
    report = run_executions(FOLDER)
    assert sorted(id.rpartition("::")[2] for id in report.failures) == sorted(KNOWN)


def test_one_that_recovers_to_other_events_is_right_at_no_level() -> None:
    def forgets(workflow: Workflow, events: list[AnyEvent], outcome: Outcome) -> Outcome:
        events[-1:] = []
        return outcome

    assert FOLDER is not None
    report = run_executions(FOLDER, between=(straight, forgets))
    told = "recovered from bytes after each command it goes another way"
    assert (report.end, report.cause, report.history) == (0, 0, 0)
    assert set(map(tuple, report.failures.values())) == {(told,)}
