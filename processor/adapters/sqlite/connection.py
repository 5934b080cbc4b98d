"""One connection to the file: pragmas, transactions, SQLite's errors as ours."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from processor.adapters.sqlite.schema import APPLICATION_ID, AUTHORS, TABLES, VERSION
from processor.errors import LogUnavailable

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Value, ...]

# The log is truncated to this after a checkpoint; without a limit it keeps the size of its greatest day.
_WAL_BYTES = 32 << 20


class Busy(LogUnavailable):
    """Another process held the write lock for longer than the caller would wait. Nothing was written."""


class Connection:
    """Thread-safe: one transaction at a time.

    `durable`: a transaction is on the disk when it returns. Without, it is atomic all the same, but may be lost with
    the machine's power: good enough for leases.
    """

    def __init__(self, path: Path, *, durable: bool = True, patience_seconds: float) -> None:
        self._address = f"sqlite:{path}"
        self._patience = patience_seconds
        self._lock = threading.RLock()
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Transactions are begun by hand; threads take turns by our own lock.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=patience_seconds)
            try:
                self._prepare(durable)
            except BaseException:
                self._db.close()
                raise

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        with self._lock, self._faults():
            return self._db.execute(sql, parameters).fetchall()

    def first(self, sql: str, parameters: Sequence[Value] = ()) -> Row | None:
        with self._lock, self._faults():
            row: Row | None = self._db.execute(sql, parameters).fetchone()
            return row

    def scan(self, sql: str, parameters: Sequence[Value] = ()) -> Generator[Row, None, None]:
        """Yield rows one at a time, so that the reader may stop early; close the generator, for it holds the lock."""
        with self._lock, self._faults():
            cursor = self._db.execute(sql, parameters)
            try:
                yield from cursor
            finally:
                cursor.close()

    @contextmanager
    def writing(self, *, patience_seconds: float | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction, committed where the body ends, rolled back where it raises.

        Raises Busy where the write lock cannot be had in time.
        """
        with self._lock, self._faults():
            self._begin(self._patience if patience_seconds is None else patience_seconds)
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _begin(self, patience_seconds: float) -> None:
        deadline = time.monotonic() + patience_seconds
        # SQLite's own waiting backs off to 100 ms, far longer than any transaction here lasts.
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            nap = 0.0002
            while True:
                try:
                    self._db.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as fault:
                    if not _is_busy(fault):
                        raise
                    if time.monotonic() > deadline:
                        reason = f"another process has held its write lock for {patience_seconds} s; it may be stopped"
                        raise Busy(address=self._address, reason=reason) from fault
                    time.sleep(nap)
                    nap = min(nap * 1.3, 0.01)
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")

    def _prepare(self, durable: bool) -> None:
        self._use_wal()
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        if self._format() != (APPLICATION_ID, VERSION):
            with self.writing() as db:
                self._create(db)
        elif self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'authors'").fetchone() is None:
            with self.writing() as db:
                db.execute(AUTHORS)

    def _use_wal(self) -> None:
        """Two processes that open a new file at once get in each other's way here, whatever the busy timeout says."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                mode = self._db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as fault:
                if not _is_busy(fault) or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                if mode != "wal":
                    raise self._unavailable(f"write-ahead logging does not work here (journal mode {mode})")
                return

    def _format(self) -> tuple[int, int]:
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        return application, self._db.execute("PRAGMA user_version").fetchone()[0]

    def _create(self, db: sqlite3.Connection) -> None:
        application, version = self._format()
        if (application, version) == (APPLICATION_ID, VERSION):
            return  # another process was faster
        if application == APPLICATION_ID:
            raise self._unavailable(f"it is of format {version}, this release reads format {VERSION}")
        if db.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise self._unavailable("it is another application's database")
        for statement in TABLES:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # a bug of ours, not the file's
        except (sqlite3.Error, OSError) as fault:
            raise self._unavailable(str(fault)) from fault

    def _unavailable(self, reason: str) -> LogUnavailable:
        return LogUnavailable(address=self._address, reason=reason)


def _is_busy(fault: sqlite3.OperationalError) -> bool:
    # Extended codes (BUSY_RECOVERY, BUSY_SNAPSHOT) carry the primary one in their low byte.
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
