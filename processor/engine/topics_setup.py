"""Creates the topics and refuses to work on a set that does not fit together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from processor.engine.encoding import decode_definition_record, encode_definition_record
from processor.engine.ports import Log, Message, Reader
from processor.engine.topics import (
    DEFAULT_PARTITIONS,
    DEFAULT_RETENTION,
    PARTITIONS_KEY,
    Difference,
    TopicNames,
    topic_specs,
)
from processor.errors import DecodingFailed, TopicsUnfit
from processor.model.records import PartitionCount

log = logging.getLogger(__name__)


def create_topics(
    log: Log,
    *,
    partitions: int = DEFAULT_PARTITIONS,
    task_partitions: int | None = None,
    retention: timedelta = DEFAULT_RETENTION,
) -> Sequence[str]:
    """Create what is missing, write the partition count down once, and return the names of the new topics.

    Raises TopicsUnfit where the topics stand with another count.
    """
    reader, outbox = log.reader(), log.outbox()
    try:
        specs = topic_specs(log.names, partitions=partitions, task_partitions=task_partitions, retention=retention)
        created = log.create_topics(specs)
        standing = [
            f"{t}: has {n} partitions, not {partitions}" for t, n in _counts(reader, log.names) if n != partitions
        ]
        if standing:
            raise TopicsUnfit(standing)
        if recorded_partitions(reader, log.names) is None:
            record = encode_definition_record(PartitionCount(partitions=partitions))
            outbox.send([Message(topic=log.names.definitions, key=PARTITIONS_KEY, value=record, partition=0)])
        verify_partitions(reader, log.names)
    finally:
        reader.close()
        outbox.close()
    return created


def check_topics(
    log: Log,
    *,
    partitions: int | None = None,
    task_partitions: int | None = None,
    retention: timedelta = DEFAULT_RETENTION,
) -> list[Difference]:
    """Return every difference between the topics and those that `create_topics` would make. A count that is not given
    is the one that was written down at their creation, that of tasks the one it has."""
    reader, names = log.reader(), log.names
    try:
        recorded = recorded_partitions(reader, names)
        count = partitions or recorded or reader.partitions(names.commands) or DEFAULT_PARTITIONS
        tasks = task_partitions or reader.partitions(names.tasks)
        standing = reader.partitions(names.definitions) is not None
    finally:
        reader.close()
    found = list(log.check_topics(topic_specs(names, partitions=count, task_partitions=tasks, retention=retention)))
    if standing and recorded != count:
        told = "" if recorded is None else str(recorded)
        found.append(
            Difference(topic=names.definitions, setting=PARTITIONS_KEY.decode(), expected=str(count), found=told)
        )
    return found


def verify_partitions(reader: Reader, names: TopicNames) -> int:
    """Return the one partition count of commands, events, snapshots, closed and timers.

    Raises TopicsUnfit, naming each topic that is missing, that differs, or that was changed since its creation:
    an execution's records would no longer be found where they were written.
    """
    counts = {topic: reader.partitions(topic) for topic in names.all}
    problems = [f"{topic}: does not exist; asl topics create makes it" for topic, n in counts.items() if n is None]
    if problems:
        raise TopicsUnfit(problems)
    recorded = recorded_partitions(reader, names)
    if recorded is None:
        raise TopicsUnfit([f"{names.definitions}: holds no partition count; asl topics create writes it"])
    problems = [
        f"{topic}: has {counts[topic]} partitions, and was created with {recorded}"
        for topic in names.co_partitioned
        if counts[topic] != recorded
    ]
    if problems:
        raise TopicsUnfit(problems)
    return recorded


def _counts(reader: Reader, names: TopicNames) -> list[tuple[str, int | None]]:
    return [(topic, reader.partitions(topic)) for topic in names.co_partitioned]


def recorded_partitions(reader: Reader, names: TopicNames) -> int | None:
    """Return the count written at creation, the last that can be read; None where there is none."""
    if reader.partitions(names.definitions) is None:
        return None
    found = None
    for record in reader.read(names.definitions, 0):
        if record.key == PARTITIONS_KEY and record.value is not None:
            try:
                decoded = decode_definition_record(record.value)
            except DecodingFailed as fault:  # the topics' own counts still have to agree with what is found
                log.error("partition_count_unreadable", extra={"offset": record.offset, "reason": fault.reason})
                continue
            if isinstance(decoded, PartitionCount):
                found = decoded.partitions
    return found
