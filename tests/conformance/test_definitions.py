"""What AWS was recorded to say of definitions: accepted or refused alike, with the same codes, words and places.

`make conformance` scores all of them.
"""

from __future__ import annotations

import pytest

from tests.conformance.definitions import judge_definitions
from tests.conformance.runner import conformance_dir

FOLDER = conformance_dir()
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="no conformance cases: set CONFORMANCE_DIR, for example ../shared/conformance/aws"
)


def test_definitions_are_judged_as_recorded() -> None:
    assert FOLDER is not None
    tallies = judge_definitions(FOLDER)

    assert {kind: tally.failures | tally.worded for kind, tally in tallies.items()} == {
        "validate_definition": {},
        "create_error": {},
    }
    assert all(tally.passed == tally.text == tally.cases > 0 for tally in tallies.values())
