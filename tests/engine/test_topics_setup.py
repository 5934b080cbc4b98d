"""Topics that fit together, and a processor that refuses those which do not."""

from __future__ import annotations

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.memory import MemoryLog
from processor.engine.ports import Message
from processor.engine.processor import Processor
from processor.engine.topics import TopicNames, TopicSpec, partition_of, topic_specs
from processor.engine.topics_setup import create_topics, recorded_partitions, verify_partitions
from processor.errors import TopicsUnfit
from tests.engine.world import SameSeed

NAMES = TopicNames("shop.")


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(NAMES, clock=ManualClock())


def test_creation_makes_every_topic_and_writes_the_count_down_once(log: MemoryLog) -> None:
    assert create_topics(log, partitions=3, task_partitions=5) == NAMES.all
    assert create_topics(log, partitions=3, task_partitions=5) == ()

    reader = log.reader()
    assert {topic: reader.partitions(topic) for topic in NAMES.all} == {
        **dict.fromkeys(NAMES.all, 3),
        NAMES.tasks: 5,
        NAMES.definitions: 1,
    }
    assert recorded_partitions(reader, NAMES) == verify_partitions(reader, NAMES) == 3
    assert reader.end(NAMES.definitions, 0) == 1


def test_missing_topics_are_named(log: MemoryLog) -> None:
    with pytest.raises(TopicsUnfit) as refused:
        verify_partitions(log.reader(), NAMES)

    assert refused.value.problems == tuple(
        f"{topic}: does not exist; asl topics create makes it" for topic in NAMES.all
    )
    assert recorded_partitions(log.reader(), NAMES) is None


def test_topics_without_a_written_count_are_refused(log: MemoryLog) -> None:
    log.create_topics(topic_specs(NAMES, partitions=2))
    log.outbox().send([Message(topic=NAMES.definitions, key=b"#partitions", value=None, partition=0)])
    with pytest.raises(TopicsUnfit) as refused:
        verify_partitions(log.reader(), NAMES)

    assert refused.value.problems == ("shop.definitions: holds no partition count; asl topics create writes it",)


def test_topics_of_another_count_are_refused_by_name(log: MemoryLog) -> None:
    log.create_topics([TopicSpec(name=NAMES.timers, partitions=7, config={})])
    with pytest.raises(TopicsUnfit) as refused:
        create_topics(log, partitions=2)

    assert refused.value.problems == (
        "shop.timers: has 7 partitions, not the 2 asked for; a topic keeps those it was made with",
    )
    assert recorded_partitions(log.reader(), NAMES) is None


def test_a_count_that_changed_since_the_creation_is_refused(log: MemoryLog) -> None:
    create_topics(log, partitions=2)
    with pytest.raises(TopicsUnfit) as refused:
        create_topics(grown(log), partitions=4)

    assert refused.value.problems == tuple(
        f"{topic}: has 4 partitions, not the 2 it was created with" for topic in NAMES.co_partitioned
    )


def test_a_count_that_cannot_be_read_is_passed_over_and_written_anew_where_it_is_the_only_one(log: MemoryLog) -> None:
    garbage = Message(topic=NAMES.definitions, key=b"#partitions", value=b"garbage", partition=0)
    log.create_topics(topic_specs(NAMES, partitions=2))
    log.outbox().send([garbage])
    with pytest.raises(TopicsUnfit, match="holds no partition count"):
        verify_partitions(log.reader(), NAMES)

    create_topics(log, partitions=2)
    log.outbox().send([garbage])
    assert verify_partitions(log.reader(), NAMES) == 2


def grown(log: MemoryLog) -> MemoryLog:
    """The definitions of `log`, all other topics made anew with more partitions."""
    other = MemoryLog(NAMES, clock=ManualClock())
    other.create_topics(topic_specs(NAMES, partitions=4))
    [count] = log.reader().read(NAMES.definitions, 0)
    other.outbox().send([Message(topic=count.topic, key=count.key, value=count.value, partition=0)])
    return other


def test_a_processor_does_not_start_on_topics_that_do_not_fit(log: MemoryLog) -> None:
    log.create_topics(topic_specs(NAMES, partitions=2))
    with pytest.raises(TopicsUnfit, match="holds no partition count"):
        Processor(log=log, clock=ManualClock(), entropy=SameSeed())


@pytest.mark.parametrize(
    ("key", "murmur2"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_go_where_javas_default_partitioner_sends_them(key: bytes, murmur2: int) -> None:
    """The hashes are those of Apache Kafka's own unit test of Utils.murmur2."""
    for partitions in (1, 6, 24, 1_000):
        assert partition_of(key, partitions) == (murmur2 & 0x7FFFFFFF) % partitions


def test_topics_are_deleted_from_by_age_alone_whatever_the_brokers_default_of_bytes() -> None:
    by_age = {spec.name: spec.config for spec in topic_specs(TopicNames()) if "delete" in spec.config["cleanup.policy"]}

    assert {name: config["retention.bytes"] for name, config in by_age.items()} == dict.fromkeys(by_age, "-1")
    assert {TopicNames().commands, TopicNames().events} <= by_age.keys()
