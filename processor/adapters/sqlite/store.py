"""Records in SQLite, and news of them. Groups are in `members.py`."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from uuid import uuid4

import msgspec
import orjson

from processor.adapters.embedded.store import Change, Group, Member
from processor.adapters.sqlite import members
from processor.adapters.sqlite.connection import Busy, Connection
from processor.adapters.sqlite.heart import Heart
from processor.engine.ports import Clock, Headers, Message, Record
from processor.engine.topics import TopicSpec, partition_of
from processor.errors import TopicsUnfit
from processor.model.ids import Millis

# Other processes' writes are seen by asking: at first often, for an answer is likely to be on its way, then at a pace
# that costs an idle process half a percent of a core.
_FIRST_NAP, _LONGEST_NAP, _NAP_GROWTH = 0.001, 0.010, 1.3
_SYNC_PATIENCE = 1.0

_headers = msgspec.msgpack.Decoder(Headers)


class _Topic(msgspec.Struct, frozen=True):
    id: int
    name: str
    partitions: int
    compacted: bool


class Bell:
    """Wakes the waiting threads of this process when one of them has written."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def ring(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait(seconds)


class SqliteStore:
    """One connection, for one party."""

    def __init__(self, connection: Connection, *, clock: Clock, heart: Heart, bell: Bell, process: str) -> None:
        self._connection, self._process = connection, process
        self._clock, self._heart, self._bell = clock, heart, bell
        self._topics: dict[str, _Topic] = {}
        self._groups: dict[Group, int] = {}
        self._group_versions: dict[Member, int] = {}
        self._attempts: dict[tuple[Member, int], int] = {}  # as they stand in the file
        self._own_writes = 0

    # ---- records

    def create(self, spec: TopicSpec) -> bool:
        with self._connection.writing() as db:
            made = db.execute(
                "INSERT OR IGNORE INTO topics (name, partitions, config) VALUES (?, ?, ?) RETURNING id",
                (spec.name, spec.partitions, orjson.dumps(dict(spec.config)).decode()),
            ).fetchone()
            if made is not None:
                rows = [(made[0], partition) for partition in range(spec.partitions)]
                db.executemany("INSERT INTO ends (topic, partition, next) VALUES (?, ?, 0)", rows)
        return made is not None

    def partitions(self, topic: str) -> int | None:
        found = self._topic(topic)
        return None if found is None else found.partitions

    def config(self, topic: str) -> Mapping[str, str]:
        row = self._connection.first("SELECT config FROM topics WHERE name = ?", (topic,))
        return {} if row is None else orjson.loads(row[0])  # type: ignore[arg-type]  # text, as `create` wrote it

    def ends(self, topic: str) -> Mapping[int, int]:
        found = self._topic(topic)
        if found is None:
            return {}
        rows = self._connection.rows("SELECT partition, next FROM ends WHERE topic = ?", (found.id,))
        return dict(rows)  # type: ignore[arg-type]  # columns of integers

    def fetch(
        self, topic: str, partition: int, *, start: int, end: int, max_records: int, max_bytes: int
    ) -> Sequence[Record]:
        found = self._topic(topic)
        if found is None:
            return ()
        records: list[Record] = []
        size = 0
        rows = self._connection.scan(
            "SELECT offset, key, value, headers, time FROM records"
            " WHERE topic = ? AND partition = ? AND offset >= ? AND offset < ? ORDER BY offset LIMIT ?",
            (found.id, partition, start, end, max_records),
        )
        with closing(rows):
            for offset, key, value, headers, written in rows:
                size += len(value or b"")  # type: ignore[arg-type]  # a blob
                if records and size > max_bytes:
                    break
                records.append(_record(topic, partition, offset, key, value, headers, written))
        return records

    def append(self, messages: Sequence[Message]) -> None:
        with self._connection.writing() as db:
            self._write(db, messages)
        self._note_write()

    def commit(
        self,
        messages: Sequence[Message],
        *,
        member: Member,
        offsets: Mapping[int, int],
        epochs: Mapping[int, int],
        attempts: Mapping[int, int],
    ) -> bool:
        grp = self._groups[member.group]
        told = {p: attempts.get(p, 0) for p in offsets}
        # Nearly always 0, as before: then there is nothing to write.
        changed = {p: count for p, count in told.items() if self._attempts.get((member, p)) != count}
        try:
            with self._connection.writing() as db:
                owned = members.owned(db, grp, member)
                if any(owned.get(partition) != epochs[partition] for partition in offsets):
                    return False
                self._write(db, messages)
                db.executemany(
                    "INSERT OR REPLACE INTO offsets (grp, partition, offset) VALUES (?, ?, ?)",
                    [(grp, partition, offset) for partition, offset in offsets.items()],
                )
                members.note_attempts(db, grp, changed)
        except Busy:
            return False
        self._attempts.update(((member, partition), count) for partition, count in changed.items())
        self._note_write()
        return True

    # ---- groups

    def committed(self, group: Group, partition: int) -> int | None:
        row = self._connection.first(
            "SELECT offset FROM offsets JOIN groups ON groups.id = grp WHERE name = ? AND topic = ? AND partition = ?",
            (group.name, group.topic, partition),
        )
        return None if row is None else row[0]  # type: ignore[return-value]  # an integer column

    def offsets(self, group: Group) -> Mapping[int, int]:
        rows = self._connection.rows(
            "SELECT partition, offset FROM offsets JOIN groups ON groups.id = offsets.grp"
            " WHERE groups.name = ? AND groups.topic = ?",
            (group.name, group.topic),
        )
        return dict(rows)  # type: ignore[arg-type]  # columns of integers

    def members(self) -> Sequence[tuple[str, str]]:
        with self._connection.writing() as db:
            members.expel_expired(db, now=self._heart.lease().now)
        rows = self._connection.rows("SELECT g.name, m.name FROM members m JOIN groups g ON g.id = m.grp ORDER BY 1, 2")
        return [(str(group), str(member)) for group, member in rows]

    def remember(self, group: Group, partition: int, offset: int) -> None:
        with self._connection.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO offsets (grp, partition, offset) VALUES (?, ?, ?)",
                (self._groups[group], partition, offset),
            )

    def join(self, group: Group, *, slot: str | None) -> Member:
        drawn = uuid4().hex
        member = Member(group=group, name=slot or drawn, incarnation=drawn)
        with self._connection.writing() as db:
            self._groups[group] = members.join(db, member, self._heart.lease())
        self._heart.keep(self._groups[group], member)
        self._note_write()
        return member

    def sync(self, member: Member, held: Mapping[int, int]) -> Change:
        self._heart.polled(member)
        grp = self._groups[member.group]
        row = self._connection.first("SELECT version FROM groups WHERE id = ?", (grp,))
        if row is not None and row[0] == self._group_versions.get(member):
            return Change()
        partitions = self.partitions(member.group.topic) or 0
        try:
            with self._connection.writing(patience_seconds=_SYNC_PATIENCE) as db:
                lease = self._heart.lease()
                members.expel_expired(db, now=lease.now)
                change = members.sync(
                    db, grp, member, process=self._process, held=dict(held), partitions=partitions, lease=lease
                )
                version = db.execute("SELECT version FROM groups WHERE id = ?", (grp,)).fetchone()[0]
        except Busy:
            return Change()  # the next poll asks again
        self._group_versions[member] = version
        self._attempts.update(((member, partition), count) for partition, count in change.attempts.items())
        self._note_write()
        return change

    def leave(self, member: Member, *, orderly: bool) -> None:
        self._heart.forget(member)
        self._end(member, orderly=orderly)

    def expire(self, member: Member) -> None:
        self._end(member, orderly=False)

    def _end(self, member: Member, *, orderly: bool) -> None:
        with self._connection.writing() as db:
            grp = members.group_id(db, member.group)
            members.leave(db, grp, name=member.name, incarnation=member.incarnation, orderly=orderly)
        self._note_write()

    # ---- news

    def version(self) -> int:
        row = self._connection.first("PRAGMA data_version")
        assert row is not None and isinstance(row[0], int)
        # SQLite's number tells of other connections' writes, ours of our own.
        return (row[0] << 32) + self._own_writes

    def wait(self, seen: int, *, seconds: float) -> None:
        deadline, nap = time.monotonic() + seconds, _FIRST_NAP
        while self.version() == seen and (left := deadline - time.monotonic()) > 0:
            self._bell.wait(min(nap, left))
            nap = min(nap * _NAP_GROWTH, _LONGEST_NAP)

    def close(self) -> None:
        self._connection.close()

    # ---- within

    def _note_write(self) -> None:
        self._own_writes += 1
        self._bell.ring()

    def _topic(self, name: str) -> _Topic | None:
        """Topics are never removed or changed: what was seen once holds."""
        if name not in self._topics:
            row = self._connection.first(
                "SELECT id, partitions, json_extract(config, '$.\"cleanup.policy\"') FROM topics WHERE name = ?",
                (name,),
            )
            if row is None:
                return None
            topic_id, partitions, policy = row
            assert isinstance(topic_id, int) and isinstance(partitions, int)
            self._topics[name] = _Topic(topic_id, name, partitions, "compact" in str(policy).split(","))
        return self._topics[name]

    def _write(self, db: sqlite3.Connection, messages: Iterable[Message]) -> None:
        now = self._clock.now()
        ends: dict[tuple[int, int], int] = {}
        rows = []
        # Where a key occurs twice in one compacted partition, only the last is ever written.
        latest: dict[tuple[int, int, bytes], int] = {}
        for message in messages:
            topic, partition = self._place(message)
            place = (topic.id, partition)
            if place not in ends:
                row = db.execute("SELECT next FROM ends WHERE topic = ? AND partition = ?", place).fetchone()
                ends[place] = row[0]
            offset = ends[place]
            ends[place] += 1
            if topic.compacted and message.key is not None:
                latest[(*place, message.key)] = offset
            headers = msgspec.msgpack.encode(message.headers) if message.headers else None
            rows.append((*place, offset, message.key, message.value, headers, now, int(topic.compacted)))
        if latest:
            rows = [row for row in rows if row[3] is None or latest.get((row[0], row[1], row[3]), row[2]) == row[2]]
            db.executemany(
                "DELETE FROM records WHERE compacted = 1 AND topic = ? AND partition = ? AND key = ?", latest.keys()
            )
        db.executemany(
            "INSERT INTO records (topic, partition, offset, key, value, headers, time, compacted)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        db.executemany(
            "UPDATE ends SET next = ? WHERE topic = ? AND partition = ?",
            [(end, *place) for place, end in ends.items()],
        )

    def _place(self, message: Message) -> tuple[_Topic, int]:
        topic = self._topic(message.topic)
        if topic is None:
            raise TopicsUnfit([f"{message.topic}: does not exist"])
        partition = message.partition
        if partition is None:
            partition = partition_of(message.key or b"", topic.partitions)
        if not 0 <= partition < topic.partitions:
            raise TopicsUnfit([f"{message.topic}: has no partition {partition}"])
        return topic, partition


def _record(
    topic: str, partition: int, offset: object, key: object, value: object, headers: object, written: object
) -> Record:
    """SQLite's columns are untyped to Python; the schema is what types them."""
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,  # type: ignore[arg-type]
        key=key,  # type: ignore[arg-type]
        value=value,  # type: ignore[arg-type]
        headers=_headers.decode(headers) if isinstance(headers, bytes) else (),
        time=Millis(written),  # type: ignore[arg-type]
    )
