"""The log in one SQLite file, as the engine and the roles use it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from uuid import uuid4

from processor.adapters.clock import SystemClock
from processor.adapters.embedded.log import EmbeddedLog
from processor.adapters.sqlite.connection import Connection
from processor.adapters.sqlite.heart import Heart
from processor.adapters.sqlite.store import Bell, SqliteStore
from processor.engine.ports import Clock
from processor.engine.topics import TopicNames

_DRAWN: Final = uuid4().hex


class SqliteLog(EmbeddedLog):
    """A handle of one process; fork before making it, never after.

    A member not heard of for `lease_seconds` loses its partitions. Who cannot write for `busy_seconds` gives up: a
    transaction with False, all else with LogUnavailable. The file and its folder are made where they are missing. A
    file that cannot be made, opened, read or written is LogUnavailable at once, naming the path: unlike a broker's
    absence, it does not pass by waiting. `process` tells this process from others, so that deaths of owners are counted
    (docs/decisions/0017); left out, it is that of the operating system.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        names: TopicNames | None = None,
        clock: Clock | None = None,
        lease_seconds: float = 4.0,
        busy_seconds: float = 30.0,
        process: str | None = None,
    ) -> None:
        super().__init__(address=f"sqlite:{path}", names=names or TopicNames())
        self._path, self._clock, self._busy_seconds = Path(path), clock or SystemClock(), busy_seconds
        self._bell = Bell()
        self._process = process or f"{_DRAWN}-{os.getpid()}"  # a fork has drawn the same
        self._connect().close()
        self._heart = Heart(lambda: self._connect(durable=False), clock=self._clock, lease_seconds=lease_seconds)

    def store(self) -> SqliteStore:
        return SqliteStore(
            self._connect(), clock=self._clock, heart=self._heart, bell=self._bell, process=self._process
        )

    def close(self) -> None:
        self._heart.close()

    def _connect(self, *, durable: bool = True) -> Connection:
        return Connection(self._path, durable=durable, patience_seconds=self._busy_seconds)
