"""Long-running roles: processor, timers, worker. One in a process of its own, or all in one process, a thread each."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Protocol, TypeAlias

from processor.errors import LogUnavailable, SlotTaken

_log = logging.getLogger("processor.roles")

_FIRST_DELAY_SECONDS: Final = 0.5
_LONGEST_DELAY_SECONDS: Final = 15.0
_HEALTHY_AFTER_SECONDS: Final = 60.0
_LOOK_EVERY_SECONDS: Final = 0.1
_DOUBTED_ONCE_SECONDS: Final = 60.0


class Role(Protocol):
    def run(self, stop: Callable[[], bool]) -> None: ...

    def close(self) -> None: ...


MakeRole: TypeAlias = Callable[[], Role]


class StopFlag:
    """Whether to stop. A plain attribute: a signal handler must not wait for a lock that its own thread may hold."""

    def __init__(self) -> None:
        self.is_set = False

    def __call__(self) -> bool:
        return self.is_set

    def set(self) -> None:
        self.is_set = True

    def wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.is_set and (remaining := deadline - time.monotonic()) > 0:
            time.sleep(min(remaining, _LOOK_EVERY_SECONDS))
        return self.is_set


@contextmanager
def stopped_by_signals() -> Iterator[StopFlag]:
    """SIGTERM and SIGINT set the flag; the second one ends the process as if nothing handled it."""
    flag = StopFlag()

    def handle(number: int, frame: FrameType | None) -> None:
        flag.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_role(name: str, make: MakeRole, stop: StopFlag) -> None:
    """Run a role until `stop` is set. While the log cannot be reached it is made anew, after longer and longer waits;
    at once where its slot may be taken, but need not be, and that is the first time in a minute. Everything else that
    it raises ends it (docs/decisions/0038).
    """
    delay, doubted = _FIRST_DELAY_SECONDS, float("-inf")
    while not stop():
        began = time.monotonic()
        try:
            _run_once(make, stop)
        except LogUnavailable as fault:
            if time.monotonic() - began > _HEALTHY_AFTER_SECONDS:
                delay = _FIRST_DELAY_SECONDS
            _log.warning(
                "log_unavailable",
                extra={"role": name, "address": fault.address, "retry_seconds": delay, "reason": fault.reason},
            )
            stop.wait(delay)
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
        except SlotTaken as fault:
            now = time.monotonic()
            if not fault.doubtful or now - doubted < _DOUBTED_ONCE_SECONDS:
                raise
            doubted = now
            _log.warning("slot_doubted", extra={"role": name, "slot": fault.slot, "reason": fault.reason})
    _log.info("role_stopped", extra={"role": name})


def _run_once(make: MakeRole, stop: StopFlag) -> None:
    role = make()
    try:
        role.run(stop)
    finally:
        role.close()


class Roles:
    """Several roles in this process. The first that fails ends all; `failure` says with what."""

    def __init__(self) -> None:
        self.stop = StopFlag()
        self.failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, name: str, make: MakeRole) -> None:
        """Make the role in a thread of its own, for some clients must stay where they were made, and run it there."""
        thread = threading.Thread(target=self._run, args=(name, make), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Stop all and wait for them."""
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, make: MakeRole) -> None:
        try:
            run_role(name, make, self.stop)
        except BaseException as fault:
            _log.error("role_failed", extra={"role": name, "reason": str(fault)})
            self.failure = self.failure or fault
            self.stop.set()
