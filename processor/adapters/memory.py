"""The log in memory: one object, shared by every party of one process, gone with it.

Deterministic, and never sleeps where the timeout is 0: tests run two processors side by side on it, `asl run` and
`asl dev` run each role in a thread. What a lease does elsewhere a test does here, by `expire`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from processor.adapters.clock import SystemClock
from processor.adapters.embedded.groups import Owner, next_step
from processor.adapters.embedded.log import EmbeddedLog
from processor.adapters.embedded.store import Change, Group, Member
from processor.engine.ports import Clock, Message, Record
from processor.engine.topics import TopicNames, TopicSpec, partition_of
from processor.errors import SlotTaken, TopicsUnfit


class MemoryLog(EmbeddedLog):
    def __init__(self, names: TopicNames | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(address="memory:", names=names or TopicNames())
        self._store = MemoryStore(clock or SystemClock())

    def under(self, names: TopicNames) -> MemoryLog:
        """Return what else is in the same memory, under another prefix."""
        other = MemoryLog(names)
        other._store = self._store
        return other

    def store(self) -> MemoryStore:
        return self._store

    def refuse_commits(self, count: int) -> None:
        """Let the next `count` transactions fail although their owner is in order; for tests of redelivery."""
        self._store.refused = count

    def close(self) -> None:
        pass


class _GroupState:
    def __init__(self) -> None:
        self.members: dict[str, str] = {}
        self.owners: dict[int, Owner] = {}
        self.epochs: dict[int, int] = {}
        self.offsets: dict[int, int] = {}

    def owns(self, member: Member, partition: int, epoch: int) -> bool:
        """A member whose slot was taken owns nothing, from the moment the other joined."""
        mine = Owner(member.name, member.incarnation)
        current = self.members.get(member.name) == member.incarnation
        return current and self.owners.get(partition) == mine and self.epochs[partition] == epoch


class MemoryStore:
    """One lock around everything; who waits for news waits on its condition."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._version = 0
        self._topics: dict[str, tuple[list[Record], ...]] = {}
        self._configs: dict[str, Mapping[str, str]] = {}
        self._groups: dict[Group, _GroupState] = {}
        self._joined = 0
        self.refused = 0

    # ---- records

    def create(self, spec: TopicSpec) -> bool:
        with self._changed:
            if spec.name in self._topics:
                return False
            self._topics[spec.name] = tuple([] for _ in range(spec.partitions))
            self._configs[spec.name] = spec.config
            self._note()
            return True

    def partitions(self, topic: str) -> int | None:
        with self._changed:
            partitions = self._topics.get(topic)
            return None if partitions is None else len(partitions)

    def config(self, topic: str) -> Mapping[str, str]:
        with self._changed:
            return self._configs.get(topic, {})

    def ends(self, topic: str) -> Mapping[int, int]:
        with self._changed:
            return {p: len(records) for p, records in enumerate(self._topics.get(topic, ()))}

    def fetch(
        self, topic: str, partition: int, *, start: int, end: int, max_records: int, max_bytes: int
    ) -> Sequence[Record]:
        with self._changed:
            # Nothing is ever removed here, so an offset is an index.
            records = self._topics[topic][partition][start : min(end, start + max_records)]
        size = 0
        for count, record in enumerate(records):
            size += len(record.value or b"")
            if size > max_bytes and count:
                return records[:count]
        return records

    def append(self, messages: Sequence[Message]) -> None:
        with self._changed:
            self._write(messages)

    def commit(
        self,
        messages: Sequence[Message],
        *,
        member: Member,
        offsets: Mapping[int, int],
        epochs: Mapping[int, int],
        attempts: Mapping[int, int],  # nobody is left to be told: what dies here takes the log with it
    ) -> bool:
        with self._changed:
            group = self._group(member.group)
            if not all(group.owns(member, p, epochs[p]) for p in offsets):
                return False
            if self.refused > 0:
                self.refused -= 1
                return False
            self._write(messages)
            group.offsets.update(offsets)
            return True

    # ---- groups

    def committed(self, group: Group, partition: int) -> int | None:
        with self._changed:
            return self._group(group).offsets.get(partition)

    def offsets(self, group: Group) -> Mapping[int, int]:
        with self._changed:
            return dict(self._groups[group].offsets) if group in self._groups else {}

    def members(self) -> Sequence[tuple[str, str]]:
        with self._changed:
            return [(group.name, member) for group, state in self._groups.items() for member in state.members]

    def remember(self, group: Group, partition: int, offset: int) -> None:
        with self._changed:
            self._group(group).offsets[partition] = offset

    def join(self, group: Group, *, slot: str | None) -> Member:
        with self._changed:
            self._joined += 1
            member = Member(group=group, name=slot or f"member-{self._joined:06}", incarnation=str(self._joined))
            self._group(group).members[member.name] = member.incarnation
            self._note()
            return member

    def sync(self, member: Member, held: Mapping[int, int]) -> Change:
        with self._changed:
            group = self._group(member.group)
            incarnation = group.members.setdefault(member.name, member.incarnation)
            if incarnation != member.incarnation:
                raise SlotTaken(slot=member.name, reason="it joined later than this one")
            lost = {p for p, epoch in held.items() if not group.owns(member, p, epoch)}
            partitions = len(self._topics[member.group.topic])
            step = next_step(group.members, group.owners, me=member.name, partitions=partitions)
            for partition in step.released:
                del group.owners[partition]
            for partition in step.taken:
                group.owners[partition] = Owner(member.name, member.incarnation)
                group.epochs[partition] = group.epochs.get(partition, 0) + 1
            if step.released or step.taken:
                self._note()
            return Change(lost=tuple(sorted(lost.union(step.released))), taken={p: group.epochs[p] for p in step.taken})

    def leave(self, member: Member, *, orderly: bool) -> None:
        self.expire(member)

    def expire(self, member: Member) -> None:
        with self._changed:
            group = self._group(member.group)
            mine = Owner(member.name, member.incarnation)
            group.owners = {p: owner for p, owner in group.owners.items() if owner != mine}
            if group.members.get(member.name) == member.incarnation:
                del group.members[member.name]
            self._note()

    # ---- news

    def version(self) -> int:
        with self._changed:
            return self._version

    def wait(self, seen: int, *, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._version != seen, seconds)

    def close(self) -> None:
        """The store goes on: other parties share it."""

    def _group(self, group: Group) -> _GroupState:
        return self._groups.setdefault(group, _GroupState())

    def _write(self, messages: Sequence[Message]) -> None:
        missing = sorted({message.topic for message in messages} - self._topics.keys())
        if missing:
            raise TopicsUnfit([f"{topic}: does not exist" for topic in missing])
        # All are placed before the first is written: a partition that is not there leaves no half.
        placed = [(self._partition(message), message) for message in messages]
        time = self._clock.now()
        for (partition, records), message in placed:
            records.append(
                Record(
                    topic=message.topic,
                    partition=partition,
                    offset=len(records),
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                    time=time,
                )
            )
        self._note()

    def _partition(self, message: Message) -> tuple[int, list[Record]]:
        partitions = self._topics[message.topic]
        partition = message.partition
        if partition is None:
            partition = partition_of(message.key or b"", len(partitions))
        if not 0 <= partition < len(partitions):
            raise TopicsUnfit([f"{message.topic}: has no partition {partition}"])
        return partition, partitions[partition]

    def _note(self) -> None:
        self._version += 1
        self._changed.notify_all()
