"""What a Map's definition may say. Rules: ASL specification, "Map State"; AWS Developer Guide, "Distributed mode",
"ItemReader", "ItemBatcher", "ResultWriter"."""

from __future__ import annotations

from typing import Any

import pytest

from processor import InvalidDefinition, parse
from processor.model.definition import MapState
from processor.model.events import MachineType

READ = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"
INNER: dict[str, Any] = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}
ONLY = "There should only be one of the following fields:"
CONFIG = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def definition(*, config: Any = CONFIG, processor: Any = INNER, **fields: Any) -> dict[str, Any]:
    each = {"Type": "Map", "ItemProcessor": {**processor, "ProcessorConfig": config}, "End": True, **fields}
    return {"StartAt": "M", "States": {"M": each}}


def faults(definition: dict[str, Any], type: MachineType = "STANDARD") -> list[tuple[str, str]]:
    """Return pointer within the state, and message, of each fault."""
    try:
        parse(definition, type=type)
    except InvalidDefinition as invalid:
        return [(fault.pointer.removeprefix("/States/M"), fault.message) for fault in invalid.diagnostics]
    return []


def compiled(**fields: Any) -> MapState:
    state = parse(definition(**fields)).states["M"]
    assert isinstance(state, MapState)
    return state


def reader(resource: str = READ, parameters: Any = None, **config: Any) -> dict[str, Any]:
    return {"Resource": resource, "Parameters": parameters or {}, "ReaderConfig": config}


def test_everything_a_distributed_map_may_have() -> None:
    state = compiled(
        config={"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        Label="every-ü_1",
        ToleratedFailureCount=3,
        ToleratedFailurePercentage=5,
        MaxConcurrency=7,
        ItemReader={**reader(InputType="CSV", CSVHeaderLocation="GIVEN", CSVHeaders=["a"], MaxItems=9), "Comment": "c"},
        ItemBatcher={"MaxItemsPerBatch": 2, "MaxInputBytesPerBatch": 262_144, "BatchInput": [1]},
        ResultWriter={"WriterConfig": {"OutputType": "JSONL"}},
    )
    assert (state.mode, state.execution_type, state.label) == ("DISTRIBUTED", "EXPRESS", "every-ü_1")
    assert (state.tolerated_count, state.tolerated_percentage, state.max_concurrency) == (3, 5.0, 7)
    assert state.reader is not None and state.batcher is not None and state.writer is not None
    assert state.reader.config == {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a"]}
    assert state.reader.max_items == 9
    assert (state.batcher.max_items, state.batcher.max_bytes) == (2, 262_144)
    assert (state.writer.resource, state.writer.transformation, state.writer.output_type) == (None, "COMPACT", "JSONL")


def test_what_is_exported_are_records_unless_it_says_otherwise() -> None:
    place = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {}}
    for config, transformation in (({}, "NONE"), ({"WriterConfig": {"Transformation": "FLATTEN"}}, "FLATTEN")):
        writer = compiled(ResultWriter=place | config).writer
        assert writer is not None and writer.resource is not None
        assert (writer.resource.resource, writer.transformation, writer.output_type) == (
            "putObject",
            transformation,
            "JSON",
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"ItemReader": {"Resource": LIST, "Parameters": {"Bucket": "b"}}},
        {"ItemReader": {"Resource": LIST}},
        {"ItemReader": reader(InputType="MANIFEST")},
        {"ItemReader": reader(ManifestType="S3_INVENTORY")},
        {"ItemReader": reader(ManifestType="ATHENA_DATA", InputType="JSONL")},
        {"ItemReader": reader(LIST, Transformation="LOAD_AND_FLATTEN", InputType="PARQUET")},
        {"ItemReader": reader("arn:aws-us-gov:states:::s3:getObject", InputType="JSON", MaxItemsPath="$.n")},
        {"ItemBatcher": {"MaxInputBytesPerBatchPath": "$.n"}},
        {"ToleratedFailurePercentage": 0.5},
        {  # measured on AWS: taken at creation
            "config": {"Mode": "INLINE"},
            "ItemReader": reader(InputType="JSON"),
            "ItemBatcher": {"MaxItemsPerBatch": 1},
            "ResultWriter": {"WriterConfig": {}},
            "Label": "l",
            "ToleratedFailureCount": 1,
        },
    ],
)
def test_forms_that_are_accepted(fields: dict[str, Any]) -> None:
    assert faults(definition(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"config": {"Mode": "DISTRIBUTED"}},
         [("/ItemProcessor/ProcessorConfig", "These fields are required: [ExecutionType]")]),
        ({"Label": "a b"}, [("/Label", "Invalid Label name: Label 'a b' contains invalid characters")]),
        ({"Label": ""}, [("/Label", "Invalid Label name: Label '' contains invalid characters")]),
        ({"Label": "x" * 41},
         [("/Label", f"Invalid Label name: Label '{'x' * 41}' exceeds the 40-character limit allowed by the service")]),
        ({"Label": 5}, [("/Label", "Expected value of type [STRING]")]),
        ({"ToleratedFailureCount": -1}, [("/ToleratedFailureCount", "Minimum value is 0")]),
        ({"ToleratedFailurePercentage": 100.1}, [("/ToleratedFailurePercentage", "Maximum value is 100.0")]),
        ({"ToleratedFailurePercentage": "x"},
         [("/ToleratedFailurePercentage", "Expected value of type [NUMBER]")]),
        ({"ToleratedFailureCountPath": "nope"},
         [("/ToleratedFailureCountPath", "Value must be a valid JSONPath.")]),
        ({"ToleratedFailureCount": 1, "ToleratedFailureCountPath": "$.n"},
         [("", f"{ONLY} [ToleratedFailureCount, ToleratedFailureCountPath]")]),
        ({"ToleratedFailurePercentage": 1, "ToleratedFailurePercentagePath": "$.n"},
         [("", f"{ONLY} [ToleratedFailurePercentage, ToleratedFailurePercentagePath]")]),
        ({"ItemReader": {"Resource": READ}}, [("/ItemReader", "These fields are required: [ReaderConfig]")]),
        ({"ItemReader": reader(MaxItems=1)}, [("/ItemReader/ReaderConfig", "These fields are required: [InputType]")]),
        ({"ItemReader": {"ReaderConfig": {"InputType": "JSON"}}},
         [("/ItemReader", "These fields are required: [Resource]")]),
        ({"ItemReader": 5}, [("/ItemReader", "Expected value of type [OBJECT]")]),
        *[
            ({"ItemReader": reader(resource, InputType="JSON")},
             [("/ItemReader/Resource", "The field 'Resource' does not match any of the allowed values. Examples: "
              "[arn:<partition>:states:::s3:getObject, arn:<partition>:states:::s3:listObjectsV2]")])
            for resource in ("arn:aws:states:::s3:putObject", "arn:aws:states:::sqs:getObject", "arn:x", "getObject")
        ],
        ({"ItemReader": reader(InputType="XML")},
         [("/ItemReader/ReaderConfig/InputType",
           "The field 'InputType' should have one of these values: [MANIFEST, JSON, CSV, JSONL, PARQUET]")]),
        ({"ItemReader": reader(InputType="CSV", CSVHeaderLocation="GIVEN")},
         [("/ItemReader/ReaderConfig", "These fields are required: [CSVHeaders]")]),
        ({"ItemReader": reader(LIST, Transformation="LOAD_AND_FLATTEN")},
         [("/ItemReader/ReaderConfig", "Transformation LOAD_AND_FLATTEN requires the field InputType")]),
        ({"ItemReader": reader(ManifestType="S3_INVENTORY", InputType="JSON")},
         [("/ItemReader/ReaderConfig/InputType", "must not be given with the ManifestType S3_INVENTORY")]),
        ({"ItemReader": reader(InputType="JSON", MaxItems=1, MaxItemsPath="$.n")},
         [("/ItemReader/ReaderConfig", f"{ONLY} [MaxItems, MaxItemsPath]")]),
        ({"ItemReader": reader(InputType="JSON", MaxItems=-1)},
         [("/ItemReader/ReaderConfig/MaxItems", "Minimum value is 0")]),
        ({"ItemReader": reader(parameters={"Bucket.$": "no"}, InputType="JSON")},
         [("/ItemReader/Parameters", "The value for the field 'Bucket.$' must be a valid JSONPath or a valid intrinsic "
                                     "function call")]),
        ({"ItemBatcher": {"BatchInput": {}}},
         [("/ItemBatcher", "at least one of MaxItemsPerBatch, MaxItemsPerBatchPath, MaxInputBytesPerBatch, "
                           "MaxInputBytesPerBatchPath is required")]),
        ({"ItemBatcher": {"MaxItemsPerBatch": 0, "MaxInputBytesPerBatch": 262_145}},
         [("/ItemBatcher/MaxInputBytesPerBatch", "Maximum value is 262144")]),
        ({"ItemBatcher": {"MaxItemsPerBatch": 1, "MaxItemsPerBatchPath": "$.n"}},
         [("/ItemBatcher", f"{ONLY} [MaxItemsPerBatch, MaxItemsPerBatchPath]")]),
        ({"ResultWriter": {}},
         [("/ResultWriter", "either WriterConfig, or Resource and Parameters, or all three are required")]),
        ({"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject"}},
         [("/ResultWriter", "These fields are required: [Parameters]")]),
        ({"ResultWriter": {"Parameters": {}}}, [("/ResultWriter", "These fields are required: [Resource]")]),
        ({"ResultWriter": {"Resource": READ, "Parameters": {}, "WriterConfig": {"OutputType": "CSV"}}},
         [("/ResultWriter/WriterConfig/OutputType", "Value should be one of the following: [JSON, JSONL]"),
          ("/ResultWriter/Resource", f"must be arn:aws:states:::s3:putObject, got '{READ}'")]),
    ],
)  # fmt: skip
def test_what_is_refused(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert faults(definition(**fields)) == expected


def test_an_express_machine_has_no_distributed_map() -> None:
    """Documented: "supported in Standard workflows but not supported in Express workflows"."""
    expected = [
        (
            "/ItemProcessor/ProcessorConfig",
            "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines",
        )
    ]
    assert faults(definition(), "EXPRESS") == expected
    inner = definition()
    outer = definition(config={"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, processor=inner)
    outer["States"]["Outer"] = outer["States"].pop("M")
    outer["StartAt"] = "Outer"
    [(pointer, message)] = faults(outer)
    assert pointer == "/States/Outer/ItemProcessor/States/M/ItemProcessor/ProcessorConfig"
    assert message == expected[0][1]


def test_express_children_have_no_activities_the_states_around_them_do() -> None:
    activity = {"Type": "Task", "Resource": "arn:aws:states:us-east-1:111111111111:activity:a", "End": True}
    processor = {"StartAt": "I", "States": {"I": activity}}
    express = definition(config={"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, processor=processor)
    assert faults(express) == [
        ("/ItemProcessor/States/I/Resource", "Express state machine does not support Activity ARN")
    ]
    express["States"]["M"]["ItemProcessor"]["States"]["I"] = {"Type": "Pass", "End": True}
    express["States"]["M"] |= {"Next": "A"}
    del express["States"]["M"]["End"]
    express["States"]["A"] = activity
    assert faults(express) == []


def test_labels_are_unique() -> None:
    """Documented: "must be unique within a state machine definition"."""
    twice = definition(Label="l")
    del twice["States"]["M"]["End"]
    twice["States"]["M"]["Next"] = "N"
    processor = {"StartAt": "J", "States": {"J": {"Type": "Pass", "End": True}}, "ProcessorConfig": CONFIG}
    twice["States"]["N"] = {"Type": "Map", "Label": "l", "ItemProcessor": processor, "End": True}
    assert faults(twice) == [("/States/N/Label", "Duplicate Label name: l")]
