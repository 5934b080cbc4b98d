"""Carrying the topics over to another prefix, with another number of partitions, while no role is at work.

    1. nobody is at work on either; the new topics are made, or are those that a run before this one has begun to fill
    2. every record goes where its execution now belongs, but for the commands not yet applied; what stands in the new
       topics is read and compared with what was there to be carried over
    3. `definitions` says that the topics were migrated: no role begins any more; whoever began before that is seen
    4. the commands that were not yet applied, likewise
    5. where they come from, and the count of partitions, without which no processor starts on the new topics

So a run that died is gone on with: each write is all or nothing, and what is there is not written again. How a record
is carried over is in carrying.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from processor.engine.carrying import Carrier, Moved
from processor.engine.dealt_with import DealtWith, Named
from processor.engine.encoding import decode_snapshot_record, encode_definition_record, skim_events
from processor.engine.ports import Clock, Log, Message, Reader
from processor.engine.topics import MIGRATED_KEY, ORIGIN_KEY, TopicNames, TopicSpec, topic_specs
from processor.engine.topics_setup import (
    counts_of,
    create_topics,
    migrated_to,
    origins,
    recorded_partitions,
    unlike,
    verify_counts,
)
from processor.errors import DecodingFailed, MigrationRefused
from processor.model.ids import CHECKPOINT_KEY
from processor.model.records import Checkpoint, Migration


def migrate(
    source: Log,
    target: Log,
    *,
    partitions: int,
    task_partitions: int | None = None,
    retention: timedelta,
    clock: Clock,
    wait: Callable[[Sequence[str]], bool],
    told: Callable[[Moved], None],
) -> None:
    """Carry everything over; `told` hears of each topic once it is verified.

    `wait` is told who is at work still; it waits a little and returns whether to look again. Raises
    MigrationRefused where going on would lose or double something. Whatever it raises, nothing is lost: the source
    stands as it was, and this can be called again.
    """
    specs = topic_specs(target.names, partitions=partitions, task_partitions=task_partitions, retention=retention)
    reader, written, outbox = source.reader(), target.reader(), target.atomic_outbox("migration")
    try:
        verify_counts(reader, source.names)
        marked = _check_prefixes(reader, written, source.names, target.names)
        _await_rest(source, wait)  # (1)
        target.create_topics(specs)
        _check_counts(written, specs)
        outbox.send(())  # a run that is still under way is shut out, before what it wrote is read
        _await_rest(target, wait)
        carrier = Carrier(reader, written, outbox, source=source.names, target=target.names)
        others = [topic for topic in carrier.order if topic != source.names.commands]
        for topic in others:
            told(carrier.carry(topic))  # (2)
        if not marked:
            _mark(source, Migration(prefix=target.names.prefix, time=clock.now()))  # (3)
        try:
            _await_rest(source, lambda _: False)
            carrier.refuse_growth(others)
        except MigrationRefused:
            if not marked:  # else commands may stand there already, and must not be applied here too
                _mark(source, None)
            raise
        told(carrier.carry(source.names.commands, dealt_with=_dealt_with(source, reader)))  # (4)
        _name_origins(target, {source.names.prefix, *origins(reader, source.names)}, clock)
        create_topics(target, partitions=partitions, task_partitions=task_partitions, retention=retention)  # (5)
    finally:
        outbox.close()
        written.close()
        reader.close()


def _check_prefixes(reader: Reader, written: Reader, source: TopicNames, target: TopicNames) -> bool:
    """Return whether an earlier run has said already that the topics were migrated."""
    if source.prefix == target.prefix:
        raise MigrationRefused([f"{target.prefix} is where the topics are"])
    moved = migrated_to(reader, source)
    if moved not in (None, target.prefix):
        raise MigrationRefused([f"{source.prefix} was migrated to {moved}"])
    if recorded_partitions(written, target) is not None:
        done = f"{source.prefix} was migrated to {target.prefix} already"
        raise MigrationRefused([done if moved else f"{target.prefix} is in use: its topics are a log of their own"])
    return moved is not None


def _check_counts(written: Reader, specs: tuple[TopicSpec, ...]) -> None:
    wanted = {spec.name: spec.partitions for spec in specs}
    if wrong := unlike(counts_of(written, wanted), wanted):
        raise MigrationRefused(wrong)


def _await_rest(log: Log, wait: Callable[[Sequence[str]], bool]) -> None:
    while busy := log.at_work():
        if not wait(busy):
            raise MigrationRefused([f"{line}; stop every role first" for line in busy])


def _mark(source: Log, migration: Migration | None) -> None:
    value = None if migration is None else encode_definition_record(migration)
    outbox = source.outbox()
    try:
        outbox.send([Message(topic=source.names.definitions, key=MIGRATED_KEY, value=value, partition=0)])
    finally:
        outbox.close()


def _name_origins(target: Log, prefixes: set[str], clock: Clock) -> None:
    """Replies that were asked for under another prefix are owed still."""
    told = {prefix: encode_definition_record(Migration(prefix=prefix, time=clock.now())) for prefix in sorted(prefixes)}
    outbox, topic = target.outbox(), target.names.definitions
    try:
        outbox.send([Message(topic=topic, key=ORIGIN_KEY + p.encode(), value=v, partition=0) for p, v in told.items()])
    finally:
        outbox.close()


def _dealt_with(source: Log, reader: Reader) -> Callable[[int], DealtWith]:
    """Return what tells of a partition which commands were dealt with: as a processor finds it, that comes back."""
    committed, names = source.committed(), source.names

    def of(partition: int) -> DealtWith:
        position = committed.get(partition)
        if position is not None and position >= reader.end(names.commands, partition):
            return DealtWith(position=position)  # as where roles were stopped: nothing of the events need be read
        start, done = _checkpoint(reader, names, partition)
        named = Named(done=done)
        for record in reader.read(names.events, partition, start=start):
            if record.value is not None:
                named.note(skim_events(record.value), record)
        return named.dealt_with(named.first_command if position is None else position)

    return of


def _checkpoint(reader: Reader, names: TopicNames, partition: int) -> tuple[int, int | None]:
    """Return where the events begin that it does not cover, and the next command then: None where the checkpoint that
    stands cannot be used. The snapshots beside it may be unreadable: what it says of commands is true all the same."""
    value = None
    for record in reader.read(names.snapshots, partition):
        if record.key == CHECKPOINT_KEY.encode() and record.value is not None:
            value = record.value
    if value is None:
        return 0, 0
    try:
        found = decode_snapshot_record(value)
    except DecodingFailed:
        return 0, None
    if not isinstance(found, Checkpoint) or found.partitions != reader.partitions(names.commands):
        return 0, None
    return found.position, found.commands_offset
