"""`asl topics migrate` as a process that dies by SIGKILL after so many records: on Kafka within a transaction.

python -m tests.integration.mortal_migration ADDRESS PREFIX TO PARTITIONS RECORDS
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

from confluent_kafka import Producer

from processor.adapters.clock import SystemClock
from processor.adapters.kafka import outbox
from processor.apps.logs import open_log
from processor.apps.settings import load_settings
from processor.engine import carrying
from processor.engine.carrying import Carrier
from processor.engine.migration import migrate
from processor.engine.ports import Message, Record

_left = 0


def _count() -> None:
    global _left  # noqa: PLW0603 # a process of its own, for this alone
    _left -= 1
    if _left < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def main(address: str, prefix: str, to: str, partitions: str, records: str) -> None:
    global _left  # noqa: PLW0603
    _left = int(records)
    carrying.BATCH_RECORDS = 5
    produce, message = outbox.AtomicOutbox._produce, Carrier._message

    def mortal_produce(self: outbox.AtomicOutbox, producer: Producer, message: Message) -> None:
        produce(self, producer, message)  # type: ignore[arg-type]  # the adapter's own protocol
        producer.flush(10)  # so that the broker has a part of the transaction
        _count()

    def mortal_message(self: Carrier, topic: str, record: Record) -> Message | None:
        _count()
        return message(self, topic, record)

    if address.startswith("kafka:"):
        outbox.AtomicOutbox._produce = mortal_produce  # type: ignore[method-assign,assignment]
    else:
        Carrier._message = mortal_message  # type: ignore[method-assign]

    def wait(busy: Sequence[str]) -> bool:
        time.sleep(0.2)
        return True

    settings = load_settings(log=address, prefix=prefix)
    migrate(
        open_log(settings, missing="REFUSE"),
        open_log(load_settings(log=address, prefix=to), missing="MAKE_FILE"),
        partitions=int(partitions),
        retention=settings.retention,
        clock=SystemClock(),
        wait=wait,
        told=lambda _: None,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
