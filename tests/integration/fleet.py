"""The roles as they run in production: `asl` in processes of their own, each with a log, to be killed by their pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from processor.adapters.kafka import KafkaLog
from processor.adapters.sqlite import SqliteLog
from processor.engine.ports import Log
from processor.engine.topics import TopicNames
from tests.broker import Broker

T = TypeVar("T")

ASL = Path(sys.executable).with_name("asl")
REPOSITORY = Path(__file__).parents[2]
ORDER = REPOSITORY / "examples" / "order"
LOOK_EVERY_SECONDS = 0.05


def open_either(request: pytest.FixtureRequest, folder: Path) -> Log:
    """Return the log that a fixture's parameter asks for: `sqlite`, or `kafka` with topics of the test's own."""
    if request.param == "sqlite":
        return SqliteLog(folder / "log.db")
    broker: Broker = request.getfixturevalue("kafka")
    return KafkaLog(broker.bootstrap_servers, names=TopicNames(prefix=request.getfixturevalue("topic_prefix")))


class Role:
    """One process of one role. Its JSON log lines tell what it owns."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.process, self.log = name, process, log
        self._stopped = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self) -> Iterator[dict[str, Any]]:
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)

    def has_said(self, event: str) -> bool:
        return any(line["event"] == event for line in self.lines())

    def owned(self) -> tuple[int, ...]:
        """Return the partitions whose commands flow, of a processor."""
        owned: set[int] = set()
        for line in self.lines():
            match line["event"]:
                case "partition_restored":
                    owned.add(line["partition"])
                case "partition_lost" | "partition_taken":
                    owned.discard(line["partition"])
                case "slot_doubted" | "log_unavailable":  # made anew
                    owned.clear()
        return tuple(sorted(owned))

    def kill(self) -> float:
        """SIGKILL it; return when, in monotonic seconds."""
        self.process.kill()
        at = time.monotonic()
        self.process.wait(timeout=10)
        return at

    def stop(self, *, seconds: float = 60.0) -> None:
        """SIGTERM it, and wait for its end, which must be an orderly one."""
        self._stopped = True
        self.process.terminate()
        code = self.process.wait(timeout=seconds)
        assert code == 0, f"{self.name} ended with {code}:\n{self.log.read_text()[-3000:]}"

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self.process.poll() is None:
            self.wake()
            self.process.kill()
            self.process.wait(timeout=10)

    def check(self) -> None:
        """Fail where it ended by itself."""
        code = self.process.poll()
        assert code is None or code == -signal.SIGKILL or (code == 0 and self._stopped), (
            f"{self.name} ended with {code}:\n{self.log.read_text()[-3000:]}"
        )


class Fleet:
    """Starts roles on one log; a context manager that ends them all. `folder` is where they run, empty before."""

    def __init__(
        self, address: str, folder: Path, *, prefix: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.address, self.folder, self.prefix = address, folder, prefix
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ASL_")},
            **(environment or {}),
        }
        self._logs = folder.with_name(folder.name + "-logs")
        self._logs.mkdir()
        folder.mkdir()
        self.roles: list[Role] = []

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for role in self.roles:
            role.end()

    def start(self, role: str, *arguments: str) -> Role:
        log = self._logs / f"{len(self.roles):02}-{role}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [ASL, role, *arguments, *self._where(), "--json"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # as services are; Linux shares the CPU out by sessions
            )
        started = Role(f"{role} {' '.join(arguments)}", process, log)
        self.roles.append(started)
        return started

    def processor(self, slot: int) -> Role:
        return self.start("processor", "--slot", str(slot))

    def timers(self) -> Role:
        return self.start("timers")

    def worker(self) -> Role:
        return self.start("worker", str(ORDER / "workers.py"))

    def named(self, role: str) -> list[Role]:
        """Return those of one role that were started so far."""
        return [one for one in self.roles if one.name.split()[0] == role]

    def asl(self, *arguments: str) -> list[Any]:
        """Run a command to its end; return the JSON lines it printed. It must exit with 0."""
        done = subprocess.run(
            [ASL, *arguments, *self._where(), "--json"],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait(self, condition: Callable[[], T | None], *, seconds: float, what: str) -> T:
        """Return what `condition` gives once it gives something, looking again and again."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            for role in self.roles:
                role.check()
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self._ends_of_logs()}"
            time.sleep(LOOK_EVERY_SECONDS)
        return found

    def _where(self) -> tuple[str, ...]:
        return "--log", self.address, "--prefix", self.prefix

    def _ends_of_logs(self) -> str:
        return "\n".join(f"-- {role.name}\n{role.log.read_text(errors='replace')[-1500:]}" for role in self.roles)
