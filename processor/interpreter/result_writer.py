"""What a ResultWriter's executor writes: the files of a Map run, and what it answers. Pure: whoever writes them is
handed the bytes.

Layout and names: AWS Developer Guide, "ResultWriter (Map)": one file for each status there is, and a manifest, below
`<Prefix>/<id of the run>/`.
"""

from __future__ import annotations

from collections.abc import Mapping

from processor.model.json import Json, json_bytes


class ResultWriterFailed(Exception):
    """The results cannot be written; `cause` is what FailTask says, its error is States.ResultWriterFailed."""

    error = "States.ResultWriterFailed"

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def result_files(arguments: Json) -> tuple[str, dict[str, bytes], Json]:
    """Return the bucket, the files by key, and the output of the task, for `arguments` of a TaskScheduled.

    Raises ResultWriterFailed where no bucket is named.
    """
    asked = _object(arguments)
    parameters, results = _object(asked.get("Parameters")), _object(asked.get("Results"))
    bucket, prefix = parameters.get("Bucket"), parameters.get("Prefix")
    if not isinstance(bucket, str) or not bucket:
        raise ResultWriterFailed(f"The parameter Bucket must be a string, got {json_bytes(bucket).decode()[:200]}")
    map_run = str(asked.get("MapRunArn"))
    folder = f"{prefix.rstrip('/')}/" if isinstance(prefix, str) and prefix.strip("/") else ""
    folder += map_run.rpartition(":")[2]
    lines = _object(asked.get("WriterConfig")).get("OutputType") == "JSONL"
    files: dict[str, bytes] = {}
    listed: dict[str, Json] = {}
    for status in ("FAILED", "PENDING", "SUCCEEDED"):
        records = results.get(status)
        listed[status] = []
        if isinstance(records, list) and records:
            key = f"{folder}/{status}_0.{'jsonl' if lines else 'json'}"
            files[key] = b"".join(json_bytes(record) + b"\n" for record in records) if lines else json_bytes(records)
            listed[status] = [{"Key": key, "Size": len(files[key])}]
    manifest = f"{folder}/manifest.json"
    files[manifest] = json_bytes({"DestinationBucket": bucket, "MapRunArn": map_run, "ResultFiles": listed})
    return bucket, files, {"MapRunArn": map_run, "ResultWriterDetails": {"Bucket": bucket, "Key": manifest}}


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
