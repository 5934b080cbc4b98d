"""What a case's test had put into S3, read by its ItemReaders; its ResultWriters write as documented."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from processor import CompleteTask, FailTask, SubmitTask, TaskScheduled
from processor.interpreter.item_reader import ItemReaderFailed, Listed, pages, read_items
from processor.interpreter.result_writer import ResultWriterFailed, result_files
from processor.model.commands import AnyCommand


class CaseObjects:
    """`s3_objects` of a case. Everything was put there at once."""

    def __init__(self, objects: Iterable[dict[str, Any]]) -> None:
        self._bodies = {(o["bucket"], o["key"]): str(o["body"]).encode() for o in objects}

    def get(self, bucket: str, key: str, *, version: str | None) -> bytes | None:
        return self._bodies.get((bucket, key))

    def list(self, bucket: str, prefix: str) -> list[Listed]:
        return [
            Listed(key=key, size=len(body), etag=md5(body).hexdigest(), modified=datetime.fromtimestamp(0, UTC))
            for (place, key), body in sorted(self._bodies.items())
            if place == bucket and key.startswith(prefix)
        ]


def written_of(task: TaskScheduled) -> AnyCommand:
    """Return what an executor answers a ResultWriter's `task` with: nobody looks at the files."""
    try:
        return CompleteTask.of(task, result_files(task.arguments)[2])
    except ResultWriterFailed as failure:
        return FailTask.of(task, error=failure.error, cause=failure.cause)


def page_of(task: TaskScheduled, objects: CaseObjects, *, index: int) -> AnyCommand:
    """Return what an executor answers `task` with after `index` pages."""
    try:
        read = list(pages(read_items(task.resource, task.arguments, objects)))
    except ItemReaderFailed as failure:
        return FailTask.of(task, error=failure.error, cause=failure.cause)
    return (CompleteTask if index == len(read) - 1 else SubmitTask).of(task, read[index])
