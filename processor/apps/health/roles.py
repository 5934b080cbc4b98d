"""What Prometheus is told of a timer service, of a janitor and of a task worker."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from processor.adapters.metrics import Watch, counter, figure, gauge
from processor.apps.schedule import ScheduleStanding
from processor.apps.worker.runner import WorkerStanding

_READY = "Whether the group has said what is owned here and all of it has been read."
_SKIPPED = "Records of the index that could not be read."


class TimersMetrics(Watch[ScheduleStanding]):
    def collect(self) -> Iterator[Metric]:
        yield figure("asl_ready", _READY, self.ready)
        standing = self.standing
        if standing is None:
            return
        counts, pending = standing.counts, {(p,): count for p, count in standing.pending.items()}
        yield gauge("asl_timers_pending", "Timers not yet resolved.", ["partition"], pending)
        lag = "For how long the timer has been due that fell due first and is unresolved."
        yield figure("asl_timer_lag_seconds", lag, standing.lag_ms / 1000)
        yield counter("asl_timers_fired", "FireTimer commands sent.", [], {(): counts.get("fired", 0)})
        yield counter("asl_timers_skipped", _SKIPPED, [], {(): counts.get("skipped", 0)})


class JanitorMetrics(Watch[ScheduleStanding]):
    def collect(self) -> Iterator[Metric]:
        yield figure("asl_ready", _READY, self.ready)
        standing = self.standing
        if standing is None:
            return
        counts, kept = standing.counts, {(p,): count for p, count in standing.pending.items()}
        yield gauge("asl_janitor_kept", "Ended executions that are kept.", ["partition"], kept)
        lag = "For how long that purge has been due which fell due first and has not come."
        yield figure("asl_janitor_lag_seconds", lag, standing.lag_ms / 1000)
        yield counter("asl_janitor_asked", "PurgeExecution commands sent.", [], {(): counts.get("asked", 0)})
        yield counter("asl_janitor_skipped", _SKIPPED, [], {(): counts.get("skipped", 0)})


class WorkerMetrics(Watch[WorkerStanding]):
    def collect(self) -> Iterator[Metric]:
        yield figure("asl_ready", _READY, self.ready)
        standing = self.standing
        if standing is None:
            return
        yield figure("asl_tasks_running", "Tasks under way here, or waiting for their turn.", standing.running)
        unresolved = "Tasks without a result, other services' too."
        yield figure("asl_tasks_unresolved", unresolved, standing.unresolved)
        yield counter("asl_tasks_skipped", _SKIPPED, [], {(): standing.counts.get("skipped", 0)})
