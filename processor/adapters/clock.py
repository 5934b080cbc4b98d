"""Time and entropy: the system's, and those a test holds in its hand."""

from __future__ import annotations

import os
import random
import time
from datetime import timedelta

from processor.model.ids import Millis


class SystemClock:
    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)


NEW_YEAR_2026 = Millis(1_767_225_600_000)


class ManualClock:
    """Stands still until `advance`."""

    def __init__(self, now: Millis = NEW_YEAR_2026) -> None:
        self._now = now

    def now(self) -> Millis:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now = Millis(self._now + by // timedelta(milliseconds=1))


class OsEntropy:
    def seed(self) -> bytes:
        return os.urandom(16)


class SeededEntropy:
    """The same seeds in the same order for the same number: for tests that compare runs byte for byte."""

    def __init__(self, number: int = 0) -> None:
        self._random = random.Random(number)

    def seed(self) -> bytes:
        return self._random.randbytes(16)
