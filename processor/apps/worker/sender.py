"""Sends results and heartbeats from a thread of its own, so that neither functions nor polling wait for the log."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

from processor.engine.encoding import encode_command
from processor.engine.ports import Message, Outbox
from processor.errors import LogUnavailable
from processor.model.commands import CompleteTask, FailTask, HeartbeatTask, SubmitTask

_log = logging.getLogger("processor.worker")

_FIRST_DELAY_SECONDS: Final = 0.1
_LONGEST_DELAY_SECONDS: Final = 5.0
_MAX_BATCH: Final = 500

Sent = CompleteTask | SubmitTask | FailTask | HeartbeatTask


class Sender:
    """Owns the outbox. `sent` is called on its thread for every command once it is durable."""

    def __init__(self, make_outbox: Callable[[], Outbox], *, topic: str, sent: Callable[[Sent], None]) -> None:
        self._make_outbox, self._topic, self._sent = make_outbox, topic, sent
        self._commands: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
        self._give_up = threading.Event()
        self._outbox: Outbox | None = None
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def put(self, command: Sent) -> None:
        self._commands.put(command)

    def close(self, *, timeout_seconds: float) -> None:
        """Send what is waiting, give up on it after `timeout_seconds`."""
        self._commands.put(None)
        self._thread.join(timeout=timeout_seconds)
        self._give_up.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                self._send(batch)
                for command in batch:
                    self._sent(command)
        except BaseException as fault:
            self.failure = fault  # raised by the runner's next step
        finally:
            if self._outbox is not None:
                self._outbox.close()

    def _next_batch(self) -> list[Sent]:
        batch: list[Sent] = []
        command = self._commands.get()
        while command is not None:
            batch.append(command)
            if len(batch) == _MAX_BATCH:
                return batch
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return batch
        if batch:  # the end was reached behind them: it is met again
            self._commands.put(None)
        return batch

    def _send(self, batch: list[Sent]) -> None:
        """Send until it is durable, waiting longer from try to try. Sent twice is harmless: each token counts once.

        Raises LogUnavailable when closing takes too long: what was not sent is done again by the next owner.
        """
        messages = [
            Message(topic=self._topic, key=command.execution_id.encode(), value=encode_command(command))
            for command in batch
        ]
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                # Made here: some clients must be used on the thread that made them.
                self._outbox = self._outbox or self._make_outbox()
                self._outbox.send(messages)
                return
            except LogUnavailable as fault:
                _log.warning(
                    "results_wait", extra={"count": len(batch), "address": fault.address, "reason": fault.reason}
                )
                if self._give_up.wait(delay):
                    raise
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
