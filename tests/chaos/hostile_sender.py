"""`python -m tests.chaos.hostile_sender PLAN RECEIPTS`: sends the attacks, in a process of its own, so that
who measures does not wait for it; and writes down where each got to. It says `ready`, and begins once it is given a
line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import Struct

import tests.chaos.hostile_commands  # noqa: F401 — adds its kinds
from processor.engine.topics import partition_of
from tests.chaos import hostile_wire as wire
from tests.chaos.hostile_kinds import Attack, Targets, attacks

_REFUSALS = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP)
_COMMON: dict[str, Any] = {"acks": "all", "partitioner": "murmur2_random", "message.timeout.ms": 120_000}
_ANYTHING = {**_COMMON, "message.max.bytes": 20_000_000, "batch.num.messages": 1}
PRODUCERS: dict[str, dict[str, Any]] = {
    "client": {**_COMMON, "enable.idempotence": True, "linger.ms": 5},
    "large": _ANYTHING,
    "compressed": {**_ANYTHING, "compression.type": "lz4"},
}


class Plan(Struct, frozen=True, kw_only=True):
    """`rate`: attacks a second."""

    bootstrap: str
    targets: Targets
    how_many: int
    rate: float
    seed: int


class Receipt(Struct, frozen=True, kw_only=True):
    """Where an attack got to; nowhere if the producer refused it."""

    kind: str
    fates: frozenset[str]
    partition: int | None = None
    offset: int | None = None
    id: str | None = None
    timer_id: str | None = None
    command_id: str | None = None


class Sender:
    def __init__(self, plan: Plan) -> None:
        self._plan, self._topic = plan, plan.targets.names.commands
        self._producers = {
            name: Producer({"bootstrap.servers": plan.bootstrap, **settings}) for name, settings in PRODUCERS.items()
        }
        found = self._producers["client"].list_topics(self._topic, timeout=30)
        brokers = {number: (broker.host, broker.port) for number, broker in found.brokers.items()}
        self._leaders = {p: brokers[of.leader] for p, of in found.topics[self._topic].partitions.items()}
        self.receipts: list[Receipt] = []

    def run(self) -> None:
        """Send all of them at their times. Raises KafkaException where one is not sent for any other reason than being
        what it is."""
        began = time.monotonic()
        plan = self._plan
        for number, attack in enumerate(attacks(plan.targets, how_many=plan.how_many, seed=plan.seed)):
            wait = began + number / plan.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            (self._by_wire if attack.by == "wire" else self._by_client)(attack)
        for producer in self._producers.values():
            left = producer.flush(120)
            assert left == 0, f"{left} attacks were not sent"

    def _by_wire(self, attack: Attack) -> None:
        assert attack.key is not None
        partition = partition_of(attack.key, self._plan.targets.partitions)
        offset = wire.produce(
            self._leaders[partition],
            topic=self._topic,
            partition=partition,
            key=attack.key,
            value=attack.value,
            headers=attack.headers,
        )
        self._note(attack, partition, offset)

    def _by_client(self, attack: Attack) -> None:
        producer = self._producers[attack.by]
        more: dict[str, Any] = {} if attack.partition is None else {"partition": attack.partition}
        if attack.timestamp is not None:
            more["timestamp"] = attack.timestamp
        produce: Callable[[], None] = partial(
            producer.produce,
            self._topic,
            key=attack.key,
            value=attack.value,
            headers=[(name.decode(), content) for name, content in attack.headers],
            on_delivery=partial(self._delivered, attack),
            **more,
        )
        while True:
            try:
                produce()
                break
            except BufferError:
                producer.poll(0.1)
            except KafkaException as refusal:
                self._delivered(attack, refusal.args[0], None)
                break
        for one in self._producers.values():
            one.poll(0)

    def _delivered(self, attack: Attack, error: KafkaError | None, message: Message | None) -> None:
        if error is None:
            assert message is not None
            self._note(attack, message.partition(), message.offset())
        elif error.code() in _REFUSALS:
            self._note(attack, None, None)
        else:
            raise KafkaException(error)

    def _note(self, attack: Attack, partition: int | None, offset: int | None) -> None:
        self.receipts.append(
            Receipt(
                kind=attack.kind,
                fates=attack.fates,
                partition=partition,
                offset=offset,
                id=attack.id,
                timer_id=attack.timer_id,
                command_id=attack.command_id,
            )
        )


def main(plan: Path, receipts: Path) -> None:
    sender = Sender(msgspec.json.decode(plan.read_bytes(), type=Plan))
    print("ready", flush=True)
    sys.stdin.readline()
    sender.run()
    receipts.write_bytes(msgspec.json.encode(sender.receipts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
