"""Log, Outbox, Reader: topics, records written outside of transactions, records read to the end."""

from __future__ import annotations

import pytest

from processor.engine.ports import Message
from processor.engine.topics import Difference, TopicSpec, partition_of, topic_specs
from processor.errors import AslError, TopicsUnfit
from tests.contracts.harness import PARTITIONS, Consumer, Harness, KafkaHarness, Party, contents, send, settle


def test_creating_topics_again_creates_none(bare_harness: Harness) -> None:
    log = bare_harness.log
    specs = topic_specs(log.names, partitions=PARTITIONS)

    assert sorted(log.create_topics(specs[:3])) == sorted(spec.name for spec in specs[:3])
    assert sorted(bare_harness.second().create_topics(specs)) == sorted(spec.name for spec in specs[3:])
    assert list(log.create_topics(specs)) == []


def test_checking_tells_every_setting_that_differs(harness: Harness) -> None:
    names = harness.log.names
    fitting = topic_specs(names, partitions=PARTITIONS)
    config = {"cleanup.policy": "delete", "segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.10"}
    other = TopicSpec(name=names.timers, partitions=PARTITIONS + 3, config=config | {"segment.bytes": "1048576"})
    missing = TopicSpec(name=names.prefix + "absent", partitions=1, config=config)

    assert list(harness.log.check_topics(fitting)) == []
    assert list(harness.log.check_topics([other, missing])) == [
        Difference(topic=names.timers, setting="partitions", expected=str(PARTITIONS + 3), found=str(PARTITIONS)),
        Difference(topic=names.timers, setting="cleanup.policy", expected="delete", found="compact"),
        Difference(topic=names.timers, setting="segment.bytes", expected="1048576", found="67108864"),
        Difference(topic=missing.name, setting="partitions", expected="1", found=None),
    ]


def test_checking_tells_each_setting_of_each_topic_that_was_made_without_any(bare_harness: Harness) -> None:
    log, names = bare_harness.log, bare_harness.log.names
    log.create_topics(
        [TopicSpec(name=spec.name, partitions=spec.partitions, config={}) for spec in topic_specs(names, partitions=2)]
    )
    told = {(one.topic, one.setting): one.expected for one in log.check_topics(topic_specs(names, partitions=2))}

    # What a broker has by default happens to be right.
    by_default = {"delete.retention.ms": "86400000", "cleanup.policy": "delete", "retention.bytes": "-1"}
    wanted = {
        (spec.name, setting): value
        for spec in topic_specs(names, partitions=2)
        for setting, value in spec.config.items()
        if by_default.get(setting) != value
    }
    assert {place: value for place, value in told.items() if by_default.get(place[1]) != value} == wanted


def test_an_inbox_without_topics_is_refused_by_their_names(bare_harness: Harness) -> None:
    with pytest.raises(TopicsUnfit, match=bare_harness.log.names.commands):
        bare_harness.log.inbox(slot="0").close()


def test_existing_topics_are_left_as_they_are(harness: Harness) -> None:
    log = harness.log
    send(log, Message(topic=log.names.commands, key=b"k", value=b"v", partition=0))

    log.create_topics(topic_specs(log.names, partitions=PARTITIONS + 1))

    reader = log.reader()
    assert reader.partitions(log.names.commands) == PARTITIONS
    assert reader.partitions(log.names.prefix + "absent") is None
    reader.close()
    assert contents(log, log.names.commands, 0) == [(b"k", b"v")]


def test_records_without_a_partition_go_where_javas_partitioner_puts_their_key(harness: Harness) -> None:
    names = harness.log.names
    keys = [b"order:%d" % n for n in range(20)] + ["café:1".encode()]

    send(harness.log, *[Message(topic=names.commands, key=key, value=b"v") for key in keys])

    found = {p: [key for key, _ in contents(harness.log, names.commands, p)] for p in range(PARTITIONS)}
    assert found == {p: [key for key in keys if partition_of(key, PARTITIONS) == p] for p in range(PARTITIONS)}


def test_keys_values_and_headers_come_back_as_they_were_written(harness: Harness) -> None:
    topic = harness.log.names.commands
    messages = (
        Message(topic=topic, key=None, value=b"no key", partition=1),
        Message(topic=topic, key=b"", value=b"", partition=1),
        Message(
            topic=topic,
            key=b"\xff\x00",
            value=b"headers",
            partition=1,
            headers=(("content-type", b"application/json"), ("trace", b"\x00\xff"), ("trace", b"")),
        ),
        Message(topic=topic, key=b"tombstone", value=None, partition=1),
    )

    send(harness.log, *messages)

    reader = harness.second().reader()
    records = list(reader.read(topic, 1))
    reader.close()
    assert [(r.topic, r.partition, r.key, r.value, r.headers) for r in records] == [
        (m.topic, m.partition, m.key, m.value, m.headers) for m in messages
    ]


def test_a_reader_reads_from_the_start_given_to_the_end_at_the_call(harness: Harness) -> None:
    topic = harness.log.names.events
    for n in range(3):
        send(harness.log, Message(topic=topic, key=b"%d" % n, value=b"v", partition=0))
    reader = harness.second().reader()
    first, second, third = reader.read(topic, 0)

    def read(**bounds: int) -> list[bytes | None]:
        return [record.key for record in reader.read(topic, 0, **bounds)]

    assert [first.key, second.key, third.key] == [b"0", b"1", b"2"]
    assert read(start=second.offset) == [b"1", b"2"]
    assert read(start=first.offset, end=third.offset) == [b"0", b"1"]
    assert read(start=reader.end(topic, 0)) == []
    assert reader.end(topic, 0) > third.offset

    begun = reader.read(topic, 0)
    send(harness.log, Message(topic=topic, key=b"3", value=b"v", partition=0))
    assert [record.key for record in begun] == [b"0", b"1", b"2"]
    assert read() == [b"0", b"1", b"2", b"3"]
    reader.close()


def test_many_records_are_read_whole_and_in_order(harness: Harness) -> None:
    topic = harness.log.names.events
    send(harness.log, *[Message(topic=topic, key=b"%d" % n, value=bytes(2_000), partition=2) for n in range(3_000)])

    assert contents(harness.second(), topic, 2) == [(b"%d" % n, bytes(2_000)) for n in range(3_000)]


def test_an_empty_partition_ends_where_it_begins(harness: Harness) -> None:
    reader = harness.log.reader()
    assert (reader.end(harness.log.names.events, 3), list(reader.read(harness.log.names.events, 3))) == (0, [])
    reader.close()


def test_who_is_at_work_are_the_living_members_of_the_roles_groups(harness: Harness) -> None:
    log, names = harness.log, harness.log.names
    assert list(log.at_work()) == []
    party = Party(log.inbox(slot="7"))
    worker = Consumer(log.feed(names.tasks, group=names.prefix + "worker.orders", from_beginning=False))
    other = Consumer(log.feed(names.tasks, group=names.prefix + "reporting", from_beginning=False))
    settle(
        harness,
        [party, worker, other],
        lambda: len(party.ready) == len(worker.held) == len(other.held) == PARTITIONS,
    )
    told = list(harness.second().at_work())
    assert [line.partition(" of group ")[2] for line in told] == [
        f"{names.processor_group} is alive",
        f"{names.prefix}worker.orders is alive",
    ]
    assert told[0].startswith("7 of group ")
    party.inbox.close()
    worker.feed.close()
    settle(harness, [other], lambda: list(log.at_work()) == [])  # a processor's place is kept for a while
    other.feed.close()


def test_what_the_processors_have_committed_is_told_of_each_partition_that_has_something(harness: Harness) -> None:
    party = Party(harness.log.inbox(slot="0"))
    settle(harness, [party], lambda: len(party.ready) == PARTITIONS)
    told = Message(topic=harness.log.names.events, key=b"m:1#0", value=b"e", partition=1)
    assert party.commit({1: 5}, told) is not None
    before = dict(harness.second().committed())
    assert party.commit({1: 6, 3: 2}) is not None

    assert before[1] == 5
    assert {p: offset for p, offset in harness.second().committed().items() if offset} == {1: 6, 3: 2}
    party.inbox.close()


def test_an_atomic_outbox_writes_in_order_to_the_partitions_it_is_told(harness: Harness) -> None:
    log, names = harness.log, harness.log.names
    outbox = log.atomic_outbox("mover")
    outbox.send(())
    outbox.send([Message(topic=names.commands, key=b"k", value=b"%d" % n, partition=n % 2) for n in range(6)])
    outbox.send([Message(topic=names.timers, key=b"k", value=None, partition=0, headers=(("h", b"v"),))])
    outbox.close()

    assert [contents(log, names.commands, p) for p in (0, 1)] == [
        [(b"k", b"0"), (b"k", b"2"), (b"k", b"4")],
        [(b"k", b"1"), (b"k", b"3"), (b"k", b"5")],
    ]
    assert contents(log, names.timers, 0) == [(b"k", None)]


def test_of_two_atomic_outboxes_of_one_name_a_cluster_lets_the_later_one_write(harness: Harness) -> None:
    if not isinstance(harness, KafkaHarness):
        pytest.skip("one process at a time, on one machine")
    log, names = harness.log, harness.log.names
    message = Message(topic=names.events, key=b"k", value=b"v", partition=0)
    first, second = log.atomic_outbox("mover"), harness.second().atomic_outbox("mover")
    first.send([message])
    second.send(())
    with pytest.raises(AslError):
        first.send([message])
    second.send([message])

    assert contents(log, names.events, 0) == [(b"k", b"v")] * 2
    first.close()
    second.close()
