"""Records of the other topics: one schema each, told apart by its fingerprint where a topic has two."""

from __future__ import annotations

from typing import cast

from processor.engine.encoding.codec import shipped_codec
from processor.model.records import (
    Checkpoint,
    ClosedExecution,
    Definition,
    Migration,
    PartitionCount,
    Rejection,
    Reply,
    Snapshot,
    Task,
    Timer,
)


def encode_timer(timer: Timer) -> bytes:
    return shipped_codec().encode(timer)


def decode_timer(value: bytes) -> Timer:
    """Raises DecodingFailed, as all that follow; UnknownSchema where a newer release wrote the value."""
    return cast(Timer, shipped_codec().decode(value, roots=("Timer",)))


def encode_task(task: Task) -> bytes:
    return shipped_codec().encode(task)


def decode_task(value: bytes) -> Task:
    return cast(Task, shipped_codec().decode(value, roots=("Task",)))


def encode_definition_record(record: Definition | PartitionCount | Migration) -> bytes:
    return shipped_codec().encode(record)


def decode_definition_record(value: bytes) -> Definition | PartitionCount:
    return cast("Definition | PartitionCount", shipped_codec().decode(value, roots=("Definition", "PartitionCount")))


def decode_migration(value: bytes) -> Migration:
    return cast(Migration, shipped_codec().decode(value, roots=("Migration",)))


def encode_reply(reply: Reply) -> bytes:
    return shipped_codec().encode(reply)


def decode_reply(value: bytes) -> Reply:
    return cast(Reply, shipped_codec().decode(value, roots=("Reply",)))


def encode_rejection(rejection: Rejection) -> bytes:
    return shipped_codec().encode(rejection)


def decode_rejection(value: bytes) -> Rejection:
    return cast(Rejection, shipped_codec().decode(value, roots=("Rejection",)))


def encode_snapshot_record(record: Snapshot | Checkpoint) -> bytes:
    return shipped_codec().encode(record)


def decode_snapshot_record(value: bytes) -> Snapshot | Checkpoint:
    return cast("Snapshot | Checkpoint", shipped_codec().decode(value, roots=("Snapshot", "Checkpoint")))


def encode_closed(record: ClosedExecution) -> bytes:
    return shipped_codec().encode(record)


def decode_closed(value: bytes) -> ClosedExecution:
    return cast(ClosedExecution, shipped_codec().decode(value, roots=("ClosedExecution",)))
