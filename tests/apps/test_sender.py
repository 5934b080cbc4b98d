"""Results wait for a log that cannot be reached; nothing is lost, nothing is told twice."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

import pytest

from processor.apps.worker import sender as module
from processor.apps.worker.sender import Sender, Sent
from processor.engine.encoding import decode_command
from processor.engine.ports import Message
from processor.errors import LogUnavailable, NotAuthorized
from processor.model.commands import CompleteTask

WAIT_SECONDS = 20.0
ABSENT = LogUnavailable(address="kafka:nowhere:9092", reason="refused")


class Unreliable:
    """An outbox that raises each of `faults` once, in this order, and then sends."""

    def __init__(self, faults: Sequence[Exception]) -> None:
        self._faults = list(faults)
        self.sent: list[Message] = []
        self.tried = threading.Event()
        self.closed = False

    def send(self, messages: Sequence[Message]) -> None:
        self.tried.set()
        if self._faults:
            raise self._faults.pop(0)
        self.sent += messages

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_DELAY_SECONDS", 0.0)


def result(number: int) -> CompleteTask:
    return CompleteTask(execution_id=f"order:{number}", token=f"order:{number}##2", output=number)


def test_a_result_is_sent_once_the_log_is_back() -> None:
    outbox, told = Unreliable([ABSENT] * 3), queue.SimpleQueue[Sent]()
    sender = Sender(lambda: outbox, topic="asl.commands", sent=told.put)
    sender.put(result(1))
    assert told.get(timeout=WAIT_SECONDS) == result(1)
    sender.close(timeout_seconds=WAIT_SECONDS)
    assert [(m.topic, m.key, decode_command(m.value or b"")) for m in outbox.sent] == [
        ("asl.commands", b"order:1", result(1))
    ]
    assert (outbox.closed, sender.failure) == (True, None)


def test_closing_sends_what_waits() -> None:
    outbox = Unreliable([])
    sender = Sender(lambda: outbox, topic="asl.commands", sent=lambda command: None)
    for number in range(module._MAX_BATCH + 1):
        sender.put(result(number))
    sender.close(timeout_seconds=WAIT_SECONDS)
    assert [m.key for m in outbox.sent] == [f"order:{number}".encode() for number in range(module._MAX_BATCH + 1)]


def test_closing_gives_up_on_a_log_that_stays_away() -> None:
    outbox, told = Unreliable([ABSENT] * 1_000_000), list[Sent]()
    sender = Sender(lambda: outbox, topic="asl.commands", sent=told.append)
    sender.put(result(1))
    assert outbox.tried.wait(WAIT_SECONDS)
    sender.close(timeout_seconds=0)
    assert (told, type(sender.failure)) == ([], LogUnavailable)


def test_a_refusal_for_good_is_kept_for_the_runner() -> None:
    refusal = NotAuthorized(role="worker", reason="a test")
    outbox = Unreliable([refusal])
    sender = Sender(lambda: outbox, topic="asl.commands", sent=lambda command: None)
    sender.put(result(1))
    assert outbox.tried.wait(WAIT_SECONDS)
    sender.close(timeout_seconds=WAIT_SECONDS)
    assert (sender.failure, outbox.closed) == (refusal, True)
