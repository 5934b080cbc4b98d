"""A plugin of pytest: the quickest tests come first, for a mutant is done with at the first that fails.

The durations are those that mutmut measured without a mutant; while it measures there are none, and the order stays.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

STATS = Path("mutmut-stats.json")
"""Beside the tests that mutmut has copied, where it runs them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if STATS.exists():
        durations: dict[str, float] = json.loads(STATS.read_bytes())["duration_by_test"]
        items.sort(key=lambda item: durations.get(item.nodeid, 0.0))
