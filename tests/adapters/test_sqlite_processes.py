"""The SQLite log between processes: killed, stopped, opened all at once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from processor.adapters.sqlite import SqliteLog
from processor.adapters.sqlite.connection import Busy, Connection
from processor.engine.topics import topic_specs
from tests.adapters.sqlite_process import PARTITIONS
from tests.contracts.harness import Party, Written, contents

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30.0


class Processes:
    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, mode: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.adapters.sqlite_process", mode, str(path), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            process.kill()
            with process:
                pass


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.end()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    log = SqliteLog(path)
    log.create_topics(topic_specs(log.names, partitions=PARTITIONS))
    log.close()
    return path


def test_a_writer_killed_at_any_instruction_leaves_whole_transactions(processes: Processes, path: Path) -> None:
    draw = random.Random(3)
    begun = 0
    for _ in range(15):
        writer = processes.start("write", path)
        assert writer.stdout is not None
        for _ in range(draw.randint(1, 60)):
            begun = int(writer.stdout.readline())
        # No telling where this hits: before the transaction, in it, in its flush, or some transactions later.
        writer.kill()
        lines = writer.stdout.read().split()
        begun = int(lines[-1]) if lines else begun
        writer.wait()

        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            offsets = db.execute("SELECT partition, offset FROM offsets ORDER BY partition").fetchall()
        log = SqliteLog(path)
        written = len(contents(log, log.names.events, 0))
        # Everything but the one that was under way, of which all or nothing.
        assert written in (begun, begun + 1)
        assert contents(log, log.names.events, 0) == [(b"m:1#%d" % n, bytes(3_000)) for n in range(written)]
        assert contents(log, log.names.events, 1) == [(b"m:2#%d" % n, bytes(3_000)) for n in range(written)]
        assert offsets == ([(0, written), (1, written)] if written else [])
        assert pending(contents(log, log.names.tasks, 0)) == ({b"m:1##%d" % (written - 1)} if written else set())
        log.close()


def pending(tasks: list[Written]) -> set[bytes | None]:
    return {key for key, value in dict(tasks).items() if value is not None}


def test_a_stopped_owner_that_wakes_after_its_lease_writes_nothing(processes: Processes, path: Path) -> None:
    owner = processes.start("hold", path, "1.0")
    assert owner.stdin is not None and owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    stop(owner, path)

    log = SqliteLog(path, lease_seconds=1.0)
    heir = Party(log.inbox(slot="1"))
    until_open(heir)
    owner.stdin.write("commit\n")
    owner.stdin.flush()
    owner.send_signal(signal.SIGCONT)

    assert owner.stdout.readline() == "False\n"
    assert owner.stdout.readline().split()[:PARTITIONS] == ["PartitionLost"] * PARTITIONS
    assert contents(log, log.names.events, 0) == []
    assert heir.commit({0: 0, 1: 0})
    heir.inbox.close()
    log.close()


def test_a_killed_owners_partitions_pass_on_when_its_lease_has_run_out(processes: Processes, path: Path) -> None:
    owner = processes.start("hold", path, "0.5")
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    owner.kill()
    owner.wait()

    log = SqliteLog(path, lease_seconds=0.5)
    heir = Party(log.inbox(slot="1"))
    until_open(heir)

    assert heir.opened == {0, 1}
    heir.inbox.close()
    log.close()


def test_a_slot_restarted_after_a_kill_need_not_wait_for_the_lease(processes: Processes, path: Path) -> None:
    owner = processes.start("hold", path, "600")
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    owner.kill()
    owner.wait()

    log = SqliteLog(path, lease_seconds=600)
    heir = Party(log.inbox(slot="0"))
    heir.poll()
    heir.poll()

    assert heir.opened == {0, 1}
    heir.inbox.close()
    log.close()


def test_processes_that_create_a_log_at_once_all_find_it_whole(processes: Processes, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log.db"

    creators = [processes.start("create", path) for _ in range(4)]

    assert [creator.wait(DEADLINE_SECONDS) for creator in creators] == [0] * 4
    log = SqliteLog(path)
    assert contents(log, log.names.commands, 0) == [(b"m:1", b"v")] * 4
    assert list(log.check_topics(topic_specs(log.names, partitions=PARTITIONS))) == []
    log.close()


def until_open(heir: Party) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while heir.opened != set(range(PARTITIONS)):
        assert time.monotonic() < deadline
        heir.poll(timeout_seconds=0.1)


def stop(process: subprocess.Popen[str], path: Path) -> None:
    """Stop a process, but not inside a transaction: there it would keep the file's write lock while it sleeps."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        connection = Connection(path, patience_seconds=0.2)
        try:
            with connection.writing():
                return
        except Busy:
            process.send_signal(signal.SIGCONT)
        finally:
            connection.close()
