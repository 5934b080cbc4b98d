"""What AWS was recorded to do, as far as parse supports the definitions; the whole of it is `make conformance`'s."""

from __future__ import annotations

import pytest

from tests.conformance.runner import Between, Report, conformance_dir, recovered, run_executions, straight

FOLDER = conformance_dir()
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="no conformance cases: set CONFORMANCE_DIR, for example ../shared/conformance/aws"
)

KNOWN = {
    # StartSyncExecution leaves RedriveCount out of the context object; nothing in ExecutionStarted tells it apart.
    "test_express_sync.py::TestExpressSync::test_query_runtime_memory#start_execution_sync_response",
}


@pytest.mark.parametrize("between", [straight, recovered], ids=["straight", "recovered after each command"])
def test_executions_end_as_recorded(between: Between) -> None:
    report = _run(between)
    unexpected = {id: found for id, found in report.failures.items() if not id.endswith(tuple(KNOWN))}
    assert unexpected == {}
    print(report.line())


def _run(between: Between) -> Report:
    assert FOLDER is not None
    return run_executions(FOLDER, between)
