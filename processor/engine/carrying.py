"""The records of one log's topics, carried over to topics of another prefix and compared with what was there.

All of an execution lies in one partition, is read in its order and written in it. A record that is carried over says in
a header where it stood, before those of earlier moves: by that a later run knows what is there already, a restore what
it must not take a number from, and an audit under which prefix it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias

from msgspec import Struct

from processor.engine.dealt_with import DealtWith
from processor.engine.encoding import content_type_of, decode_command
from processor.engine.ports import Headers, Message, Outbox, Reader, Record
from processor.engine.topics import MIGRATED_KEY, MOVED_HEADER, WRITTEN_HEADER, TopicNames, moved_from, partition_of
from processor.errors import DecodingFailed, InvalidCommand, MigrationRefused
from processor.model.ids import CHECKPOINT_KEY, parse_numbered_key, parse_timer_id

BATCH_RECORDS = 2_000
BATCH_BYTES = 4 << 20

Place: TypeAlias = tuple[int, int]
"""Partition and offset in the source."""


class Moved(Struct, frozen=True, kw_only=True):
    """What was carried over of a topic: the records that this run wrote, and how many keys have a value now, in both
    prefixes; of a topic that is not compacted every record counts."""

    topic: str
    written: int
    live: int


class Carrier:
    """`order`: the source's topics, those first that others refer to. `outbox` writes to the target's."""

    def __init__(
        self, reader: Reader, written: Reader, outbox: Outbox, *, source: TopicNames, target: TopicNames
    ) -> None:
        self._reader, self._written, self._outbox = reader, written, outbox
        self._source, self._target = source, target
        self._to = dict(zip(source.all, target.all, strict=True))
        self.order = (source.definitions, *(topic for topic in source.all if topic != source.definitions))
        self._compacted = (*source.co_partitioned[1:], source.tasks, source.definitions)
        self._counts = {topic: written.partitions(to) or 0 for topic, to in self._to.items()}
        self._ends: dict[tuple[str, int], int] = {}

    def carry(self, topic: str, *, dealt_with: Callable[[int], DealtWith] = lambda _: DealtWith()) -> Moved:
        """Write what is not there yet of a topic, up to its end as it is now, and verify all of it. `dealt_with`: of
        commands, what is left behind of a partition. Raises MigrationRefused."""
        there: dict[tuple[int, int], int] = {}
        for target, (origin, offset), _ in self._standing(topic):
            there[target, origin] = offset
        wanted, first, batch = _Tally(compacted=topic in self._compacted), dict[int, int](), _Batch(self._outbox)
        for origin in range(self._reader.partitions(topic) or 0):
            end = self._ends[topic, origin] = self._reader.end(topic, origin)
            done = dealt_with(origin)
            for record in self._reader.read(topic, origin, start=done.position, end=end):
                first.setdefault(origin, record.offset)
                message = None if record in done else self._message(topic, record)
                if message is not None:
                    wanted.add(message.key, message.value)
                    if record.offset > there.get((message.partition or 0, origin), -1):
                        batch.add(message)
            wanted.end_partition()
        batch.flush()
        self._verify(topic, wanted, first)
        return Moved(topic=self._to[topic], written=batch.written, live=wanted.live)

    def refuse_growth(self, topics: Iterable[str]) -> None:
        """Raise MigrationRefused where something was written to the source's topics since they were carried over."""
        grown = [
            f"{topic}: was written to while it was carried over; stop whoever writes there, and run this again"
            for topic in topics
            if any(self._has_grown(topic, p) for p in range(self._reader.partitions(topic) or 0))
        ]
        if grown:
            raise MigrationRefused(grown)

    def _has_grown(self, topic: str, partition: int) -> bool:
        behind = self._reader.read(topic, partition, start=self._ends[topic, partition])
        return any(record.key != MIGRATED_KEY for record in behind)

    # ---- one record

    def _message(self, topic: str, record: Record) -> Message | None:
        """Return the record as it is to stand there; None where it says something of the topics it stands in."""
        key = record.key or b""
        if topic == self._source.definitions and key.startswith(b"#"):
            return None
        if topic == self._source.snapshots and key == CHECKPOINT_KEY.encode():
            return None
        headers: Headers = ((MOVED_HEADER, f"{record.partition}/{record.offset}".encode()),)
        if topic == self._source.dead_letters and next(iter(record.headers), ("",))[0] != MOVED_HEADER:
            headers += ((WRITTEN_HEADER, b"%d" % record.time),)  # the log tells when it was carried over
        message = Message(
            topic=self._to[topic],
            key=record.key,
            value=record.value,
            partition=partition_of(self._owner(topic, key), self._counts[topic]),
            headers=headers + record.headers,
        )
        if topic == self._source.commands:
            self._check_replies(message)
        return message

    def _owner(self, topic: str, key: bytes) -> bytes:
        """Return what a record's partition is a hash of: its execution's id, where the key holds more."""
        text = key.decode("utf-8", "replace")
        if topic in (self._source.events, self._source.snapshots):
            numbered = parse_numbered_key(text)
            return key if numbered is None else numbered[0].encode()
        if topic == self._source.timers:
            try:
                return parse_timer_id(text)[0].encode()
            except InvalidCommand:
                return key
        return key

    def _check_replies(self, message: Message) -> None:
        """A command whose replies cannot be delivered would be refused there."""
        if message.value is None or self._source.replies.encode() not in message.value:
            return
        try:
            command = decode_command(message.value, content_type=content_type_of(message.headers))
        except DecodingFailed:
            return  # to be a dead letter
        topic = self._target.reply_topic(command.reply_to or "", [self._source.prefix])
        if topic.startswith(self._target.replies) and self._written.partitions(topic) is None:
            reason = "does not exist, and a command that is not yet applied asks for a reply there: make it first"
            raise MigrationRefused([f"{topic}: {reason}"])

    # ---- what stands there

    def _standing(self, topic: str) -> Iterator[tuple[int, Place, Record]]:
        """Yield what stands in the target's topic, with its partition there and its place in the source."""
        to = self._to[topic]
        for partition in range(self._counts[topic]):
            last: dict[int, int] = {}
            for record in self._written.read(to, partition):
                if topic == self._source.definitions and (record.key or b"").startswith(b"#"):
                    continue
                place = moved_from(record.headers)
                if place is None:
                    raise MigrationRefused([f"{to}: holds records that were not carried over; choose another prefix"])
                origin, offset = place
                if offset <= last.get(origin, -1):
                    raise MigrationRefused([f"{to}: what came from partition {origin} is not in its order"])
                last[origin] = offset
                yield partition, place, record

    def _verify(self, topic: str, wanted: _Tally, first: Mapping[int, int]) -> None:
        """Records that the source has lost by age since they were carried over do not count."""
        found, partition = _Tally(compacted=topic in self._compacted), 0
        for number, (origin, offset), record in self._standing(topic):
            if number != partition:
                found.end_partition()
                partition = number
            if origin in first and offset >= first[origin]:
                found.add(record.key, record.value)
        found.end_partition()
        if (found.live, found.digest) != (wanted.live, wanted.digest):
            what = f"{found.live} of {wanted.live}" if found.live != wanted.live else f"other than these {wanted.live}"
            raise MigrationRefused([f"{self._to[topic]}: holds {what}; delete the new topics, and run this again"])


class _Batch:
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._messages: list[Message] = []
        self._bytes = self.written = 0

    def add(self, message: Message) -> None:
        self._messages.append(message)
        self._bytes += len(message.value or b"")
        if len(self._messages) >= BATCH_RECORDS or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        messages: Sequence[Message] = self._messages
        self._outbox.send(messages)
        self.written += len(messages)
        self._messages, self._bytes = [], 0


class _Tally:
    """How many keys have a value, and a sum over all of them, the same in whatever order and partitions they stand:
    what compaction leaves as it is. Where nothing is compacted, of records. A key stands in one partition only."""

    def __init__(self, *, compacted: bool) -> None:
        self._compacted = compacted
        self._values: dict[bytes, int] = {}
        self.live = self.digest = 0

    def add(self, key: bytes | None, value: bytes | None) -> None:
        if not self._compacted or key is None:
            self._count(_hash(key, value))
        elif value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = _hash(key, value)

    def end_partition(self) -> None:
        for value in self._values.values():
            self._count(value)
        self._values.clear()

    def _count(self, hashed: int) -> None:
        self.live += 1
        self.digest = (self.digest + hashed) % 2**64


def _hash(key: bytes | None, value: bytes | None) -> int:
    hashed = blake2b(b"" if key is None else b"%d#" % len(key) + key, digest_size=8)
    hashed.update(b"" if value is None else b"#" + value)
    return int.from_bytes(hashed.digest())
