"""A supervisor keeps a process in every slot, on a clock that the test holds; and what its workers tell, as one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from processor.adapters.clock import ManualClock
from processor.adapters.metrics import ProcessorMetrics, registry_of
from processor.apps.health import FleetHealth, HealthServer, application, listen
from processor.apps.roles import StopFlag
from processor.apps.supervisor import (
    LOOK_SECONDS,
    Process,
    Supervisor,
    Worker,
    restart_delay,
    start_process,
)
from processor.engine.standing import Standing

WAIT_SECONDS = 20.0


class FakeProcess:
    """Lives until it is killed, or told to end: a stubborn one has to be killed."""

    def __init__(self, pid: int, *, stubborn: bool = False) -> None:
        self.pid, self._stubborn = pid, stubborn
        self.stdin: IO[bytes] | None = None
        self.code: int | None = None
        self.signals: list[int] = []

    def poll(self) -> int | None:
        return self.code

    def send_signal(self, signal: int) -> None:
        self.signals.append(signal)
        if not self._stubborn:
            self.code = 0

    def kill(self) -> None:
        self.signals.append(signal.SIGKILL)
        self.code = -signal.SIGKILL


class Town:
    """A supervisor whose time passes only while it sleeps."""

    def __init__(self, *slots: str, stubborn: bool = False) -> None:
        self.now = 0.0
        self.started: list[tuple[float, str]] = []
        self.processes: list[FakeProcess] = []
        self._stubborn = stubborn
        self.supervisor = Supervisor(
            slots, self._start, grace_seconds=5.0, monotonic=lambda: self.now, sleep=self.sleep
        )

    def _start(self, slot: str) -> tuple[Process, int]:
        process = FakeProcess(len(self.processes), stubborn=self._stubborn)
        self.processes.append(process)
        self.started.append((round(self.now, 3), slot))
        return process, 40_000 + process.pid

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def tend(self, *, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.supervisor.tend()
            self.sleep(LOOK_SECONDS)


def test_every_slot_has_a_process_at_once() -> None:
    town = Town("0", "1", "2")
    town.tend(seconds=1)

    assert town.started == [(0.0, "0"), (0.0, "1"), (0.0, "2")]
    assert [(w.slot, w.up, w.restarts, w.port) for w in town.supervisor.workers] == [
        ("0", True, 0, 40_000),
        ("1", True, 0, 40_001),
        ("2", True, 0, 40_002),
    ]


def test_a_process_that_died_is_started_again_in_its_slot_at_the_next_look() -> None:
    town = Town("0", "1")
    town.tend(seconds=1)
    town.processes[1].code = -signal.SIGKILL
    town.tend(seconds=1)

    [(at, slot)] = town.started[2:]
    assert slot == "1"
    assert at == pytest.approx(1.1, abs=LOOK_SECONDS + 0.01)
    assert [(w.up, w.restarts) for w in town.supervisor.workers] == [(True, 0), (True, 1)]


def test_one_that_dies_again_and_again_is_started_after_longer_and_longer_waits() -> None:
    town = Town("0")
    seen = []
    for _ in range(9):
        town.tend(seconds=0.2)
        died = town.now
        town.processes[-1].code = 2
        before = len(town.started)
        while len(town.started) == before:
            town.tend(seconds=LOOK_SECONDS)
        seen.append(round(town.started[-1][0] - died))

    assert seen == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert [restart_delay(deaths) for deaths in range(1, 5)] == [0.0, 1.0, 2.0, 4.0]


def test_one_that_lived_for_a_minute_is_started_at_once_again() -> None:
    town = Town("0")
    for _ in range(4):
        town.tend(seconds=0.2)
        town.processes[-1].code = 2
        town.tend(seconds=10)
    town.tend(seconds=61)
    town.processes[-1].code = 2
    died = town.now
    town.tend(seconds=1)

    assert town.started[-1][0] == pytest.approx(died + LOOK_SECONDS)


def test_a_stop_tells_all_to_end_and_waits_for_them() -> None:
    town, stop = Town("0", "1"), StopFlag()
    town.tend(seconds=1)
    stop.set()
    town.supervisor.run(stop)

    assert [process.signals for process in town.processes] == [[signal.SIGTERM], [signal.SIGTERM]]
    assert [w.up for w in town.supervisor.workers] == [False, False]


def test_who_does_not_end_within_the_grace_is_killed() -> None:
    town, stop = Town("0", stubborn=True), StopFlag()
    town.tend(seconds=1)
    stop.set()
    began = town.now
    town.supervisor.run(stop)

    assert town.processes[0].signals == [signal.SIGTERM, signal.SIGKILL]
    assert town.now - began == pytest.approx(5.0, abs=2 * LOOK_SECONDS)


def test_who_is_dead_when_a_stop_comes_is_neither_told_nor_started_again() -> None:
    town, stop = Town("0", "1"), StopFlag()
    town.tend(seconds=1)
    town.processes[0].code = 2
    stop.set()
    town.supervisor.run(stop)

    assert [process.signals for process in town.processes] == [[], [signal.SIGTERM]]


def test_a_worker_hears_of_its_supervisors_end_by_its_standard_input() -> None:
    process = start_process([sys.executable, "-c", "import sys; sys.stdin.buffer.read(); sys.exit(7)"])
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(timeout=WAIT_SECONDS) == 7


def test_a_worker_is_in_a_session_of_its_own_so_that_the_terminals_signals_do_not_reach_it() -> None:
    code = "import os, sys; sys.exit(0 if os.getsid(0) == os.getpid() else 1)"
    process = start_process([sys.executable, "-c", code])
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(timeout=WAIT_SECONDS) == 0


# ---- what its workers tell


class Answering:
    """A worker's answers, without its process."""

    def __init__(self, worker: Worker, running: ExitStack) -> None:
        self.seconds = 0.0
        self.metrics = ProcessorMetrics(clock=ManualClock(), monotonic=lambda: self.seconds)
        answer = application(
            registry_of(self.metrics, worker=worker.slot),
            live=lambda: self.metrics.live,
            ready=lambda: self.metrics.ready,
        )
        listening = listen("127.0.0.1", 0)
        worker.port = listening.getsockname()[1]
        running.enter_context(HealthServer(listening, answer))

    def tell(self, *, ready: bool, events: int = 0) -> None:
        self.seconds += 1.0
        self.metrics.stepped(lambda: Standing(ready=ready, partition_count=6, counts={"events": events}, partitions=()))


class Fleet:
    def __init__(self, running: ExitStack) -> None:
        self.town = Town("0", "1")
        self.town.tend(seconds=1)
        self.workers = [Answering(worker, running) for worker in self.town.supervisor.workers]
        self.health = FleetHealth(self.town.supervisor, monotonic=lambda: self.town.now)

    def lines(self) -> list[str]:
        registry = CollectorRegistry()
        registry.register(self.health)
        return generate_latest(registry).decode().splitlines()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with ExitStack() as running:
        yield Fleet(running)


def test_a_fleet_is_ready_when_all_its_workers_are(fleet: Fleet) -> None:
    seen = [fleet.health.ready]
    fleet.workers[0].tell(ready=True)
    seen.append(fleet.health.ready)
    fleet.workers[1].tell(ready=True)
    seen.append(fleet.health.ready)
    fleet.town.processes[0].code = 1
    fleet.town.tend(seconds=LOOK_SECONDS)
    seen.append(fleet.health.ready)

    assert seen == [False, False, True, False]


def test_a_fleet_is_alive_while_no_worker_says_it_is_not_and_somebody_looks_after_them(fleet: Fleet) -> None:
    seen = [fleet.health.live]
    fleet.town.supervisor.workers[0].port = None  # it is being started
    seen.append(fleet.health.live)
    fleet.workers[1].seconds = 1_000.0
    seen.append(fleet.health.live)
    fleet.workers[1].tell(ready=False)
    seen.append(fleet.health.live)
    fleet.town.now += 61
    seen.append(fleet.health.live)

    assert seen == [True, True, False, True, False]


def test_metrics_of_all_workers_stand_in_one_family_each_with_its_slot(fleet: Fleet) -> None:
    fleet.workers[0].tell(ready=True, events=3)
    fleet.workers[1].tell(ready=True, events=4)
    fleet.town.processes[1].code = 1
    port = fleet.town.supervisor.workers[1].port
    fleet.town.tend(seconds=LOOK_SECONDS)
    fleet.town.supervisor.workers[1].port = port
    lines = fleet.lines()

    assert [line for line in lines if line.startswith("asl_events_total")] == [
        'asl_events_total{worker="0"} 3.0',
        'asl_events_total{worker="1"} 4.0',
    ]
    assert lines.count("# TYPE asl_events_total counter") == 1
    assert 'asl_commit_seconds_bucket{le="0.01",worker="1"} 0.0' in lines
    assert [line for line in lines if line.startswith("asl_worker_")] == [
        'asl_worker_up{worker="0"} 1.0',
        'asl_worker_up{worker="1"} 0.0',
        'asl_worker_restarts_total{worker="0"} 0.0',
        'asl_worker_restarts_total{worker="1"} 1.0',
    ]


def test_a_worker_that_gives_no_answer_is_missing_and_the_others_are_told(fleet: Fleet) -> None:
    fleet.workers[0].tell(ready=True, events=3)
    with listen("127.0.0.1", 0) as gone:
        port = gone.getsockname()[1]
    fleet.town.supervisor.workers[1].port = port

    assert [line for line in fleet.lines() if line.startswith("asl_events_total")] == [
        'asl_events_total{worker="0"} 3.0'
    ]
    assert (fleet.health.ready, fleet.health.live) == (False, True)
