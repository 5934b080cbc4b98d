"""What librdkafka says about itself goes to `logging`, each kind of line at most twice a minute."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import cache

LOGGER = "processor.adapters.kafka.librdkafka"
INTERVAL_SECONDS = 30.0

# 127.0.0.1:9092/1 … after 12ms … id 17: what differs between two lines that say the same.
_VARYING = re.compile(r"\d+")


class Repeats(logging.Filter):
    """Lets a line pass when none of its kind came in the last `INTERVAL_SECONDS`: an unreachable broker is reported
    twenty times a second."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = _VARYING.sub("", record.getMessage())
        now = self._now()
        if now - self._last.get(kind, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            return False
        if len(self._last) > 1_000:
            self._last.clear()
        self._last[kind] = now
        return True


@cache
def library_logger() -> logging.Logger:
    logger = logging.getLogger(LOGGER)
    logger.addFilter(Repeats())
    return logger
