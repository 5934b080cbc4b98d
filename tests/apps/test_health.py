"""What is answered to those who watch over a role, over HTTP, and the thread that looks at the log meanwhile."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from prometheus_client import generate_latest

from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.adapters.metrics import ProcessorMetrics, registry_of
from processor.apps.health import HealthServer, Surveyor, TimersMetrics, WorkerMetrics, application, listen, server
from processor.apps.timers import TimerService
from processor.apps.worker import Worker, WorkerRunner
from processor.engine.ports import Message, Survey
from processor.engine.topics import topic_specs
from processor.errors import InvalidSettings, LogUnavailable
from tests.apps.test_timers import write
from tests.engine.world import TASK, World


class Asked:
    """A server on a free port, asked by a client of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@contextmanager
def served(metrics: ProcessorMetrics | TimersMetrics) -> Iterator[Asked]:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    answer = application(registry_of(metrics), live=lambda: metrics.live, ready=lambda: metrics.ready)
    with HealthServer(listening, answer):
        yield Asked(port)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_readiness_is_200_or_503_and_so_is_liveness() -> None:
    world, seconds = World(partitions=1), Seconds()
    metrics = ProcessorMetrics(clock=world.clock, monotonic=seconds)
    with served(metrics) as asked:
        before = [asked.get("/health/ready"), asked.get("/health/live")]
        metrics.stepped(world.processor.standing)
        world.settle()
        seconds.now = 1.0
        metrics.stepped(world.processor.standing)
        after = [asked.get("/health/ready"), asked.get("/health/live")]
        seconds.now = 1_000.0
        at_last = [asked.get("/health/ready"), asked.get("/health/live")]

    assert before == [(503, "not ready\n"), (200, "alive\n")]
    assert after == [(200, "ready\n"), (200, "alive\n")]
    assert at_last == [(503, "not ready\n"), (503, "does not move\n")]


def test_metrics_are_at_their_path_and_elsewhere_it_is_said_where() -> None:
    metrics = ProcessorMetrics(clock=ManualClock())
    with served(metrics) as asked:
        status, text = asked.get("/metrics")
        nowhere = asked.get("/")

    assert (status, "asl_ready 0.0" in text.splitlines()) == (200, True)
    assert nowhere == (404, "there are /metrics, /health/live and /health/ready\n")


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(InvalidSettings) as fault:
        listen("127.0.0.1", taken.getsockname()[1])

    assert (fault.value.setting, "port" in fault.value.rule, "Address already in use" in fault.value.rule) == (
        "health_port",
        True,
        True,
    )


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Quiet, "timeout", 0.01)
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        metrics = ProcessorMetrics(clock=ManualClock())
        answer = application(registry_of(metrics), live=lambda: True, ready=lambda: True)
        with HealthServer(listening, answer), socket.create_connection(address, timeout=10) as silent:
            assert silent.recv(1) == b""


# ---- timers, workers


def figures(metrics: TimersMetrics | WorkerMetrics) -> dict[str, float]:
    lines = generate_latest(registry_of(metrics)).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("asl_"))
    return {name: float(value) for name, value in pairs}


def test_timer_lag_is_how_long_the_first_unresolved_one_has_been_due() -> None:
    clock, seconds = ManualClock(), Seconds()
    log = MemoryLog(clock=clock)
    log.create_topics(topic_specs(log.names, partitions=1))
    metrics = TimersMetrics(monotonic=seconds)
    service = TimerService(log, clock, tell=metrics.stepped)
    write_at = clock.now()
    for sequence, due in ((3, write_at + 5_000), (4, write_at + 8_000)):
        write(log, f"order:1##{sequence}#wait", due)
    seen = []

    def look(*, after: float) -> None:
        clock.advance(timedelta(seconds=after))
        seconds.now += 1.0
        service.step(0)
        seen.append(figures(metrics))

    look(after=0)
    look(after=9)  # both are fired, four seconds and one second late
    look(after=2)  # nobody has taken them
    write(log, "order:1##3#wait", None)
    look(after=0)
    write(log, "order:1##4#wait", None)
    look(after=0)
    service.close()

    assert [one["asl_timer_lag_seconds"] for one in seen] == [0.0, 4.0, 6.0, 3.0, 0.0]
    assert [one['asl_timers_pending{partition="0"}'] for one in seen] == [2.0, 2.0, 2.0, 1.0, 0.0]
    assert [one["asl_timers_fired_total"] for one in seen] == [0.0, 2.0, 2.0, 2.0, 2.0]
    assert seen[-1]["asl_ready"] == 1.0


def test_timers_are_not_ready_before_the_group_has_said_which_are_theirs() -> None:
    log = MemoryLog()
    log.create_topics(topic_specs(log.names, partitions=1))
    service = TimerService(log, ManualClock())
    before = service.standing().ready
    service.step(0)
    after = service.standing().ready
    service.close()

    assert (before, after) == (False, True)


def test_a_timer_that_is_armed_anew_is_no_longer_late() -> None:
    clock = ManualClock()
    log = MemoryLog(clock=clock)
    log.create_topics(topic_specs(log.names, partitions=1))
    service = TimerService(log, clock)
    write(log, "order:1##3#heartbeat", clock.now())
    service.step(0)
    clock.advance(timedelta(seconds=7))
    late = service.standing().lag_ms
    write(log, "order:1##3#heartbeat", clock.now() + 30_000)
    service.step(0)
    service.close()

    assert (late, service.standing().lag_ms) == (7_000, 0)


def test_a_record_of_timers_that_is_none_is_told() -> None:
    clock = ManualClock()
    log = MemoryLog(clock=clock)
    log.create_topics(topic_specs(log.names, partitions=1))
    metrics = TimersMetrics()
    log.outbox().send([Message(topic=log.names.timers, key=b"x", value=b"garbage", partition=0)])
    service = TimerService(log, clock, tell=metrics.stepped)
    service.step(0)
    service.close()

    assert figures(metrics)["asl_timers_skipped_total"] == 1.0


def test_a_worker_tells_what_it_runs_and_what_is_unresolved() -> None:
    world = World(partitions=1)
    world.deploy("task", TASK)
    worker, seconds, may_end = Worker("payments"), Seconds(), threading.Event()
    worker.task("work")(lambda payload: may_end.wait(20))
    metrics = WorkerMetrics(monotonic=seconds)
    runner = WorkerRunner(world.log, worker, world.clock, tell=metrics.stepped)
    seen = []

    def look() -> None:
        seconds.now += 1.0
        runner.step(0)
        told = figures(metrics)
        seen.append(tuple(told[f"asl_tasks_{what}"] for what in ("unresolved", "running", "skipped_total")))

    look()
    world.start("task:a")
    world.settle()
    look()
    may_end.set()
    assert runner.drain(timeout_seconds=20)
    world.write(Message(topic=world.names.tasks, key=b"x", value=b"garbage", partition=0))
    look()
    ready = figures(metrics)["asl_ready"]
    runner.close()

    assert (seen, ready) == ([(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 1.0)], 1.0)


# ---- the surveyor


class Unreachable(MemoryLog):
    fault: Exception | None = None

    def survey(self) -> Survey:  # type: ignore[override]  # or none
        if self.fault is not None:
            raise self.fault
        return super().survey()


@pytest.mark.parametrize("fault", [LogUnavailable(address="memory:", reason="a test"), ZeroDivisionError()])
def test_a_look_from_outside_is_told_and_one_that_comes_to_nothing_counted(fault: Exception) -> None:
    world, seconds = World(partitions=1), Seconds()
    world.settle()
    metrics = ProcessorMetrics(clock=world.clock, monotonic=seconds)
    metrics.stepped(world.processor.standing)
    log = Unreachable(world.names)
    log._store, log.fault = world.log._store, fault
    surveyor = Surveyor(log, metrics)
    surveyor.look()
    failed = generate_latest(registry_of(metrics)).decode()
    log.fault = None
    world.start("nothing:a")
    world.advance(4)
    surveyor.look()
    seen = generate_latest(registry_of(metrics)).decode()

    assert "asl_survey_failures_total 1.0" in failed.splitlines()
    assert 'asl_commands_lag_records{partition="0"} 1.0' in seen.splitlines()
    assert 'asl_commands_lag_seconds{partition="0"} 4.0' in seen.splitlines()


def test_a_surveyor_that_was_started_ends_when_it_is_closed() -> None:
    surveyor = Surveyor(MemoryLog(), ProcessorMetrics(clock=ManualClock()))
    surveyor.start()
    surveyor.close()

    assert not surveyor._thread.is_alive()
