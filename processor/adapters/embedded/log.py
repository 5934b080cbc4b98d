"""The embedded log as a whole: topics, and the parties that read and write them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from processor.adapters.embedded.feed import EmbeddedFeed
from processor.adapters.embedded.inbox import EmbeddedInbox
from processor.adapters.embedded.store import MAX_RECORD_BYTES, Group, Store
from processor.engine.ports import Backlog, Findings, Message, Record
from processor.engine.staging import record_bytes
from processor.engine.topics import Difference, TopicNames, TopicSpec, differences
from processor.errors import InvalidCommand, TopicsUnfit

READ_RECORDS = 500
READ_BYTES = 4 << 20


class EmbeddedOutbox:
    """May be used by several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def send(self, messages: Sequence[Message]) -> None:
        """All in one transaction, so none is written where this raises.

        Raises InvalidCommand for a record that is too large, TopicsUnfit for a topic that is not there.
        """
        for message in messages:
            size = record_bytes(message)
            if size > MAX_RECORD_BYTES:
                rule = f"must take at most {MAX_RECORD_BYTES} bytes, key, value and headers together"
                raise InvalidCommand(where=f"record of {message.topic}", rule=rule, value=size)
        if messages:
            self._store.append(messages)

    def close(self) -> None:
        self._store.close()


class EmbeddedReader:
    def __init__(self, store: Store) -> None:
        self._store = store

    def partitions(self, topic: str) -> int | None:
        return self._store.partitions(topic)

    def end(self, topic: str, partition: int) -> int:
        return self._store.ends(topic).get(partition, 0)

    def read(self, topic: str, partition: int, *, start: int = 0, end: int | None = None) -> Iterator[Record]:
        # The end is taken now, not at the first `next`: a plain function around the generator.
        last = self.end(topic, partition)
        return self._records(topic, partition, start, last if end is None else min(end, last))

    def close(self) -> None:
        self._store.close()

    def _records(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        while start < end:
            records = self._store.fetch(
                topic, partition, start=start, end=end, max_records=READ_RECORDS, max_bytes=READ_BYTES
            )
            if not records:
                return
            yield from records
            start = records[-1].offset + 1


class EmbeddedSurvey:
    """Commands are kept for ever, and no reader waits for a transaction."""

    def __init__(self, store: Store, names: TopicNames) -> None:
        self._store, self._commands = store, names.commands
        self._group = Group(names.processor_group, names.commands)

    def look(self, partitions: Sequence[int]) -> Findings:
        ends = self._store.ends(self._commands)
        backlogs = {partition: self._backlog(partition, ends.get(partition, 0)) for partition in partitions}
        return Findings(backlogs=backlogs, retention_ms=None, held_seconds={}, hanging=0)

    def close(self) -> None:
        self._store.close()

    def _backlog(self, partition: int, end: int) -> Backlog:
        start = self._store.committed(self._group, partition) or 0
        first = self._store.fetch(self._commands, partition, start=start, end=end, max_records=1, max_bytes=READ_BYTES)
        return Backlog(records=max(0, end - start), oldest=first[0].time if first else None)


class EmbeddedLog(ABC):
    def __init__(self, *, address: str, names: TopicNames) -> None:
        self._address, self._names = address, names

    @property
    def address(self) -> str:
        return self._address

    @property
    def names(self) -> TopicNames:
        return self._names

    @abstractmethod
    def store(self) -> Store:
        """A new access to the store, for one party; it is the party that closes it."""

    def inbox(self, *, slot: str) -> EmbeddedInbox:
        self._check_counts()
        return EmbeddedInbox(self.store(), names=self.names, slot=slot)

    def feed(self, topic: str, *, group: str, from_beginning: bool) -> EmbeddedFeed:
        with _closing(self.store()) as store:
            if store.partitions(topic) is None:
                raise TopicsUnfit([f"{topic}: does not exist"])
        return EmbeddedFeed(self.store(), topic=topic, group=group, from_beginning=from_beginning)

    def outbox(self) -> EmbeddedOutbox:
        return EmbeddedOutbox(self.store())

    def atomic_outbox(self, name: str) -> EmbeddedOutbox:
        return self.outbox()

    def reader(self) -> EmbeddedReader:
        return EmbeddedReader(self.store())

    def survey(self) -> EmbeddedSurvey:
        return EmbeddedSurvey(self.store(), self.names)

    def at_work(self) -> Sequence[str]:
        with _closing(self.store()) as store:
            return tuple(
                f"{member} of group {group} is alive" for group, member in store.members() if self.names.is_group(group)
            )

    def committed(self) -> Mapping[int, int]:
        with _closing(self.store()) as store:
            return store.offsets(Group(self.names.processor_group, self.names.commands))

    def create_topics(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        with _closing(self.store()) as store:
            return tuple(spec.name for spec in specs if store.create(spec))

    def check_topics(self, specs: Sequence[TopicSpec]) -> Sequence[Difference]:
        with _closing(self.store()) as store:
            return tuple(
                difference
                for spec in specs
                for difference in differences(
                    spec, partitions=store.partitions(spec.name), config=store.config(spec.name)
                )
            )

    def expire(self, member: EmbeddedInbox | EmbeddedFeed) -> None:
        """Do to a member what happens when it is not heard of for too long; for tests."""
        with _closing(self.store()) as store:
            store.expire(member.member)

    @abstractmethod
    def close(self) -> None: ...

    def _check_counts(self) -> None:
        with _closing(self.store()) as store:
            counts = {topic: store.partitions(topic) for topic in self.names.co_partitioned}
        problems = [f"{topic}: does not exist" for topic, count in counts.items() if count is None]
        if not problems and len(set(counts.values())) > 1:
            problems = [f"{topic}: has {count} partitions, all must have the same" for topic, count in counts.items()]
        if problems:
            raise TopicsUnfit(problems)


class _closing:
    """As contextlib.closing, but typed for a Protocol."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()
