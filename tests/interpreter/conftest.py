"""Every history that a scenario test here produces is cut at every place and continued, and rendered as AWS's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interpreter.scenario import RUNS


@pytest.fixture(autouse=True)
def _replayed() -> Iterator[None]:
    RUNS.clear()
    yield
    for run in RUNS:
        run.check_replay()
        run.check_history()
