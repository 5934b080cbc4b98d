"""A Map on trial with the fields of a distributed one: what it bears, what an ItemReader reads, what it writes.

The compiled state is given those fields here, for `parse` does not take all of them in every release; the recordings,
in tests/conformance, come with whole definitions.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from processor.errors import RequestRefused
from processor.interpreter.trial import TestStateResult, Trial, entered
from processor.interpreter.trial_inspection import InspectionData
from processor.interpreter.trial_request import (
    Mock,
    MockedError,
    StateConfiguration,
    Subject,
    check_request,
    find_state,
)
from processor.model.definition import MapState
from processor.model.ids import EPOCH
from processor.model.json import Json
from tests.interpreter.test_trial import fan_out, mocked

EXCEEDED = ("States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded")
READER: dict[str, Json] = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"}}


def found(*, bears: dict[str, Any] | None = None, fields: dict[str, Json] | None = None, **written: Any) -> Subject:
    tested = find_state(fan_out(**written), None, sandbox=None)
    assert isinstance(tested.state, MapState)
    return replace(tested, state=replace(tested.state, **(bears or {})), fields={**tested.fields, **(fields or {})})


def tried(
    tested: Subject, given: Json, *, mock: Mock, failed: int | None = None, read: str | None = None
) -> TestStateResult:
    configuration = StateConfiguration(map_iteration_failure_count=failed, map_item_reader_data=read)
    execution = entered(tested, given, configuration, now=EPOCH, seed=bytes(16))
    return Trial(tested, execution, {}, mock=mock, configuration=configuration, invoke=None).run()


@pytest.mark.parametrize(
    ("bears", "failed", "status"),
    [
        ({}, 4, "SUCCEEDED"),
        ({"tolerated_count": 2}, 2, "SUCCEEDED"),
        ({"tolerated_count": 2}, 3, "FAILED"),
        ({"tolerated_count": 0}, None, "SUCCEEDED"),
        ({"tolerated_percentage": 50}, 2, "SUCCEEDED"),
        ({"tolerated_percentage": 49.9}, 2, "FAILED"),
        ({"tolerated_count": 4, "tolerated_percentage": 50}, 3, "FAILED"),
        ({"tolerated_count": lambda value, environment: len(value)}, 4, "SUCCEEDED"),
    ],
)
def test_a_map_fails_where_more_iterations_do_than_it_says_that_it_bears(
    bears: dict[str, Any], failed: int | None, status: str
) -> None:
    result = tried(found(bears=bears), [1, 2, 3, 4], mock=mocked([1, 2, 3, 4]), failed=failed)
    assert result.status == status
    assert (result.error, result.cause) == (EXCEEDED if status == "FAILED" else (None, None))


def test_what_it_bears_is_told_where_it_is_written() -> None:
    data = tried(found(bears={"tolerated_count": 1, "tolerated_percentage": 5}), [1], mock=mocked([1])).inspection
    assert data is not None
    assert (data.tolerated_failure_count, data.tolerated_failure_percentage) == (1, 5.0)


def test_a_threshold_that_is_exceeded_is_retried_and_caught_like_any_error() -> None:
    bears, error = {"tolerated_count": 0}, EXCEEDED[0]
    retry, catch = [{"ErrorEquals": [error]}], [{"ErrorEquals": [error], "Next": "Rescue"}]
    retried = tried(found(bears=bears, Retry=retry), [1], mock=mocked([1]), failed=1)
    caught = tried(found(bears=bears, Catch=catch), [1], mock=mocked([1]), failed=1)
    assert (retried.status, caught.status, caught.next_state) == ("RETRIABLE", "CAUGHT_ERROR", "Rescue")


def test_a_mocked_error_within_what_is_borne_is_the_maps_own() -> None:
    result = tried(found(bears={"tolerated_count": 2}), [1, 2], mock=MockedError(error="Boom"), failed=2)
    assert (result.status, result.error) == ("FAILED", "Boom")


def test_a_map_runs_over_what_its_item_reader_reads() -> None:
    tested = found(fields={"ItemReader": READER}, ItemSelector={"v.$": "$$.Map.Item.Value"})
    result = tried(tested, {"Bucket": "b"}, mock=mocked([1]), read="[1, 2]")
    assert result == TestStateResult(
        status="SUCCEEDED",
        output=[1],
        inspection=InspectionData(
            input={"Bucket": "b"},
            after_input_path={"Bucket": "b"},
            after_item_selector=[{"v": 1}, {"v": 2}],
            after_result_selector=[1],
            after_result_path=[1],
            max_concurrency=0,
        ),
    )


def test_what_an_items_pointer_leads_to_is_told() -> None:
    reader: Json = {**READER, "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/a"}}
    data = tried(found(fields={"ItemReader": reader}), {}, mock=mocked([]), read='{"a": [7]}').inspection
    assert data is not None and data.after_items_pointer == [7]


def test_an_item_reader_needs_something_to_read() -> None:
    with pytest.raises(RequestRefused, match="mapItemReaderData must be specified"):
        tried(found(fields={"ItemReader": READER}), {}, mock=mocked([]))


def test_the_mocked_result_of_a_map_that_writes_its_results_is_an_object() -> None:
    tested = found(fields={"ResultWriter": {}})

    def check(result: object) -> None:
        check_request(
            tested,
            mock=mocked(result),
            configuration=StateConfiguration(),
            has_context=False,
            reveal_secrets=False,
            role_arn=None,
        )

    check({"MapRunArn": "arn"})
    with pytest.raises(RequestRefused) as refused:
        check([1])
    assert refused.value.message == "Mocked result must be a JSON object."
