"""Which Retry or Catch a failure matches, and how long a retry waits.

Source: ASL specification, "Errors"; Developer Guide, "Handling errors in Step Functions workflows".
"""

from __future__ import annotations

from collections.abc import Sequence

from processor.model.definition import AnyState, Catcher, MapState, ParallelState, Retrier, TaskState
from processor.model.execution import Failed

ALL = "States.ALL"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
RUNTIME = "States.Runtime"
DATA_LIMIT_EXCEEDED = "States.DataLimitExceeded"


def handlers(state: AnyState) -> tuple[tuple[Retrier, ...], tuple[Catcher, ...]]:
    if isinstance(state, (TaskState, ParallelState, MapState)):
        return state.retriers, state.catchers
    return (), ()


def matches(errors: Sequence[str], failure: Failed) -> bool:
    """Return whether ErrorEquals names the failure.

    States.ALL names everything, States.TaskFailed everything but States.Timeout; a missed heartbeat is both
    States.Timeout and States.HeartbeatTimeout.
    """
    error = failure.error
    if error is not None and error in errors:
        return True
    if failure.heartbeat and HEARTBEAT_TIMEOUT in errors:
        return True
    return ALL in errors or (TASK_FAILED in errors and error != TIMEOUT)


def matching_retrier(retriers: Sequence[Retrier], failure: Failed, *, attempts: Sequence[int]) -> int | None:
    """Return the index of the retrier to use: the first that matches, if it has attempts left.

    States.DataLimitExceeded is terminal unless it is named. The Developer Guide says so of Catch too, but there AWS was
    recorded to take it by States.ALL.
    """
    for index, retrier in enumerate(retriers):
        if failure.error == DATA_LIMIT_EXCEEDED and DATA_LIMIT_EXCEEDED not in retrier.errors:
            continue
        if matches(retrier.errors, failure):
            done = attempts[index] if index < len(attempts) else 0
            return index if done < retrier.max_attempts else None
    return None


def matching_catcher(catchers: Sequence[Catcher], failure: Failed) -> int | None:
    return next((i for i, catcher in enumerate(catchers) if matches(catcher.errors, failure)), None)


def retry_delay_ms(retrier: Retrier, *, attempt: int, jitter: float) -> int:
    """Return how long retry number `attempt` (the first is 1) waits.

    IntervalSeconds * BackoffRate ** (attempt - 1), capped by MaxDelaySeconds; with JitterStrategy FULL anything
    between 0 and that, by `jitter` in [0, 1). Never more than 31,622,400 s, MaxDelaySeconds' own bound.
    """
    longest = min(retrier.max_delay_seconds or _YEAR_SECONDS, _YEAR_SECONDS)
    try:
        seconds = min(retrier.interval_seconds * retrier.backoff_rate ** (attempt - 1), longest)
    except OverflowError:
        seconds = longest
    return int(seconds * 1000 * (jitter if retrier.jitter else 1.0))


_YEAR_SECONDS = 31_622_400
