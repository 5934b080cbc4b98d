"""What a Map's fields must be together."""

from __future__ import annotations

from typing import Any

import pytest

from processor.interpreter.validation.maps import check_maps, check_ranges
from tests.interpreter.validation.told import DONE, machine

SCOPE = machine(I=DONE)
READER = "arn:aws:states:::s3:getObject"


def found_in(state: dict[str, Any], *, express: bool = False, config: dict[str, Any] | None = None) -> list[Any]:
    """Return (pointer within the Map, code where it is no fault of the schema, message)."""
    processor = SCOPE if config is None else {**SCOPE, "ProcessorConfig": config}
    definition = machine(M={"Type": "Map", "ItemProcessor": processor, "End": True, **state})
    return [
        (each.pointer.removeprefix("/States/M"), each.message)
        if each.code == "SCHEMA_VALIDATION_FAILED"
        else (each.pointer.removeprefix("/States/M"), each.code, each.message)
        for each in (*check_maps(definition, "EXPRESS" if express else "STANDARD"), *check_ranges(definition))
    ]


def test_a_distributed_map_says_how_its_children_run_and_an_inline_one_does_not() -> None:
    at = "/ItemProcessor/ProcessorConfig"

    assert found_in({}, config={"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}) == []
    assert found_in({}, config={"Mode": "INLINE"}) == []
    assert found_in({}, config={"Mode": "DISTRIBUTED"}) == [(at, "These fields are required: [ExecutionType]")]
    assert found_in({}, config={"Mode": "INLINE", "ExecutionType": "STANDARD"}) == [
        (at, "Field 'ExecutionType' is not supported")
    ]


def test_an_express_machine_has_no_distributed_map() -> None:
    assert found_in({}, express=True, config={"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}) == [
        (
            "/ItemProcessor/ProcessorConfig",
            "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines",
        )
    ]
    assert found_in({}, express=True, config={"Mode": "INLINE"}) == []


def test_an_inline_map_may_have_the_fields_of_a_distributed_one() -> None:
    """Measured on AWS: taken at creation (floci pull request 1588, cdk-preflight's table of fields)."""
    reader = {"Resource": READER, "ReaderConfig": {"InputType": "JSON"}}

    assert found_in({"ItemReader": reader, "Label": "l", "ToleratedFailureCount": 1}) == []


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("x" * 41, "exceeds the 40-character limit allowed by the service"),
        ("a b", "contains invalid characters"),
        ("a?", "contains invalid characters"),
        ("a\x00", "contains invalid characters"),
        ("", "contains invalid characters"),
    ],
)
def test_a_label_is_short_and_plain(label: str, words: str) -> None:
    message = f"Invalid Label name: Label '{label}' {words}"

    assert found_in({"Label": label}) == [("/Label", "INVALID_LABEL_NAME", message)]
    assert found_in({"Label": "x" * 40}) == []
    assert found_in({"Label": 5}) == []


@pytest.mark.parametrize("char", '?*<>{}[]:;,\\|^~$#%&`"')
def test_a_label_holds_no_character_that_names_of_aws_may_not_hold(char: str) -> None:
    message = f"Invalid Label name: Label 'a{char}b' contains invalid characters"

    assert found_in({"Label": f"a{char}b"}) == [("/Label", "INVALID_LABEL_NAME", message)]


def test_a_label_is_given_once() -> None:
    definition = machine(
        A={"Type": "Map", "ItemProcessor": SCOPE, "Label": "l", "Next": "B"},
        B={"Type": "Map", "ItemProcessor": machine(J=DONE), "Label": "l", "End": True},
    )

    assert [(each.pointer, each.code, each.message) for each in check_maps(definition, "STANDARD")] == [
        ("/States/B/Label", "DUPLICATE_LABEL_NAME", "Duplicate Label name: l")
    ]


def test_a_number_is_given_once_and_within_its_range() -> None:
    """Measured on AWS: floci issue 3733."""
    only = "There should only be one of the following fields:"
    state = {
        "ToleratedFailureCount": -1,
        "ToleratedFailurePercentage": 100.5,
        "ToleratedFailurePercentagePath": "$.p",
        "ItemBatcher": {"MaxItemsPerBatch": -1, "MaxItemsPerBatchPath": "$.n", "MaxInputBytesPerBatch": True},
        "ItemReader": {"Resource": READER, "ReaderConfig": {"InputType": "JSONL", "MaxItems": 100_000_001}},
    }

    assert found_in(state) == [
        ("", f"{only} [ToleratedFailurePercentage, ToleratedFailurePercentagePath]"),
        ("/ItemBatcher", f"{only} [MaxItemsPerBatch, MaxItemsPerBatchPath]"),
        ("/ToleratedFailureCount", "Minimum value is 0"),
        ("/ToleratedFailurePercentage", "Maximum value is 100.0"),
        ("/ItemBatcher/MaxItemsPerBatch", "Minimum value is 0"),
        ("/ItemReader/ReaderConfig/MaxItems", "Maximum value is 100000000"),
    ]
    assert found_in({"ToleratedFailurePercentage": -0.5}) == [("/ToleratedFailurePercentage", "Minimum value is 0.0")]


def test_a_batch_may_have_no_limit_of_its_own_and_has_no_more_than_a_state_may_hold() -> None:
    """Measured: AWS's least is 0. Developer Guide, "ItemBatcher": 256 KiB at most."""
    assert found_in({"ItemBatcher": {"MaxItemsPerBatch": 1, "MaxInputBytesPerBatch": 262_144}}) == []
    assert found_in({"ItemBatcher": {"MaxItemsPerBatch": 0, "MaxInputBytesPerBatch": 0}}) == []
    assert found_in({"ItemBatcher": {"MaxItemsPerBatch": 1, "MaxInputBytesPerBatch": -1}}) == [
        ("/ItemBatcher/MaxInputBytesPerBatch", "Minimum value is 0"),
    ]
    assert found_in({"ItemBatcher": {"MaxItemsPerBatch": 0, "MaxInputBytesPerBatch": 262_145}}) == [
        ("/ItemBatcher/MaxInputBytesPerBatch", "Maximum value is 262144"),
    ]


@pytest.mark.parametrize(
    ("reader", "found"),
    [
        ({"Resource": "arn:aws-cn:states:::s3:listObjectsV2"}, []),
        ({"Resource": READER, "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}}, []),
        ({"Resource": "arn:aws:states:::s3:putObject"},
         [("/Resource", "The field 'Resource' does not match any of the allowed values. Examples: "
           "[arn:<partition>:states:::s3:getObject, arn:<partition>:states:::s3:listObjectsV2]")]),
        ({"Resource": "s3"},
         [("/Resource", "The field 'Resource' does not match any of the allowed values. Examples: "
           "[arn:<partition>:states:::s3:getObject, arn:<partition>:states:::s3:listObjectsV2]")]),
        ({"Resource": READER, "ReaderConfig": {"InputType": "XML"}},
         [("/ReaderConfig/InputType",
           "The field 'InputType' should have one of these values: [MANIFEST, JSON, CSV, JSONL, PARQUET]")]),
        ({"Resource": READER, "ReaderConfig": {"InputType": "CSV"}},
         [("/ReaderConfig", "The field 'CSVHeaderLocation' is required")]),
        ({"Resource": READER, "ReaderConfig": {"InputType": "JSON", "CSVHeaderLocation": "GIVEN"}},
         [("/ReaderConfig", "Field 'CSVHeaderLocation' is not supported"),
          ("/ReaderConfig", "These fields are required: [CSVHeaders]")]),
    ],
)  # fmt: skip
def test_a_reader_says_what_it_reads(reader: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert found_in({"ItemReader": reader}) == [(f"/ItemReader{pointer}", message) for pointer, message in found]


def test_express_children_have_no_distributed_map_standard_children_may() -> None:
    def around(*kinds: str, inner: str = "STANDARD") -> list[str]:
        state: dict[str, Any] = {"Type": "Map", "ItemProcessor": SCOPE, "End": True}
        for kind in (inner, *reversed(kinds)):
            config = {"Mode": "INLINE"} if kind == "INLINE" else {"Mode": "DISTRIBUTED", "ExecutionType": kind}
            processor = {**state["ItemProcessor"], "ProcessorConfig": config}
            outer = {"Type": "Map", "ItemProcessor": processor, "End": True}
            state = {"Type": "Map", "ItemProcessor": machine(M=outer), "End": True}
        return [each.message for each in check_maps(state["ItemProcessor"], "STANDARD")]

    refused = ["The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines"]
    assert around("EXPRESS") == refused
    assert around("EXPRESS", "INLINE") == refused
    assert around("EXPRESS", inner="INLINE") == []
    assert around("STANDARD") == []
    assert around("STANDARD", "INLINE", inner="EXPRESS") == []
