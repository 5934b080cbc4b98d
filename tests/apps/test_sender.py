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
from processor.errors import LogUnavailable, MessageTooLarge, NotAuthorized
from processor.model.commands import CompleteTask, FailTask
from processor.model.json import Json

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


def result(number: int, output: Json = None) -> CompleteTask:
    return CompleteTask(execution_id=f"order:{number}", token=f"order:{number}##2", output=output or number)


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


class Narrow(Unreliable):
    """An outbox of a log that takes so many bytes at once."""

    def __init__(self, most: int) -> None:
        super().__init__([])
        self._most = most

    def send(self, messages: Sequence[Message]) -> None:
        if sum(len(message.value or b"") for message in messages) > self._most:
            raise MessageTooLarge(address="kafka:narrow:9092", reason="MSG_SIZE_TOO_LARGE")
        super().send(messages)


def test_what_the_log_does_not_take_at_once_is_sent_one_by_one_and_what_it_never_takes_fails_its_task() -> None:
    outbox, begun, told = Narrow(1_500), threading.Event(), queue.SimpleQueue[Sent]()

    def made() -> Narrow:
        assert begun.wait(WAIT_SECONDS)  # until all three are one batch
        return outbox

    sender = Sender(made, topic="asl.commands", sent=told.put)
    sender.put(result(0))
    sent = [result(number, output) for number, output in ((1, "x" * 900), (2, "y" * 2_000), (3, "z" * 900))]
    for command in sent:
        sender.put(command)
    begun.set()
    assert [told.get(timeout=WAIT_SECONDS) for _ in range(4)] == [result(0), *sent]
    sender.close(timeout_seconds=WAIT_SECONDS)

    failed = FailTask(
        execution_id="order:2",
        token="order:2##2",
        error="States.DataLimitExceeded",
        cause="The result cannot be sent: what is to be written is larger than the log at kafka:narrow:9092 takes:"
        " MSG_SIZE_TOO_LARGE",
    )
    assert [decode_command(m.value or b"") for m in outbox.sent] == [result(0), sent[0], failed, sent[2]]
    assert sender.failure is None


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
