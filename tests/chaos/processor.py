"""The real processor on Kafka, as a process that dies by SIGKILL at the step it is told to.

    python -m tests.chaos.processor BOOTSTRAP PREFIX SABOTAGE SLOT FOLDER FORMAT

It dies when it next gets to the step in FOLDER/SLOT.step, which it reads when it starts and at SIGUSR1. FORMAT is
`current` or `older`: the write format of a release that reads both (tests/chaos/formats.py). SABOTAGE is `none`, or
what the processor lacks (tests/chaos/sabotage.py).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Message, TopicPartition

from processor.adapters.clock import OsEntropy, SystemClock
from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.clients import ConfluentClients, Consumer, GroupMetadata, OnError, Producer, Settings
from processor.apps.journal import log_to_stderr
from processor.apps.roles import run_role, stopped_by_signals
from processor.engine import checkpoints, coverage, partitions
from processor.engine.processor import Processor
from processor.engine.topics import TopicNames
from tests.chaos.formats import FORMER_FORMAT, NEXT_FORMAT, following, release, running
from tests.chaos.sabotage import sabotaged

STEPS: Final = (
    "1 commands polled",
    "2 transaction begun",
    "3 offsets sent",
    "4 first record produced",
    "5 before the commit",
    "6 commit answered",
    "7 folded, before the next poll",
    "8 checkpoint written, before its commit",
    "takeover: producer initialised",
    "takeover: before naming",
    "takeover: named",
    "takeover: while reading",
)
"""Those with numbers are the commit cycle's."""


class Steps:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._armed = file.read_text()
        signal.signal(signal.SIGUSR1, lambda *_: self._arm())

    def _arm(self) -> None:
        self._armed = self._file.read_text()

    def reach(self, step: str) -> None:
        assert step in STEPS
        if self._armed == step:
            os.kill(os.getpid(), signal.SIGKILL)


class _Wrapped:
    def __init__(self, real: Any, steps: Steps) -> None:
        self._real, self._steps = real, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class MortalProducer(_Wrapped):
    _records = 0
    _checkpoint = False

    def init_transactions(self, timeout: float) -> None:
        self._real.init_transactions(timeout)
        self._steps.reach("takeover: producer initialised")

    def begin_transaction(self) -> None:
        self._real.begin_transaction()
        self._records, self._checkpoint = 0, False
        self._steps.reach("2 transaction begun")

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: GroupMetadata, timeout: float
    ) -> None:
        self._real.send_offsets_to_transaction(positions, group_metadata, timeout)
        self._steps.reach("3 offsets sent")

    def produce(self, topic: str, *arguments: Any, **more: Any) -> None:
        self._real.produce(topic, *arguments, **more)
        self._checkpoint |= topic.endswith("snapshots")
        self._records += 1
        if self._records == 1:
            self._real.flush(5)
            self._steps.reach("4 first record produced")

    def commit_transaction(self, timeout: float) -> None:
        if self._checkpoint:
            self._real.flush(5)
            self._steps.reach("8 checkpoint written, before its commit")
        self._steps.reach("5 before the commit")
        self._real.commit_transaction(timeout)
        self._steps.reach("6 commit answered")


class MortalMember(_Wrapped):
    _committed = False

    def poll(self, timeout: float) -> Message | None:
        self._steps.reach("7 folded, before the next poll")
        message: Message | None = self._real.poll(timeout)
        if message is not None and message.error() is None:
            self._steps.reach("1 commands polled")
        return message

    def commit(self, **arguments: Any) -> Any:
        self._steps.reach("takeover: before naming")
        answer = self._real.commit(**arguments)
        self._steps.reach("takeover: named")
        return answer


class MortalReader(_Wrapped):
    def poll(self, timeout: float) -> Message | None:
        message: Message | None = self._real.poll(timeout)
        if message is not None and message.error() is None:
            self._steps.reach("takeover: while reading")
        return message


class MortalClients(ConfluentClients):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def consumer(self, settings: Settings, *, on_error: OnError) -> Consumer:
        wrapper: Callable[[Any, Steps], Any] = MortalMember if "client.id" in settings else MortalReader
        made: Consumer = wrapper(super().consumer(settings, on_error=on_error), self._steps)
        return made

    def producer(self, settings: Settings, *, on_error: OnError) -> Producer:
        real = super().producer(settings, on_error=on_error)
        made: Producer = MortalProducer(real, self._steps)
        return made


class _Role:
    def __init__(self, bootstrap: str, prefix: str, slot: str, steps: Steps) -> None:
        names = TopicNames(prefix=prefix)
        self._log = KafkaLog(bootstrap, names=names, clients=MortalClients(steps))
        self._processor = Processor(log=self._log, clock=SystemClock(), entropy=OsEntropy(), slot=slot)

    def run(self, stop: Callable[[], bool]) -> None:
        self._processor.run(stop)

    def close(self) -> None:
        self._processor.close()
        self._log.close()


def _often() -> None:
    """Checkpoints, so that they are met, of several transactions each; and what waits for `closed`, so that it is too
    much."""
    coverage.CHECKPOINT_EVENTS, coverage.CHECKPOINT_MS = 500, 3_000
    checkpoints.SNAPSHOTS, checkpoints.TOMBSTONES = 5, 5
    partitions.WAITING_RECORDS, partitions.WAITING_BEHIND = 20, 100


def main(bootstrap: str, prefix: str, sabotage: str, slot: str, folder: str, written: str) -> None:
    steps = Steps(Path(folder) / f"{slot}.step")
    log_to_stderr(as_json=True)
    _often()
    write_format = FORMER_FORMAT if written == "older" else NEXT_FORMAT
    as_released = running(release(following(), write_format=write_format))
    with as_released, sabotaged(sabotage), stopped_by_signals() as stop:
        run_role("processor", lambda: _Role(bootstrap, prefix, slot, steps), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
