"""The numbers of a distributed Map: one range for what is written, what a path gives and what an expression gives.

Measured of what is written (floci issue 3733); the other two by analogy, but for what is said to be recorded.
"""

from __future__ import annotations

from typing import Any

import pytest

from processor.errors import InvalidDefinition
from processor.interpreter.parse import parse
from processor.model.events import MapStarted
from tests.interpreter.scenario import Run, scope_of
from tests.interpreter.test_distributed import distributed, passes

BATCHER = ("MaxItemsPerBatch", "MaxInputBytesPerBatch")


def forms(field: str, value: int) -> list[tuple[dict[str, Any], Any]]:
    """Return a machine and an input for each form: written, by a path, by an expression."""
    made = []
    for language, fields in (
        ("JSONPath", {field: value}),
        ("JSONPath", {f"{field}Path": "$.n"}),
        ("JSONata", {field: "{% $states.input.n %}"}),
    ):
        placed: dict[str, Any] = {"ItemBatcher": fields} if field in BATCHER else fields
        items = {"ItemsPath": "$.l"} if language == "JSONPath" else {"Items": "{% $states.input.l %}"}
        machine = scope_of("M", distributed(passes(), **placed, **items)) | {"QueryLanguage": language}
        made.append((machine, {"l": [1, 2], "n": value}))
    return made


def statuses(field: str, value: int) -> list[str]:
    found = []
    for machine, input in forms(field, value):
        try:
            parse(machine)
        except InvalidDefinition:
            found.append("REFUSED")
        else:
            found.append(Run(machine, input).status)
    return found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MaxConcurrency", 0),
        ("MaxConcurrency", 10**9),
        ("MaxConcurrency", 10**12),
        ("ToleratedFailureCount", 0),
        ("ToleratedFailureCount", 10**12),
        ("MaxItemsPerBatch", 0),
        ("MaxItemsPerBatch", 10**9),
        ("MaxInputBytesPerBatch", 0),
        ("MaxInputBytesPerBatch", 262_144),
    ],
)
def test_a_number_in_its_range_is_taken_in_every_form(field: str, value: int) -> None:
    assert statuses(field, value) == ["SUCCEEDED"] * 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ToleratedFailureCount", -1),
        ("MaxItemsPerBatch", -1),
        ("MaxInputBytesPerBatch", -1),
        ("MaxInputBytesPerBatch", 262_145),
        ("MaxInputBytesPerBatch", 1_000_000),
    ],
)
def test_a_number_beyond_its_range_is_refused_in_every_form(field: str, value: int) -> None:
    assert statuses(field, value) == ["REFUSED", "FAILED", "FAILED"]


def test_only_a_path_may_give_a_max_concurrency_below_zero() -> None:
    """Recorded: test_max_concurrency_path_negative goes on running, for ever. An event holds 32 bits of it."""
    assert statuses("MaxConcurrency", -1) == ["REFUSED", "RUNNING", "FAILED"]
    machine, input = forms("MaxConcurrency", -(10**12))[1]
    [started] = [event for event in Run(machine, input).events if isinstance(event, MapStarted)]
    assert started.max_concurrency == -1


def test_a_path_beyond_its_range_is_told_with_the_range() -> None:
    causes = {}
    for field, value in (("MaxItemsPerBatch", -1), ("MaxInputBytesPerBatch", 1_000_000)):
        machine, input = forms(field, value)[1]
        causes[field] = (Run(machine, input).execution.cause or "").partition("). ")[2]
    assert causes == {
        "MaxItemsPerBatch": 'The MaxItemsPerBatchPath field refers to value "-1" which is not at least 0: $.n',
        "MaxInputBytesPerBatch": (
            'The MaxInputBytesPerBatchPath field refers to value "1000000" which is not between 0 and 262144: $.n'
        ),
    }


def test_more_failures_tolerated_than_an_event_holds_are_as_many_as_it_holds() -> None:
    for machine, input in forms("ToleratedFailureCount", 10**12):
        [started] = [event for event in Run(machine, input).events if isinstance(event, MapStarted)]
        assert started.tolerated_count == 2**31 - 1
