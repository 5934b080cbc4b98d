"""A transaction that stays open, seen from outside on a real broker."""

from __future__ import annotations

from contextlib import closing

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from processor.adapters.kafka import KafkaLog
from processor.engine.ports import Backlog
from processor.engine.topics import TopicNames
from processor.engine.topics_setup import create_topics
from tests.adapters.kafka_fakes import ManualTiming
from tests.broker import Broker

pytestmark = pytest.mark.kafka
DAY_MS = 86_400_000


def test_what_stands_behind_an_open_transaction_is_held_and_after_its_time_it_hangs(
    kafka: Broker, topic_prefix: str
) -> None:
    with closing(KafkaLog(kafka.bootstrap_servers, names=TopicNames(topic_prefix))) as log:
        create_topics(log, partitions=2)
    timing = ManualTiming()
    log = KafkaLog(kafka.bootstrap_servers, names=TopicNames(topic_prefix), timing=timing)
    place = (log.names.events, 1)
    stranger = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic_prefix + "stranger"})
    stranger.init_transactions(30)
    with closing(log.survey()) as survey:
        quiet = survey.look([0, 1])
        stranger.begin_transaction()
        stranger.produce(place[0], b"v", b"k", place[1])
        stranger.flush(30)

        seen = []
        for seconds in (0, 40, 1):
            timing.sleep(seconds)
            found = survey.look([0, 1])
            seen.append((dict(found.held_seconds), found.hanging))
        elsewhere = survey.look([0])
        stranger.abort_transaction(30)
        while survey.look([0, 1]).held_seconds:  # its marker is on the way
            pass
        after = survey.look([0, 1])
    log.close()

    # The timeout of the processor's own transactions is 10 s, and the coordinator looks within 30.
    assert seen == [({place: 0.0}, 0), ({place: 40.0}, 0), ({place: 41.0}, 1)]
    assert (quiet.held_seconds, quiet.hanging, quiet.retention_ms) == ({}, 0, 30 * DAY_MS)
    assert (elsewhere.held_seconds, elsewhere.hanging) == ({}, 0)
    assert (after.held_seconds, after.hanging) == ({}, 0)


def test_commands_wait_from_the_first_on_and_a_transactions_marker_is_none(kafka: Broker, topic_prefix: str) -> None:
    """As `asl dead-letters replay` writes them."""
    with closing(KafkaLog(kafka.bootstrap_servers, names=TopicNames(topic_prefix))) as log:
        create_topics(log, partitions=1)
        topic, group = log.names.commands, log.names.processor_group
        replayer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic_prefix + "again"})
        replayer.init_transactions(30)
        replayer.begin_transaction()
        replayer.produce(topic, b"v", b"k", 0)
        replayer.commit_transaction(30)
        processor = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
        with closing(log.survey()) as survey:
            while not (waiting := survey.look([0]).backlogs[0]).records:  # its marker is on the way
                pass
            processor.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
            applied = survey.look([0]).backlogs[0]
        processor.close()

    assert waiting.oldest is not None
    assert applied == Backlog(records=0, oldest=None)
