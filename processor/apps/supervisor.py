"""Several processors on one machine: a process each, with a slot of its own, started again when it ends.

A worker that died is back in its slot before the group takes it for dead, so no other has to take over
(docs/decisions/0027).
"""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO, Final, Protocol, TypeAlias

from processor.apps.roles import StopFlag

LOOK_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 30.0
HEALTHY_AFTER_SECONDS: Final = 60.0

_log = logging.getLogger("processor.supervisor")


class Process(Protocol):
    """What is used of subprocess.Popen."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def send_signal(self, signal: int) -> None: ...
    def kill(self) -> None: ...


StartWorker: TypeAlias = Callable[[str], tuple[Process, int | None]]
"""Starts the worker of a slot; returns its process and the local port at which it answers, if any."""


class Worker:
    """One slot and the process in it. `deaths`: in a row, of processes that did not live for a minute."""

    def __init__(self, slot: str) -> None:
        self.slot = slot
        self.process: Process | None = None
        self.port: int | None = None
        self.restarts = 0
        self._deaths = 0
        self._started_at = 0.0
        self._start_at = float("-inf")

    @property
    def up(self) -> bool:
        return self.process is not None

    def tend(self, start: StartWorker, now: float) -> None:
        """Start the process where there is none and it is time; see whether it ended."""
        if self.process is None:
            if now >= self._start_at:
                self.process, self.port = start(self.slot)
                self._started_at = now
                _log.info("worker_started", extra={"slot": self.slot, "pid": self.process.pid})
            return
        code = self.process.poll()
        if code is None:
            return
        if now - self._started_at >= HEALTHY_AFTER_SECONDS:
            self._deaths = 0
        self._deaths += 1
        delay = restart_delay(self._deaths)
        fields = {"slot": self.slot, "pid": self.process.pid, "code": code, "restart_seconds": delay}
        _log.error("worker_ended", extra=fields)
        self._let_go()
        self.restarts += 1
        self._start_at = now + delay

    def ended(self) -> bool:
        """Return whether there is no process any more."""
        if self.process is not None and (code := self.process.poll()) is not None:
            _log.info("worker_stopped", extra={"slot": self.slot, "pid": self.process.pid, "code": code})
            self._let_go()
        return self.process is None

    def _let_go(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process, self.port = None, None


def restart_delay(deaths: int) -> float:
    """Return the seconds to wait after so many deaths in a row: none after the first, whose slot is still kept for it;
    then 1, 2, 4 up to 30."""
    return 0.0 if deaths <= 1 else min(2.0 ** (deaths - 2), LONGEST_DELAY_SECONDS)


class Supervisor:
    """Keeps one worker in every slot until it is stopped; then has all of them commit, checkpoint and leave."""

    def __init__(
        self,
        slots: Sequence[str],
        start: StartWorker,
        *,
        grace_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.workers = tuple(Worker(slot) for slot in slots)
        self._start, self._grace_seconds = start, grace_seconds
        self._monotonic, self._sleep = monotonic, sleep
        self.tended_at = monotonic()

    def run(self, stop: StopFlag) -> None:
        try:
            while not stop():
                self.tend()
                self._sleep(LOOK_SECONDS)
        finally:
            self.end()

    def tend(self) -> None:
        self.tended_at = self._monotonic()
        for worker in self.workers:
            worker.tend(self._start, self.tended_at)

    def end(self) -> None:
        """SIGTERM to all; SIGKILL to those that have not ended within the grace."""
        for worker in self.workers:
            if not worker.ended() and worker.process is not None:
                worker.process.send_signal(signal.SIGTERM)
        deadline = self._monotonic() + self._grace_seconds
        while not all([worker.ended() for worker in self.workers]):
            if self._monotonic() >= deadline:
                self._kill()
                return
            self._sleep(LOOK_SECONDS)

    def _kill(self) -> None:
        for worker in self.workers:
            if worker.process is not None:
                _log.error("worker_killed", extra={"slot": worker.slot, "pid": worker.process.pid})
                worker.process.kill()
        while not all([worker.ended() for worker in self.workers]):
            self._sleep(LOOK_SECONDS)


def start_process(command: Sequence[str], *, keep: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start a worker that keeps the descriptors `keep` open, and whose standard input ends with this process: so no
    worker outlives its supervisor. In a session of its own, for a Ctrl-C is the supervisor's to hear."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=keep, start_new_session=True)
