"""Roles run until they are told to stop; an absent log is waited for, everything else ends them."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable

import pytest

from processor.apps import roles
from processor.apps.roles import Roles, StopFlag, run_role, stopped_by_signals
from processor.errors import LogUnavailable, NotAuthorized, SlotTaken

WAIT_SECONDS = 20.0


class Recorded:
    """A role that notes what is done with it; `fault` is raised by `run`, else it stops what runs it."""

    def __init__(self, notes: list[str], stop: StopFlag, fault: BaseException | None = None) -> None:
        self._notes, self._stop, self._fault = notes, stop, fault
        notes.append("made")

    def run(self, stop: Callable[[], bool]) -> None:
        self._notes.append("run")
        if self._fault is not None:
            raise self._fault
        self._stop.set()

    def close(self) -> None:
        self._notes.append("closed")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was to be waited between the tries; nothing is waited for."""
    waits: list[float] = []

    def wait(self: StopFlag, seconds: float) -> bool:
        waits.append(seconds)
        return self.is_set

    monkeypatch.setattr(roles.StopFlag, "wait", wait)
    return waits


def test_a_role_runs_until_the_flag_is_set_and_is_closed() -> None:
    notes: list[str] = []
    stop = StopFlag()
    run_role("timers", lambda: Recorded(notes, stop), stop)
    assert notes == ["made", "run", "closed"]


def test_a_log_that_cannot_be_reached_is_tried_again_after_longer_and_longer_waits(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    notes: list[str] = []
    stop = StopFlag()
    absent = LogUnavailable(address="kafka:nowhere:9092", reason="refused")
    faults: list[BaseException | None] = [*[absent] * 7, None]
    with caplog.at_level(logging.WARNING, logger="processor"):
        run_role("timers", lambda: Recorded(notes, stop, faults.pop(0)), stop)
    assert notes == ["made", "run", "closed"] * 8
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert {(r.getMessage(), r.__dict__["address"]) for r in caplog.records} == {
        ("log_unavailable", "kafka:nowhere:9092")
    }


def test_a_log_that_cannot_be_reached_when_the_role_is_made_is_tried_again(waits: list[float]) -> None:
    notes: list[str] = []
    stop = StopFlag()
    tries = [LogUnavailable(address="kafka:nowhere:9092", reason="refused")]

    def make() -> Recorded:
        if tries:
            raise tries.pop()
        return Recorded(notes, stop)

    run_role("timers", make, stop)
    assert (notes, waits) == (["made", "run", "closed"], [0.5])


def test_every_other_fault_ends_the_role() -> None:
    notes: list[str] = []
    stop = StopFlag()
    with pytest.raises(SlotTaken):
        run_role("processor", lambda: Recorded(notes, stop, SlotTaken(slot="0", reason="a test")), stop)
    assert notes == ["made", "run", "closed"]


DOUBTFUL = SlotTaken(slot="0", reason="a test", doubtful=True)


def test_a_slot_that_may_be_taken_is_tried_once_more_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    stop = StopFlag()
    faults = [DOUBTFUL, DOUBTFUL, None]
    now = [0.0]

    def make() -> Recorded:
        now[0] += 60.0
        return Recorded(notes, stop, faults.pop(0))

    monkeypatch.setattr("processor.apps.roles.time.monotonic", lambda: now[0])
    run_role("processor", make, stop)
    assert notes == ["made", "run", "closed"] * 3


def test_a_slot_that_is_taken_twice_in_a_minute_ends_the_role() -> None:
    notes: list[str] = []
    stop = StopFlag()
    with pytest.raises(SlotTaken):
        run_role("processor", lambda: Recorded(notes, stop, DOUBTFUL), stop)
    assert notes == ["made", "run", "closed"] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_flag_and_the_second_is_no_longer_handled(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stopped_by_signals() as stop:
        os.kill(os.getpid(), number)
        assert (stop(), signal.getsignal(number)) == (True, signal.SIG_DFL)
    assert signal.getsignal(number) == before


def test_the_first_role_that_fails_stops_the_others() -> None:
    class Patient:
        def run(self, stop: Callable[[], bool]) -> None:
            while not stop():
                pass

        def close(self) -> None:
            pass

    together = Roles()
    together.start("worker", Patient)
    fault = NotAuthorized(role="timers", reason="a test")
    together.start("timers", lambda: Recorded([], StopFlag(), fault))
    for thread in together._threads:
        thread.join(WAIT_SECONDS)
    assert (together.failure, together.stop.is_set) == (fault, True)
    together.close()
