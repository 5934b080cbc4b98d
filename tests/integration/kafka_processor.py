"""A processor reduced to its log, as a process that can be killed: for each command one event that repeats its value.

    python -m tests.integration.kafka_processor BOOTSTRAP PREFIX SLOT

One line on stdout for each thing that happens. Values of commands that are not repeated, but obeyed:

    die-open     write the event, then die by SIGKILL before the transaction is committed
    stop-open    write the event, stop by SIGSTOP before the transaction is committed, then go on
"""

from __future__ import annotations

import os
import signal
import sys

from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.clients import ConfluentClients, OnError, Producer, Settings
from processor.engine.ports import (
    AllRestored,
    CommandArrived,
    Inbox,
    Message,
    PartitionLost,
    Record,
    RecordsRestored,
    Transaction,
)
from processor.engine.topics import TopicNames
from processor.errors import SlotTaken

OBEYED = {b"die-open": signal.SIGKILL, b"stop-open": signal.SIGSTOP}


class ObedientProducer:
    """Everything is the real one's, but between the last record and the commit a signal may come."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._signal: signal.Signals | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._producer, name)

    def produce(self, topic: str, value: bytes | None, key: bytes | None, partition: int, **more: object) -> None:
        self._signal = OBEYED.get(value or b"", self._signal)
        self._producer.produce(topic, value, key, partition, **more)  # type: ignore[arg-type]  # handed on

    def commit_transaction(self, timeout: float) -> None:
        if self._signal is not None:
            self._producer.flush(10)
            said, self._signal = self._signal, None
            say("open")
            os.kill(os.getpid(), said)
        self._producer.commit_transaction(timeout)


class ObedientClients(ConfluentClients):
    def producer(self, settings: Settings, *, on_error: OnError) -> Producer:
        return ObedientProducer(super().producer(settings, on_error=on_error))  # type: ignore[return-value]  # by name


def say(*words: object) -> None:
    print(*words, flush=True)


def repeat(inbox: Inbox, names: TopicNames, commands: list[Record]) -> None:
    offsets = {record.partition: record.offset + 1 for record in commands}
    events = tuple(Message(topic=names.events, key=r.key, value=r.value, partition=r.partition) for r in commands)
    committed = inbox.commit(Transaction(offsets=offsets, messages=events))
    for record in commands:
        say("committed" if committed else "dropped", (record.value or b"").decode())


def main(bootstrap: str, prefix: str, slot: str) -> None:
    names = TopicNames(prefix=prefix)
    inbox = KafkaLog(bootstrap, names=names, clients=ObedientClients()).inbox(slot=slot)
    say("joins")
    while True:
        commands: list[Record] = []
        for delivery in inbox.poll(timeout_seconds=0.5, max_commands=1):
            match delivery:
                case AllRestored(partition=partition, assignment=assignment, of="snapshots"):
                    inbox.restore_events(partition=partition, assignment=assignment, start=0)
                case AllRestored(partition=partition, assignment=assignment, of="events"):
                    inbox.open(partition=partition, assignment=assignment, fallback_offset=0)
                    say("opened", partition)
                case RecordsRestored(partition=partition, of="events", records=records):
                    say("restored", partition, *((record.value or b"").decode() for record in records))
                case PartitionLost(partition=partition):
                    commands = [record for record in commands if record.partition != partition]
                    say("lost", partition)
                case CommandArrived(record=record):
                    commands.append(record)
        if commands:
            repeat(inbox, names, commands)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except SlotTaken as taken:
        say("exits", taken)
