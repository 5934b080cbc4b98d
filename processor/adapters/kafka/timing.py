"""Monotonic time and waiting, as one thing that a simulation can replace; and waiting for what passes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from confluent_kafka import KafkaException
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_never, wait_exponential

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.005
LONGEST_WAIT_SECONDS = 1.0
ATTEMPTS_A_LINE = 10


class Timing(Protocol):
    def now(self) -> float:
        """Seconds, only good for differences."""

    def sleep(self, seconds: float) -> None: ...


class SystemTiming:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def backing_off(
    timing: Timing,
    *,
    retry: Callable[[KafkaException], bool],
    within_seconds: float | None,
    event: str,
) -> Retrying:
    """Return what calls again as long as `retry` says so of the error, waiting longer each time, and then raises it.

    One line is logged for every `ATTEMPTS_A_LINE` attempts.
    """
    began = timing.now()

    def late(_: RetryCallState) -> bool:
        return within_seconds is not None and timing.now() - began >= within_seconds

    def tell(state: RetryCallState) -> None:
        if state.attempt_number % ATTEMPTS_A_LINE == 1 and state.outcome is not None:
            reason = str(state.outcome.exception())
            log.warning(event, extra={"attempt": state.attempt_number, "reason": reason})

    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, KafkaException) and retry(error)),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
        stop=late if within_seconds is not None else stop_never,
        sleep=timing.sleep,
        before_sleep=tell,
        reraise=True,
    )
