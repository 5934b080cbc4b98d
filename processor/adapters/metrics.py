"""What Prometheus is told of a role. Figures are made when somebody asks, from the role's last standing; only the
duration of each transaction is measured as it passes.

The roles that the engine does not know, timers and workers, are in apps/health.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final, Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from processor.engine.ports import Clock, Findings
from processor.engine.standing import Standing
from processor.model.ids import Millis

ASK_SECONDS: Final = 1.0
"""How old a standing may be."""
STALE_SECONDS: Final = 30.0
"""A role that has not stepped for so long is not ready, whatever it said last."""
FOUND_MS: Final = 60_000
"""What was seen of the log from outside is told for so long; figures that stand still would keep alerts from firing."""
DEAD_SECONDS: Final = 180.0
"""Nor alive, after so long. One transaction is repeated for 30 s, and its outcome sought for as long again."""

_BUCKETS: Final = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.5, 5, 10, 30)
_COMMANDS: Final = {
    "applied": "applied",
    "started": "started",
    "redriven": "redriven",
    "rejected": "rejected",
    "dead_letters": "dead_letter",
    "misrouted": "misrouted",
    "repeated_starts": "repeated_start",
    "repeated_commands": "repeated_command",
    "stale_timers": "stale_timer",
    "rearmed_timers": "rearmed_timer",
    "timers_in_quarantine": "timer_in_quarantine",
}
"""What became of a command: one of these each."""
_TOTALS: Final = {
    "events": ("asl_events", "Events committed."),
    "slices": ("asl_slices", "Turns given to executions that had more to do than fits into one transaction."),
    "quarantined": ("asl_quarantines", "Executions put into quarantine."),
    "snapshots": ("asl_snapshots", "Executions written to snapshots."),
    "checkpoints": ("asl_checkpoints", "Transactions that checkpointed a partition."),
    "stopped_partitions": ("asl_partitions_stopped", "Partitions that were stopped, their history not being whole."),
    "lost_replies": ("asl_replies_lost", "Replies that could not be delivered."),
    "unreadable_definitions": ("asl_definitions_unreadable", "Records of definitions that were passed over."),
}
_APART: Final = {*_COMMANDS, *_TOTALS, "transactions", "dropped_transactions"}
STATES: Final = ("RESTORING", "OPEN", "READY", "STOPPED")


class HasReady(Protocol):
    @property
    def ready(self) -> bool: ...


S = TypeVar("S", bound=HasReady)
Labels = TypeVar("Labels", bound=tuple[object, ...])


class Watch(Generic[S]):
    """Keeps the last standing of a role, asked for at most once a second, and when the role last moved.

    Written by the role's thread, read by those that answer requests. `monotonic`: seconds, good for differences.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.standing: S | None = None
        self._moved = monotonic()
        self._asked = float("-inf")

    def begin(self) -> None:
        """The role is made, or made anew: nothing is known of it yet."""
        self.standing, self._moved, self._asked = None, self._monotonic(), float("-inf")

    def stepped(self, standing: Callable[[], S]) -> None:
        now = self._moved = self._monotonic()
        if now - self._asked >= ASK_SECONDS:
            self.standing, self._asked = standing(), now

    @property
    def live(self) -> bool:
        return self._monotonic() - self._moved < DEAD_SECONDS

    @property
    def ready(self) -> bool:
        fresh = self._monotonic() - self._moved < STALE_SECONDS
        return fresh and self.standing is not None and self.standing.ready


class ProcessorMetrics(Watch[Standing]):
    """Implements standing.Observer and Prometheus's Collector."""

    def __init__(
        self, *, clock: Clock, monotonic: Callable[[], float] = time.monotonic, timer: Callable[[], float] | None = None
    ) -> None:
        super().__init__(monotonic=monotonic)
        self._clock, self._timer = clock, timer or time.perf_counter
        self._began = 0.0
        self._found: tuple[Findings, Millis] | None = None  # and when
        self._seconds = Histogram(
            "asl_commit_seconds",
            "How long the log took to commit a transaction, or to refuse it.",
            buckets=_BUCKETS,
            registry=None,
        )
        self._transactions = Counter(
            "asl_transactions",
            "Transactions by outcome. Those that were not committed were aborted, fenced, or never begun.",
            ["outcome"],
            registry=None,
        )
        self._committed = self._transactions.labels("committed")
        self._aborted = self._transactions.labels("aborted")
        self._failures = Counter(
            "asl_survey_failures", "Looks at the log from outside that came to nothing.", registry=None
        )

    # ---- of the processor's thread

    def committing(self) -> None:
        self._began = self._timer()

    def committed(self, done: bool) -> None:
        self._seconds.observe(self._timer() - self._began)
        (self._committed if done else self._aborted).inc()

    # ---- of the surveyor's

    @property
    def partitions(self) -> tuple[int, ...]:
        """Those to be surveyed."""
        return () if self.standing is None else tuple(p.partition for p in self.standing.partitions)

    def surveyed(self, findings: Findings) -> None:
        self._found = findings, self._clock.now()

    def survey_failed(self) -> None:
        self._failures.inc()

    # ---- of those that ask

    def collect(self) -> Iterator[Metric]:
        for kept in (self._seconds, self._transactions, self._failures):
            yield from kept.collect()
        yield gauge("asl_build", "The release that runs, always 1.", ["version"], {(version("asl-processor"),): 1})
        yield figure(
            "asl_ready", "Whether the group has said what is owned here and all of it is restored.", self.ready
        )
        standing = self.standing
        if standing is not None:
            count = standing.partition_count
            yield figure("asl_all_partitions", "Partitions that there are, whoever owns them.", count)
            yield from _counted(standing.counts)
            yield from _partitions(standing)
        if self._found is not None and self._clock.now() - self._found[1] < FOUND_MS:
            yield from _surveyed(*self._found, owned=set(self.partitions))


def _surveyed(findings: Findings, now: Millis, *, owned: set[int]) -> Iterator[Metric]:
    """As of that look: what waited then may have been applied since."""
    backlogs = {p: backlog for p, backlog in findings.backlogs.items() if p in owned}
    yield gauge(
        "asl_commands_lag_records",
        "Commands that wait to be applied, by offsets.",
        ["partition"],
        {(p,): backlog.records for p, backlog in backlogs.items()},
    )
    yield gauge(
        "asl_commands_lag_seconds",
        "How long the first command that waits to be applied has been in the log.",
        ["partition"],
        {
            (p,): 0.0 if backlog.oldest is None else max(0, now - backlog.oldest) / 1000
            for p, backlog in backlogs.items()
        },
    )
    if findings.retention_ms is not None:
        retention = findings.retention_ms / 1000
        yield figure("asl_commands_retention_seconds", "How long commands are kept before they are lost.", retention)
    held = {place: seconds for place, seconds in findings.held_seconds.items() if place[1] in owned}
    yield gauge(
        "asl_transaction_held_seconds",
        "For how long an open transaction has kept readers from what stands behind it.",
        ["topic", "partition"],
        held,
    )
    hangs = "Partitions held for longer than a transaction may take."
    yield figure("asl_hanging_transactions", hangs, findings.hanging)


def _counted(counts: Mapping[str, int]) -> Iterator[Metric]:
    outcomes = {(label,): counts.get(kind, 0) for kind, label in _COMMANDS.items()}
    yield counter("asl_commands", "Commands by what became of them.", ["outcome"], outcomes)
    for kind, (name, meaning) in _TOTALS.items():
        yield counter(name, meaning, [], {(): counts.get(kind, 0)})
    others = {(kind,): count for kind, count in sorted(counts.items()) if kind not in _APART}
    yield counter("asl_counted", "Whatever else was counted, by kind.", ["kind"], others)


def _partitions(standing: Standing) -> Iterator[Metric]:
    partitions = standing.partitions
    states = {(state.lower(),): sum(p.state == state for p in partitions) for state in STATES}
    yield gauge("asl_partitions", "Partitions owned, by how they stand.", ["state"], states)
    gauges: dict[str, tuple[str, dict[tuple[object, ...], float]]] = {
        "asl_open_executions": ("Executions that have not ended.", {(p.partition,): p.open for p in partitions}),
        "asl_runnable_executions": (
            "Executions that wait for their turn to go on by themselves.",
            {(p.partition,): p.runnable for p in partitions},
        ),
        "asl_quarantined_executions": (
            "Executions in quarantine.",
            {(p.partition,): p.quarantined for p in partitions},
        ),
        "asl_closed_executions": (
            "Executions that have ended and whose ids are taken.",
            {(p.partition,): p.closed for p in partitions},
        ),
        "asl_closed_bytes": (
            "What is held of executions that have ended: of what failed all of it, to be redriven.",
            {(p.partition,): p.closed_bytes for p in partitions},
        ),
        "asl_waiting_commands": (
            "Commands read that wait for what is closed to be read.",
            {(p.partition,): p.waiting_commands for p in partitions},
        ),
        "asl_restore_left_records": (
            "Offsets left of the topic that the partition is being restored from.",
            {(p.partition,): p.restoring_left for p in partitions},
        ),
        "asl_restore_left_seconds": (
            "How long reading these takes at the pace so far; absent while that cannot be told.",
            {(p.partition,): p.restore_seconds_left for p in partitions if p.restore_seconds_left is not None},
        ),
    }
    for name, (meaning, values) in gauges.items():
        yield gauge(name, meaning, ["partition"], values)
    restored = {(p.partition, of): count for p in partitions for of, count in p.restored.items()}
    yield gauge("asl_restored_records", "Records read to restore the partition.", ["partition", "of"], restored)


# ---- how they are written


def gauge(name: str, meaning: str, labels: list[str], values: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for key, value in values.items():
        family.add_metric([str(part) for part in key], value)
    return family


def counter(name: str, meaning: str, labels: list[str], values: Mapping[Labels, float]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for key, value in values.items():
        family.add_metric([str(part) for part in key], value)
    return family


def figure(name: str, meaning: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return gauge(name, meaning, [], {(): value})


def labelled(metrics: Iterable[Metric], **labels: str) -> Iterator[Metric]:
    """Yield the metrics with these labels besides their own, and without the times at which counters were made."""
    for metric in metrics:
        copy = Metric(metric.name, metric.documentation, metric.type)
        copy.samples = [
            Sample(s.name, s.labels | labels, s.value) for s in metric.samples if not s.name.endswith("_created")
        ]
        yield copy


class _Labelled(Collector):
    def __init__(self, collectors: Iterable[Collector], labels: Mapping[str, str]) -> None:
        self._collectors, self._labels = tuple(collectors), labels

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from labelled(collector.collect(), **self._labels)


def registry_of(collector: Collector, **labels: str) -> CollectorRegistry:
    """Return what Prometheus is shown: the role's metrics and its process's, with these labels."""
    registry = CollectorRegistry()
    registry.register(_Labelled([collector, ProcessCollector(registry=None)], labels))
    return registry
