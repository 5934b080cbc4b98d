"""KafkaLog: makes everything else of this package, with the clients' settings."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.adapters.kafka import rights, topics
from processor.adapters.kafka.clients import Admin, Clients, ConfluentClients, error_of
from processor.adapters.kafka.connection import Connection, Refusals
from processor.adapters.kafka.faults import SETTLING, is_passing
from processor.adapters.kafka.feed import KafkaFeed
from processor.adapters.kafka.inbox import KafkaInbox, committed_metadata
from processor.adapters.kafka.outbox import AtomicOutbox, KafkaOutbox
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.restore import Restorer
from processor.adapters.kafka.settings import ClientSettings
from processor.adapters.kafka.survey import KafkaSurvey
from processor.adapters.kafka.timing import SystemTiming, Timing, backing_off
from processor.adapters.kafka.transactions import Transactions
from processor.engine.topics import Difference, TopicNames, TopicSpec
from processor.errors import LogUnavailable, TopicsUnfit

log = logging.getLogger(__name__)

COMMITTED_SECONDS = 30.0


class KafkaLog:
    """Implements ports.Log on a cluster.

    `properties` are librdkafka's, handed on (TLS, SASL, tuning), and `replication.factor` for new topics;
    `group.protocol=consumer` chooses KIP-848, without static membership. Raises InvalidSettings for a property that
    exactly-once depends on. Nothing is connected before it is used; who asks for something and gets no answer
    within seconds sees LogUnavailable, members of groups go on trying. The last four are a simulation's.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        names: TopicNames,
        properties: Mapping[str, str] | None = None,
        clients: Clients | None = None,
        timing: Timing | None = None,
        process: str | None = None,
        restore_in_thread: bool = True,
    ) -> None:
        self._names = names
        self._address = f"kafka:{bootstrap}"
        self._settings = ClientSettings(bootstrap=bootstrap, names=names, properties=dict(properties or {}))
        self._clients = clients or ConfluentClients()
        self._timing = timing or SystemTiming()
        self._process = process or uuid.uuid4().hex
        self._restore_in_thread = restore_in_thread
        self._admin: Admin | None = None
        self._admin_refusals = Refusals()

    @property
    def address(self) -> str:
        return self._address

    @property
    def names(self) -> TopicNames:
        return self._names

    def inbox(self, *, slot: str) -> KafkaInbox:
        """Refuses unfit topics; a cluster out of reach is waited for by `poll`."""
        group, id = self._names.processor_group, self._settings.transactional_id(slot)
        connection = self._connect(f"processor {slot}", group=group, transactional_id=id)
        batch = topics.DEFAULT_MAX_BYTES
        try:
            existing = connection.admin.topics(self._names.all)
            topics.require_topics(existing, self._names)
            rights.require(connection.role, existing, rights.of_processor(self._names))
            batch = topics.max_batch_bytes(connection.admin, self._names)
        except KafkaException as exception:
            _wait_or_raise(connection, exception)
        consumer = connection.consumer(self._settings.member(group, slot=slot))
        transactions = Transactions(
            connection,
            slot=slot,
            process=self._process,
            batch_bytes=batch,
            committed_metadata=committed_metadata(consumer, self._names.commands),
        )
        restorer = Restorer(connection, slot=slot, process=self._process)
        if self._restore_in_thread:
            restorer.start()
        return KafkaInbox(
            connection,
            slot=slot,
            consumer=consumer,
            transactions=transactions,
            restorer=restorer,
            max_record_bytes=batch - topics.OVERHEAD_BYTES,
        )

    def feed(self, topic: str, *, group: str, from_beginning: bool) -> KafkaFeed:
        """Raises TopicsUnfit where the topic is missing; a cluster out of reach is waited for by `poll`."""
        connection = self._connect(f"consumer group {group}", group=group)
        try:
            existing = connection.admin.topics([topic])
            if topic not in existing:
                raise TopicsUnfit([f"{topic}: does not exist; asl topics create makes it"])
            rights.require(connection.role, existing, {topic: rights.READ})
        except KafkaException as exception:
            _wait_or_raise(connection, exception)
        consumer = connection.consumer(self._settings.member(group))
        return KafkaFeed(connection, consumer=consumer, topic=topic, group=group, from_beginning=from_beginning)

    def outbox(self) -> KafkaOutbox:
        return KafkaOutbox(self._connect("producer"))

    def atomic_outbox(self, name: str) -> AtomicOutbox:
        connection = self._connect(name, transactional_id=self._settings.atomic_id(name))
        return AtomicOutbox(connection, name=name)

    def reader(self) -> KafkaReader:
        return KafkaReader(self._connect("reader"))

    def survey(self) -> KafkaSurvey:
        return KafkaSurvey(self._connect("survey"))

    def at_work(self) -> Sequence[str]:
        connection = self._connect("admin")
        asking = backing_off(
            self._timing,
            # Topics that were just made; and the first question about a group makes the topic where groups are kept.
            retry=lambda error: error_of(error).code() in SETTLING | {KafkaError._TIMED_OUT},
            within_seconds=topics.READY_SECONDS,
            event="leaders_settle",
        )
        try:
            return tuple(asking(lambda: list(topics.at_work(connection.admin, self._names))))
        except KafkaException as exception:
            raise connection.translate(exception) from exception

    def committed(self) -> Mapping[int, int]:
        connection = self._connect("admin")
        consumer = connection.consumer(self._settings.loner(self._names.processor_group))
        try:
            known = connection.admin.topics([self._names.commands])
            count = known[self._names.commands].partitions if known else 0
            places = [TopicPartition(self._names.commands, partition) for partition in range(count)]
            # A read_committed consumer's: waits while a transaction with an offset is pending.
            found = consumer.committed(places, COMMITTED_SECONDS) if places else []
            for place in found:
                if place.error is not None:
                    raise KafkaException(place.error)
            return {place.partition: place.offset for place in found if place.offset >= 0}
        except KafkaException as exception:
            raise connection.translate(exception) from exception
        finally:
            consumer.close()

    def create_topics(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        connection = self._connect("admin")
        try:
            return topics.create_topics(
                connection.admin, specs, replication=self._settings.replication, timing=self._timing
            )
        except KafkaException as exception:
            raise connection.translate(exception) from exception

    def check_topics(self, specs: Sequence[TopicSpec]) -> Sequence[Difference]:
        connection = self._connect("admin")
        try:
            return tuple(topics.check_topics(connection.admin, specs, replication=self._settings.replication))
        except KafkaException as exception:
            raise connection.translate(exception) from exception

    def close(self) -> None:
        self._admin = None

    def _connect(self, role: str, **of: str) -> Connection:
        if self._admin is None:
            self._admin = self._clients.admin(self._settings.admin(), on_error=self._admin_refusals)
        return Connection(
            role=role,
            address=self._address,
            settings=self._settings,
            clients=self._clients,
            admin=self._admin,
            timing=self._timing,
            refusals=Refusals(heard_elsewhere=self._admin_refusals),
            **of,
        )


def _wait_or_raise(connection: Connection, exception: KafkaException) -> None:
    translated = connection.translate(exception)
    if not isinstance(translated, LogUnavailable) or not is_passing(error_of(exception)):
        raise translated from exception
    log.warning("log_unavailable", extra={"role": connection.role, "reason": str(translated)})
