"""What a ResultWriter's executor writes. Documented: AWS Developer Guide, "ResultWriter (Map)"."""

from __future__ import annotations

from typing import Any

import pytest

from processor.interpreter.result_writer import ResultWriterFailed, result_files
from processor.model.json import Json, parse_json

RUN = "arn:aws:states:us-east-1:111111111111:mapRun:m/L:0a1b"


def asked(parameters: Any, *, output_type: str = "JSON", **results: Any) -> Json:
    config: Json = {"Transformation": "COMPACT", "OutputType": output_type}
    return {"Parameters": parameters, "WriterConfig": config, "MapRunArn": RUN, "Results": results}


def test_each_status_has_a_file_and_a_manifest_names_them() -> None:
    bucket, files, output = result_files(asked({"Bucket": "b", "Prefix": "jobs"}, SUCCEEDED=[1, "x"], FAILED=[]))
    assert bucket == "b"
    assert {key: parse_json(content) for key, content in files.items()} == {
        "jobs/0a1b/SUCCEEDED_0.json": [1, "x"],
        "jobs/0a1b/manifest.json": {
            "DestinationBucket": "b",
            "MapRunArn": RUN,
            "ResultFiles": {
                "FAILED": [],
                "PENDING": [],
                "SUCCEEDED": [{"Key": "jobs/0a1b/SUCCEEDED_0.json", "Size": 7}],
            },
        },
    }
    assert output == {
        "MapRunArn": RUN,
        "ResultWriterDetails": {"Bucket": "b", "Key": "jobs/0a1b/manifest.json"},
    }


@pytest.mark.parametrize(("prefix", "folder"), [(None, ""), ("", ""), ("/", ""), ("a/b/", "a/b/")])
def test_a_prefix_is_a_folder(prefix: str | None, folder: str) -> None:
    _, files, _ = result_files(asked({"Bucket": "b", "Prefix": prefix}))
    assert list(files) == [f"{folder}0a1b/manifest.json"]


def test_json_lines_have_a_line_for_each_result() -> None:
    _, files, _ = result_files(asked({"Bucket": "b"}, output_type="JSONL", FAILED=[{"a": 1}, 2]))
    assert files["0a1b/FAILED_0.jsonl"] == b'{"a":1}\n2\n'


def test_without_a_bucket_there_is_nowhere_to_write() -> None:
    for arguments in (asked({}), asked({"Bucket": ""}), 5):
        with pytest.raises(ResultWriterFailed, match=r"The parameter Bucket must be a string") as failed:
            result_files(arguments)
        assert failed.value.error == "States.ResultWriterFailed"
