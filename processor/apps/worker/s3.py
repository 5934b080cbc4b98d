"""A worker for the readers and writers of distributed Maps, over whatever holds the objects."""

from __future__ import annotations

from typing import Protocol

from processor.apps.worker.sdk import TaskContext, TaskError, Worker
from processor.interpreter.item_reader import ItemReaderFailed, Objects, pages, read_items
from processor.interpreter.result_writer import ResultWriterFailed, result_files
from processor.model.json import Json


class WritableObjects(Objects, Protocol):
    """Objects that can be written too."""

    def put(self, bucket: str, key: str, content: bytes) -> bool:
        """Write an object; return whether it has a place."""


def s3_worker(objects: WritableObjects, *, name: str = "s3") -> Worker:
    """Return a worker that reads ItemReaders' items from `objects`, page by page, and writes ResultWriters' files."""
    worker = Worker(name)
    for action in ("getObject", "listObjectsV2"):
        worker.task(f"s3:{action}")(_Reader(action, objects))

    @worker.task("s3:putObject")
    def write(arguments: Json) -> Json:
        try:
            bucket, files, output = result_files(arguments)
            for key, content in files.items():
                if not objects.put(bucket, key, content):
                    raise ResultWriterFailed(f"The object has no place: S3://{bucket}/{key}")
        except ResultWriterFailed as failure:
            raise TaskError(failure.error, failure.cause) from None
        return output

    return worker


class _Reader:
    def __init__(self, action: str, objects: Objects) -> None:
        self._action, self._objects = action, objects

    def __call__(self, arguments: Json, context: TaskContext) -> Json:
        try:
            *first, last = pages(read_items(self._action, arguments, self._objects))
        except ItemReaderFailed as failure:
            raise TaskError(failure.error, failure.cause) from None
        for page in first:
            context.submit(page)
        return last
