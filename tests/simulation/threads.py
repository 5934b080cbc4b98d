"""What the adapter uses of `threading` and `queue`, as greenlets of the same process."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from tests.simulation.scheduler import Scheduler

T = TypeVar("T")

LONG_SECONDS = 3600.0


class SimulatedThreads:
    """Stands for both modules. Whoever makes a thread or waits is the actor that the scheduler has resumed."""

    Event = threading.Event
    Empty = queue.Empty

    def __init__(self, scheduler: Scheduler) -> None:
        class Thread:
            def __init__(self, *, target: Callable[[], None], name: str, daemon: bool) -> None:
                self._target, self._name, self._over = target, name, False

            def start(self) -> None:
                scheduler.spawn(scheduler.current_process, self._name, self._run)

            def _run(self) -> None:
                try:
                    self._target()
                finally:
                    self._over = True

            def join(self, timeout: float) -> None:
                scheduler.wait(timeout, lambda: self._over)

        class SimpleQueue(Generic[T]):
            def __init__(self) -> None:
                self._items: deque[T] = deque()

            def put(self, item: T) -> None:
                self._items.append(item)

            def get(self, block: bool = True, timeout: float | None = None) -> T:
                # `timeout` is for hearing idle clients, which have nothing to say here.
                while not self._items:
                    if not block:
                        raise queue.Empty
                    scheduler.wait(LONG_SECONDS, lambda: bool(self._items))
                return self._items.popleft()

            def get_nowait(self) -> T:
                return self.get(block=False)

            def qsize(self) -> int:
                return len(self._items)

        self.Thread, self.SimpleQueue = Thread, SimpleQueue
