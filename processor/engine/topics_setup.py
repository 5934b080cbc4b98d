"""Creates the topics and refuses to work on a set that does not fit together."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from processor.engine.encoding import decode_definition_record, decode_migration, encode_definition_record
from processor.engine.ports import Log, Message, Reader, Record
from processor.engine.topics import (
    DEFAULT_PARTITIONS,
    DEFAULT_RETENTION,
    MIGRATED_KEY,
    ORIGIN_KEY,
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
        co_partitioned = dict.fromkeys(log.names.co_partitioned, partitions)
        if standing := unlike(counts_of(reader, co_partitioned), co_partitioned):
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
    """As verify_counts. Raises TopicsUnfit also where the topics were migrated to another prefix."""
    count = verify_counts(reader, names)
    refuse_migrated(reader, names)
    return count


def refuse_migrated(reader: Reader, names: TopicNames) -> None:
    """Raise TopicsUnfit where the topics were migrated: what is written to them goes nowhere."""
    moved = migrated_to(reader, names)
    if moved is not None:
        raise TopicsUnfit([migrated_message(names, moved)])


def migrated_message(names: TopicNames, prefix: str) -> str:
    return f"{names.definitions}: the topics were migrated; they go on with --prefix {prefix}"


def verify_counts(reader: Reader, names: TopicNames) -> int:
    """Return the one partition count of commands, events, snapshots, closed and timers.

    Raises TopicsUnfit, naming each topic that is missing, that differs, or that was changed since its creation:
    an execution's records would no longer be found where they were written.
    """
    counts = counts_of(reader, names.all)
    problems = [f"{topic}: does not exist; asl topics create makes it" for topic, n in counts.items() if n is None]
    if problems:
        raise TopicsUnfit(problems)
    recorded = recorded_partitions(reader, names)
    if recorded is None:
        raise TopicsUnfit([f"{names.definitions}: holds no partition count; asl topics create writes it"])
    created = dict.fromkeys(names.co_partitioned, recorded)
    if problems := unlike(counts, created, which="it was created with"):
        raise TopicsUnfit(problems)
    return recorded


def counts_of(reader: Reader, topics: Iterable[str]) -> dict[str, int | None]:
    """Return how many partitions each has; None of one that does not exist."""
    return {topic: reader.partitions(topic) for topic in topics}


def unlike(
    counts: Mapping[str, int | None],
    wanted: Mapping[str, int | None],
    *,
    which: str = "asked for; a topic keeps those it was made with",
) -> list[str]:
    """Return a line for each topic that has another count than the one wanted, None being any."""
    return [
        f"{topic}: has {counts[topic] or 'no'} partitions, not the {count} {which}"
        for topic, count in wanted.items()
        if count not in (None, counts[topic])
    ]


def recorded_partitions(reader: Reader, names: TopicNames) -> int | None:
    """Return the count written at creation, the last that can be read; None where there is none."""
    found = None
    for record in _of_the_topics(reader, names, PARTITIONS_KEY):
        if record.value is not None:
            try:
                decoded = decode_definition_record(record.value)
            except DecodingFailed as fault:  # the topics' own counts still have to agree with what is found
                log.error("partition_count_unreadable", extra={"offset": record.offset, "reason": fault.reason})
                continue
            if isinstance(decoded, PartitionCount):
                found = decoded.partitions
    return found


def migrated_to(reader: Reader, names: TopicNames) -> str | None:
    """Return the prefix that the topics were migrated to; None where they were not, or that was taken back."""
    found = None
    for record in _of_the_topics(reader, names, MIGRATED_KEY):
        found = migrated_prefix(record)
    return found


def origins(reader: Reader, names: TopicNames) -> list[str]:
    """Return the prefixes that the topics were carried over from."""
    keys = (record.key or b"" for record in _of_the_topics(reader, names, ORIGIN_KEY))
    return [key[len(ORIGIN_KEY) :].decode() for key in keys]


def migrated_prefix(mark: Record) -> str | None:
    """Return what a record under the key `#migrated` says; one that cannot be read says nothing."""
    try:
        return None if mark.value is None else decode_migration(mark.value).prefix
    except DecodingFailed as fault:
        log.error("migration_unreadable", extra={"offset": mark.offset, "reason": fault.reason})
        return None


def _of_the_topics(reader: Reader, names: TopicNames, key: bytes) -> Iterator[Record]:
    if reader.partitions(names.definitions) is not None:
        yield from (r for r in reader.read(names.definitions, 0) if (r.key or b"").startswith(key))
