"""The thread that keeps this process's members alive, and throws out what is too old.

A thread, not the poll, so that a long transaction or a slow disk costs no lease; a stopped process stops with all its
threads. But a member that has not polled for five minutes is stuck, and is let go (Kafka's max.poll.interval.ms).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import orjson

from processor.adapters.embedded.store import Member
from processor.adapters.sqlite import members
from processor.adapters.sqlite.connection import Connection
from processor.adapters.sqlite.members import Lease
from processor.engine.ports import Clock
from processor.errors import LogUnavailable

POLL_LIMIT_SECONDS = 300.0
_CLEANING_SECONDS = 60.0
_DELETED_AT_ONCE = 500
_DAY_MS = 86_400_000


class Heart:
    def __init__(self, connect: Callable[[], Connection], *, clock: Clock, lease_seconds: float) -> None:
        self._connect, self._clock, self._lease_seconds = connect, clock, lease_seconds
        self._lock = threading.Lock()
        self._members: dict[Member, int] = {}
        self._polled: dict[Member, float] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def lease(self) -> Lease:
        return Lease(time.monotonic(), self._lease_seconds)

    def keep(self, grp: int, member: Member) -> None:
        with self._lock:
            self._members[member] = grp
            self._polled[member] = time.monotonic()
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="asl-sqlite-heart", daemon=True)
                self._thread.start()

    def polled(self, member: Member) -> None:
        self._polled[member] = time.monotonic()

    def forget(self, member: Member) -> None:
        with self._lock:
            self._members.pop(member, None)
            self._polled.pop(member, None)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        connection = self._connect()
        cleaned = time.monotonic()
        try:
            # A quarter: three beats may be missed.
            while not self._stop.wait(self._lease_seconds / 4):
                try:
                    self._beat(connection)
                    if time.monotonic() - cleaned > _CLEANING_SECONDS:
                        cleaned = time.monotonic()
                        clean(connection, now=self._clock.now())
                except LogUnavailable:
                    continue  # the members' own polls meet the same, and say so
        finally:
            connection.close()

    def _beat(self, connection: Connection) -> None:
        with self._lock:
            limit = time.monotonic() - POLL_LIMIT_SECONDS
            alive = [(grp, member) for member, grp in self._members.items() if self._polled[member] > limit]
        with connection.writing(patience_seconds=self._lease_seconds / 4) as db:
            lease = self.lease()
            for grp, member in alive:
                members.renew(db, grp, member, lease)
            members.expel_expired(db, now=lease.now)


def clean(connection: Connection, *, now: int) -> None:
    """Delete old tombstones of compacted topics, and records older than their topic keeps; some at a time."""
    topics = connection.rows("SELECT id, partitions, config FROM topics")
    for topic, partitions, config in topics:
        assert isinstance(partitions, int) and isinstance(config, str)
        settings: dict[str, str] = orjson.loads(config)
        policy = settings.get("cleanup.policy", "delete")
        with connection.writing() as db:
            if "compact" in policy:
                # Not at once: a feed that has read the record must come to see that it is gone.
                kept = int(settings.get("delete.retention.ms", _DAY_MS))
                db.execute(
                    "DELETE FROM records WHERE (topic, partition, offset) IN"
                    " (SELECT topic, partition, offset FROM records"
                    "  WHERE compacted = 1 AND value IS NULL AND topic = ? AND time < ? LIMIT ?)",
                    (topic, now - kept, _DELETED_AT_ONCE),
                )
            kept = int(settings.get("retention.ms", -1))
            if "delete" in policy and kept >= 0:
                for partition in range(partitions):
                    # From the start of the partition only, as segments go.
                    db.execute(
                        "DELETE FROM records WHERE topic = ?1 AND partition = ?2 AND time < ?3 AND offset IN"
                        " (SELECT offset FROM records WHERE topic = ?1 AND partition = ?2 ORDER BY offset LIMIT ?4)",
                        (topic, partition, now - kept, _DELETED_AT_ONCE),
                    )
