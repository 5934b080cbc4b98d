"""What Prometheus is shown of a processor, read as Prometheus reads it; every figure is seen to move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from processor.adapters.metrics import DEAD_SECONDS, STALE_SECONDS, ProcessorMetrics, registry_of
from processor.engine.ports import Backlog, Findings
from processor.engine.processor import DEADLY_FROM, Processor
from processor.engine.standing import PartitionStanding, Standing
from processor.model import commands as c
from processor.model.ids import Millis
from tests.engine.world import PASS, TASK, SameSeed, World, map_of_passes, scheduled


class Seconds:
    """Moves on by itself a little each time it is asked, as `tick` says."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self._tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self._tick
        return self.now


class Watched:
    """A world whose processor is watched, and what is shown of it."""

    def __init__(self) -> None:
        self.world = World(partitions=1, slice_events=5)
        self.seconds = Seconds()
        self.metrics = ProcessorMetrics(clock=self.world.clock, monotonic=self.seconds, timer=Seconds(tick=0.03))
        self.world.deploy("pass", PASS)
        self.world.deploy("task", TASK)
        self.world.deploy("each", map_of_passes())
        self.restart()

    def restart(self) -> None:
        self.metrics.begin()
        self.world.processor = Processor(
            log=self.world.log,
            clock=self.world.clock,
            entropy=SameSeed(),
            slice_events=5,
            observer=self.metrics,
        )

    def settle(self) -> None:
        self.world.settle()
        self.seconds.now += 1.0  # a standing is at most a second old
        self.world.step()

    def shown(self, name: str, **labels: str) -> float | None:
        return shown(self.metrics).get((name, frozenset(labels.items())))


def shown(metrics: ProcessorMetrics, **more: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = generate_latest(registry_of(metrics, **more)).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    watched.settle()
    yield watched


def outcomes(watched: Watched) -> dict[str, float]:
    return {
        dict(labels)["outcome"]: value
        for (name, labels), value in shown(watched.metrics).items()
        if name == "asl_commands_total" and value
    }


def test_commands_are_counted_by_what_became_of_them(watched: Watched) -> None:
    world = watched.world
    world.start("task:a", "x")
    world.start("task:a", "x")
    world.start("pass:a")
    world.start("nothing:a")
    watched.settle()
    done = c.CompleteTask.of(scheduled(world, "task:a"), None)
    world.send(done, done, c.StopExecution(execution_id="pass:b"))
    world.send_bytes(b"garbage", key=b"x")
    world.send(c.FireTimer(execution_id="pass:a", timer_id="pass:a##3#wait"))
    watched.settle()

    assert outcomes(watched) == {
        "started": 2.0,
        "repeated_start": 1.0,
        "applied": 1.0,
        "rejected": 3.0,
        "dead_letter": 1.0,
        "stale_timer": 1.0,
    }


def test_events_transactions_and_their_duration_are_told(watched: Watched) -> None:
    watched.world.start("pass:a")
    watched.settle()

    events = len(watched.world.events("pass:a"))
    assert watched.shown("asl_events_total") == events
    assert watched.shown("asl_transactions_total", outcome="committed") == 1.0
    assert watched.shown("asl_transactions_total", outcome="aborted") == 0.0
    assert watched.shown("asl_commit_seconds_count") == 1.0
    assert watched.shown("asl_commit_seconds_sum") == pytest.approx(0.03)
    assert watched.shown("asl_commit_seconds_bucket", le="0.02") == 0.0
    assert watched.shown("asl_commit_seconds_bucket", le="0.04") == 1.0


def test_a_transaction_that_was_not_committed_is_told(watched: Watched) -> None:
    watched.world.log.refuse_commits(2)
    watched.world.start("pass:a")
    watched.settle()

    assert watched.shown("asl_transactions_total", outcome="aborted") == 2.0
    assert watched.shown("asl_transactions_total", outcome="committed") == 1.0


def test_open_and_closed_executions_are_told_by_partition(watched: Watched) -> None:
    watched.world.start("task:a")
    watched.world.start("task:b")
    watched.world.start("pass:a")
    watched.settle()

    assert watched.shown("asl_open_executions", partition="0") == 2.0
    assert watched.shown("asl_closed_executions", partition="0") == 1.0
    watched.world.answer()
    watched.settle()
    assert watched.shown("asl_open_executions", partition="0") == 0.0
    assert watched.shown("asl_closed_executions", partition="0") == 3.0
    written = [record.value or b"" for record in watched.world.records(watched.world.names.closed)]
    assert watched.shown("asl_closed_bytes", partition="0") == sum(map(len, written))


def test_runnable_executions_and_their_turns_are_told(watched: Watched) -> None:
    watched.world.start("each:a", [1, 2, 3])
    seen = []
    for _ in range(20):
        watched.seconds.now += 1.0
        watched.world.step()
        seen.append(watched.shown("asl_runnable_executions", partition="0"))

    assert (max(filter(None, seen)), seen[-1]) == (1.0, 0.0)
    slices = watched.shown("asl_slices_total")
    assert slices is not None and slices > 1


def test_quarantine_is_told_as_long_as_it_lasts(watched: Watched) -> None:
    world = watched.world
    world.start("task:a")
    watched.settle()
    [partition] = world.processor._partitions.values()
    partition.attempts = DEADLY_FROM
    world.send(c.CompleteTask.of(scheduled(world, "task:a"), None))
    watched.settle()
    during = watched.shown("asl_quarantined_executions", partition="0")
    world.send(c.ReleaseExecution(execution_id="task:a"))
    watched.settle()

    assert during == 1.0
    assert watched.shown("asl_quarantined_executions", partition="0") == 0.0
    assert watched.shown("asl_quarantines_total") == 1.0


def test_checkpoints_and_snapshots_are_told(watched: Watched) -> None:
    watched.world.start("task:a")
    watched.settle()
    watched.world.advance(61)
    watched.settle()

    assert (watched.shown("asl_checkpoints_total"), watched.shown("asl_snapshots_total")) == (1.0, 1.0)


def standing(*partitions: PartitionStanding, ready: bool = False, **counts: int) -> Standing:
    return Standing(ready=ready, partition_count=6, counts=counts, partitions=partitions)


def restoring(**fields: object) -> PartitionStanding:
    values: dict[str, object] = dict.fromkeys(
        ("open", "runnable", "quarantined", "closed", "closed_bytes", "waiting_commands"), 0
    )
    values |= {"partition": 3, "state": "RESTORING", "restored": {}, "restoring_left": 0, "restore_seconds_left": None}
    return PartitionStanding(**(values | fields))  # type: ignore[arg-type]  # as they are there


def test_a_restore_is_told_with_its_progress_and_how_long_it_may_take() -> None:
    metrics = ProcessorMetrics(clock=World().clock, monotonic=Seconds())
    there = restoring(restored={"snapshots": 7, "events": 20}, restoring_left=80, restore_seconds_left=12.5)
    metrics.stepped(lambda: standing(there, restoring(partition=4, state="STOPPED", waiting_commands=2)))
    found = shown(metrics)

    def of(name: str, **labels: str) -> float | None:
        return found.get((name, frozenset(labels.items())))

    assert of("asl_restored_records", partition="3", of="snapshots") == 7.0
    assert of("asl_restored_records", partition="3", of="events") == 20.0
    assert of("asl_restore_left_records", partition="3") == 80.0
    assert of("asl_restore_left_seconds", partition="3") == 12.5
    assert of("asl_restore_left_seconds", partition="4") is None
    assert of("asl_waiting_commands", partition="4") == 2.0
    states = {state: of("asl_partitions", state=state) for state in ("restoring", "open", "ready", "stopped")}
    assert states == {"restoring": 1.0, "open": 0.0, "ready": 0.0, "stopped": 1.0}
    assert (of("asl_ready"), of("asl_all_partitions")) == (0.0, 6.0)


def test_a_real_restore_is_told(watched: Watched) -> None:
    for number in range(4):
        watched.world.start(f"pass:{number}")
    watched.settle()
    watched.restart()
    watched.settle()

    assert watched.shown("asl_restored_records", partition="0", of="events") == 4.0
    assert watched.shown("asl_restored_records", partition="0", of="closed") == 4.0
    assert watched.shown("asl_restore_left_records", partition="0") == 0.0
    assert watched.shown("asl_partitions", state="ready") == 1.0


def findings(**fields: object) -> Findings:
    values: dict[str, object] = {"backlogs": {}, "retention_ms": None, "held_seconds": {}, "hanging": 0}
    return Findings(**(values | fields))  # type: ignore[arg-type]  # as they are there


def test_lag_is_told_against_retention_as_it_was_when_it_was_looked_at(watched: Watched) -> None:
    now = watched.world.clock.now()
    backlogs = {0: Backlog(records=5, oldest=Millis(now - 2_000)), 9: Backlog(records=1, oldest=now)}
    watched.metrics.surveyed(findings(backlogs=backlogs, retention_ms=86_400_000))
    watched.world.advance(3)  # they may have been applied by now

    assert watched.shown("asl_commands_lag_seconds", partition="0") == 2.0
    assert watched.shown("asl_commands_lag_records", partition="0") == 5.0
    assert watched.shown("asl_commands_retention_seconds") == 86_400.0
    assert watched.shown("asl_commands_lag_records", partition="9") is None  # it is another's by now


def test_what_was_seen_a_minute_ago_is_told_no_longer(watched: Watched) -> None:
    watched.metrics.surveyed(findings(backlogs={0: Backlog(records=5, oldest=None)}))

    watched.world.advance(59.9)
    assert watched.shown("asl_commands_lag_records", partition="0") == 5.0
    watched.world.advance(0.1)
    assert watched.shown("asl_commands_lag_records", partition="0") is None


def test_where_nothing_waits_the_lag_is_nothing_and_without_retention_none_is_told(watched: Watched) -> None:
    watched.metrics.surveyed(findings(backlogs={0: Backlog(records=0, oldest=None)}))

    assert watched.shown("asl_commands_lag_seconds", partition="0") == 0.0
    assert watched.shown("asl_commands_retention_seconds") is None


def test_readers_held_up_by_a_transaction_are_told(watched: Watched) -> None:
    held = {("asl.events", 0): 41.0, ("asl.events", 5): 50.0}
    watched.metrics.surveyed(findings(held_seconds=held, hanging=1))

    assert watched.shown("asl_transaction_held_seconds", topic="asl.events", partition="0") == 41.0
    assert watched.shown("asl_transaction_held_seconds", topic="asl.events", partition="5") is None
    assert watched.shown("asl_hanging_transactions") == 1.0


def test_looks_that_came_to_nothing_are_counted(watched: Watched) -> None:
    watched.metrics.survey_failed()

    assert watched.shown("asl_survey_failures_total") == 1.0


def test_whatever_else_is_counted_is_told_by_its_kind() -> None:
    metrics = ProcessorMetrics(clock=World().clock, monotonic=Seconds())
    metrics.stepped(lambda: standing(purged=3, misrouted=2, transactions=9))
    found = shown(metrics)

    assert {key: value for key, value in found.items() if key[0] == "asl_counted_total"} == {
        ("asl_counted_total", frozenset({("kind", "purged")})): 3.0
    }
    assert found["asl_commands_total", frozenset({("outcome", "misrouted")})] == 2.0


def test_every_sample_carries_the_labels_it_is_shown_with(watched: Watched) -> None:
    watched.world.start("pass:a")
    watched.settle()
    found = shown(watched.metrics, worker="2")

    assert [name for name, labels in found if dict(labels).get("worker") != "2"] == []
    assert {name for name, _ in found} >= {"asl_build", "process_resident_memory_bytes", "asl_commit_seconds_bucket"}
    assert [name for name, _ in found if name.endswith("_created")] == []


# ---- alive, ready


def test_it_is_ready_once_all_is_restored_and_not_before_nor_when_made_anew(watched: Watched) -> None:
    ready = [watched.metrics.ready]
    watched.restart()
    ready.append(watched.metrics.ready)
    watched.settle()
    ready.append(watched.metrics.ready)

    assert (ready, watched.shown("asl_ready")) == ([True, False, True], 1.0)


def test_a_processor_that_does_not_move_is_soon_not_ready_and_at_last_not_alive(watched: Watched) -> None:
    seen = []
    for seconds in (STALE_SECONDS - 1, 2, DEAD_SECONDS - STALE_SECONDS - 2, 2):
        watched.seconds.now += seconds
        seen.append((watched.metrics.ready, watched.metrics.live))
    watched.world.step()
    seen.append((watched.metrics.ready, watched.metrics.live))

    assert seen == [(True, True), (False, True), (False, True), (False, False), (True, True)]


def test_a_standing_is_asked_for_at_most_once_a_second() -> None:
    seconds, asked = Seconds(), list[float]()
    metrics = ProcessorMetrics(clock=World().clock, monotonic=seconds)

    def ask() -> Standing:
        asked.append(seconds.now)
        return standing()

    for _ in range(30):
        metrics.stepped(ask)
        seconds.now += 0.125

    assert asked == [0.0, 1.0, 2.0, 3.0]
