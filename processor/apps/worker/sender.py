"""Sends results and heartbeats from a thread of its own, so that neither functions nor polling wait for the log."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from processor.apps.client import write_command
from processor.engine.ports import Message, Outbox
from processor.errors import LogUnavailable, MessageTooLarge
from processor.model.commands import CompleteTask, FailTask, HeartbeatTask, SubmitTask

_log = logging.getLogger("processor.worker")

_FIRST_DELAY_SECONDS: Final = 0.1
_LONGEST_DELAY_SECONDS: Final = 5.0
_MAX_BATCH: Final = 500
_CAUSE_CHARACTERS: Final = 1_000

Sent: TypeAlias = CompleteTask | SubmitTask | FailTask | HeartbeatTask
_Written: TypeAlias = tuple[Sent, Message]


class Sender:
    """Owns the outbox. `sent` is called on its thread for every command once it is durable."""

    def __init__(self, make_outbox: Callable[[], Outbox], *, topic: str, sent: Callable[[Sent], None]) -> None:
        self._make_outbox, self._topic, self._sent = make_outbox, topic, sent
        self._commands: queue.SimpleQueue[_Written | None] = queue.SimpleQueue()
        self._give_up = threading.Event()
        self._outbox: Outbox | None = None
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def put(self, command: Sent) -> None:
        """Send it in its turn. Raises InvalidCommand as `write_command` does: to whoever made it, not in the thread."""
        self._commands.put((command, self._message(command)))

    def _message(self, command: Sent) -> Message:
        return Message(topic=self._topic, key=command.execution_id.encode(), value=write_command(command))

    def close(self, *, timeout_seconds: float) -> None:
        """Send what is waiting, give up on it after `timeout_seconds`."""
        self._commands.put(None)
        self._thread.join(timeout=timeout_seconds)
        self._give_up.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                try:
                    self._send(batch)
                except MessageTooLarge:  # one of them is, or all together
                    for written in batch:
                        self._send_one(written)
                for command, _ in batch:
                    self._sent(command)
        except BaseException as fault:
            self.failure = fault  # raised by the runner's next step
        finally:
            if self._outbox is not None:
                self._outbox.close()

    def _next_batch(self) -> list[_Written]:
        batch: list[_Written] = []
        written = self._commands.get()
        while written is not None:
            batch.append(written)
            if len(batch) == _MAX_BATCH:
                return batch
            try:
                written = self._commands.get_nowait()
            except queue.Empty:
                return batch
        if batch:  # the end was reached behind them: it is met again
            self._commands.put(None)
        return batch

    def _send_one(self, written: _Written) -> None:
        """Where the log does not take a result, its task fails: it would be run again for ever."""
        try:
            self._send([written])
        except MessageTooLarge as fault:
            command = written[0]
            if not isinstance(command, CompleteTask | SubmitTask):
                raise
            failed = FailTask(
                execution_id=command.execution_id,
                token=command.token,
                error="States.DataLimitExceeded",
                cause=f"The result cannot be sent: {fault}"[:_CAUSE_CHARACTERS],
            )
            self._send([(failed, self._message(failed))])

    def _send(self, batch: list[_Written]) -> None:
        """Send until it is durable, waiting longer from try to try. Sent twice is harmless: each token counts once.

        Raises LogUnavailable when closing takes too long: what was not sent is done again by the next owner; and
        MessageTooLarge.
        """
        messages = [message for _, message in batch]
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
