"""Every row of the outcome table, over clients whose faults are scripted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage
from msgspec.structs import replace

from processor.adapters.kafka import KafkaLog
from processor.adapters.kafka.clients import Member
from processor.adapters.kafka.faults import lacking
from processor.adapters.kafka.inbox import KafkaInbox
from processor.adapters.kafka.transactions import Author, decode_author
from processor.engine.ports import (
    AllRestored,
    CommandArrived,
    Committed,
    Delivery,
    Message,
    PartitionLost,
    PartitionTaken,
    Transaction,
)
from processor.engine.staging import record_bytes
from processor.engine.topics import TopicNames
from processor.errors import InvalidSettings, LogUnavailable, NotAuthorized, SlotTaken
from tests.adapters.kafka_fakes import Cluster, FakeClients, FakeConsumer, ManualTiming, fault

NAMES = TopicNames(prefix="t.")
EVENT = Message(topic=NAMES.events, key=b"m:1#0", value=b"event", partition=0)


@dataclass
class Member0:
    """The inbox of slot 0, with partitions 0 and 1 open and command 0 of each delivered."""

    cluster: Cluster
    timing: ManualTiming
    inbox: KafkaInbox
    consumer: FakeConsumer

    def poll(self) -> list[Delivery]:
        """Poll once, as the engine does: where the snapshots have come, the events are asked for."""
        deliveries = self.inbox.poll(timeout_seconds=0, max_commands=10)
        for delivery in deliveries:
            if isinstance(delivery, AllRestored) and delivery.of == "snapshots":
                self.inbox.restore_events(partition=delivery.partition, assignment=delivery.assignment, start=0)
        return [d for d in deliveries if not isinstance(d, AllRestored) or d.of == "events"]

    def until_restored(self, count: int) -> list[Delivery]:
        """Poll until the events of so many partitions have come."""
        found: list[Delivery] = []
        for _ in range(100):
            found += self.poll()
            if sum(isinstance(delivery, AllRestored) for delivery in found) >= count:
                return found
        raise AssertionError(found)

    def open_all(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if isinstance(delivery, AllRestored):
                self.inbox.open(partition=delivery.partition, assignment=delivery.assignment, fallback_offset=0)

    def send(self, *offsets: int) -> None:
        for partition in (0, 1):
            for offset in offsets:
                self.consumer.inbox.append(KafkaMessage(NAMES.commands, partition, offset, b"m:1", b"v"))

    def joins_again_as(self, name: str) -> None:
        """Expelled, as one is that stood still for longer than its session."""
        self.consumer.member = name
        self.cluster.group = [Member(name, "0", "t.processor-0")]
        self.consumer.moves += [("lost", [0, 1]), ("assign", [0, 1])]

    def commit(self) -> Committed | None:
        return self.inbox.commit(Transaction(offsets={0: 1, 1: 1}, messages=(EVENT,)))


@pytest.fixture
def member() -> Iterator[Member0]:
    cluster, timing = Cluster(), ManualTiming()
    clients = FakeClients(cluster)
    log = KafkaLog("fake:9092", names=NAMES, clients=clients, timing=timing, process="p", restore_in_thread=False)
    inbox = log.inbox(slot="0")
    (consumer,) = cluster.consumers
    consumer.member = "0-first"
    cluster.group = [Member("0-first", "0", "t.processor-0")]
    consumer.moves.append(("assign", [0, 1]))
    member = Member0(cluster, timing, inbox, consumer)
    member.open_all(member.until_restored(2))
    member.send(0)
    assert [type(delivery) for delivery in member.poll()] == [CommandArrived, CommandArrived]
    cluster.calls.clear()
    yield member
    inbox.close()


def test_a_transaction_sends_its_offsets_before_its_records(member: Member0) -> None:
    assert member.commit()

    assert member.cluster.calls == ["begin", "offsets", "produce", "commit"]
    assert member.cluster.records == [(NAMES.events, b"event")]
    # Each of the two partitions was named when it was opened.
    author = Author(transactional_id="t.processor-0", process="p", counter=3)
    assert member.cluster.offsets == {0: (1, author.encode()), 1: (1, author.encode())}


def test_a_call_that_may_be_retried_is_the_same_call_again(member: Member0) -> None:
    member.cluster.faults["offsets"] = [fault(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, retriable=True)] * 3
    member.cluster.faults["commit"] = [fault(KafkaError._TIMED_OUT)] * 2

    assert member.commit()

    assert member.cluster.calls == ["begin", *["offsets"] * 4, "produce", *["commit"] * 3]
    assert member.cluster.producers == 1


@pytest.mark.parametrize(
    ("call", "code", "flagged"),
    [
        ("offsets", KafkaError.ILLEGAL_GENERATION, False),
        ("produce", KafkaError.MSG_SIZE_TOO_LARGE, False),
        ("commit", KafkaError._MSG_TIMED_OUT, True),  # a delivery that failed
    ],
)
def test_an_abortable_failure_aborts_takes_a_new_producer_and_seeks_back(
    member: Member0, call: str, code: int, flagged: bool
) -> None:
    member.cluster.faults[call] = [fault(code, abort=flagged)]

    assert not member.commit()

    assert member.cluster.calls[-2:] == ["abort", "init"]
    assert (member.cluster.producers, member.cluster.records, member.consumer.fetching) == (2, [], {0: -2, 1: -2})
    member.send(0)
    assert [type(delivery) for delivery in member.poll()] == [CommandArrived, CommandArrived]
    assert member.commit()


@pytest.mark.parametrize("offsets", [{}, {7: 1}, {0: 1, 7: 1}], ids=["nothing", "of another", "of another too"])
def test_a_transaction_that_is_not_of_open_partitions_is_not_begun_and_its_commands_come_again(
    member: Member0, offsets: dict[int, int]
) -> None:
    assert member.inbox.commit(Transaction(offsets=offsets, messages=(EVENT,))) is None

    assert member.cluster.calls == []
    member.send(0)
    assert [type(delivery) for delivery in member.poll()] == [CommandArrived, CommandArrived]
    assert member.commit()


def test_a_record_larger_than_the_topics_take_is_not_begun_and_its_commands_come_again(member: Member0) -> None:
    room = member.inbox.max_record_bytes - record_bytes(replace(EVENT, value=b""))
    most, more = (replace(EVENT, value=bytes(room + over)) for over in (0, 1))

    assert member.inbox.commit(Transaction(offsets={0: 1, 1: 1}, messages=(EVENT, more))) is None

    assert member.cluster.calls == []
    member.send(0)
    assert [type(delivery) for delivery in member.poll()] == [CommandArrived, CommandArrived]
    assert member.inbox.commit(Transaction(offsets={0: 1, 1: 1}, messages=(EVENT, most)))
    assert member.cluster.records == [(NAMES.events, EVENT.value), (NAMES.events, most.value)]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("offsets", KafkaError.UNKNOWN_MEMBER_ID),
        ("begin", KafkaError._FENCED),
        ("commit", KafkaError._FENCED),
        ("commit", KafkaError.INVALID_TXN_STATE),
    ],
)
def test_one_that_is_fenced_asks_for_its_membership_before_it_takes_all_over_anew(
    member: Member0, call: str, code: int
) -> None:
    member.cluster.faults[call] = [fault(code, abort=True)]
    others, member.cluster.group = member.cluster.group, []

    assert not member.commit()
    assert member.poll() == [PartitionLost(partition=0), PartitionLost(partition=1)]
    assert not member.commit()
    assert member.cluster.producers == 1
    member.cluster.group = others
    member.timing.sleep(1)
    retaken = member.until_restored(2)

    assert retaken[:2] == [
        PartitionTaken(partition=0, assignment=3),
        PartitionTaken(partition=1, assignment=4),
    ]
    assert member.cluster.producers == 2
    member.open_all(retaken)
    assert member.commit()


def test_fenced_twice_in_a_minute_the_slot_is_another_processs(member: Member0) -> None:
    member.cluster.faults["begin"] = [fault(KafkaError._FENCED, fatal=True)]
    assert not member.commit()
    member.open_all(member.until_restored(2))
    member.cluster.faults["begin"] = [fault(KafkaError._FENCED, fatal=True)]

    with pytest.raises(SlotTaken, match="fenced twice"):
        member.commit()


def test_a_minute_after_it_was_fenced_it_may_be_fenced_once_more(member: Member0) -> None:
    for _ in range(2):
        member.cluster.faults["begin"] = [fault(KafkaError._FENCED, fatal=True)]
        assert not member.commit()
        member.open_all(member.until_restored(2))
        member.timing.sleep(60)
    assert member.commit()

    member.cluster.faults["begin"] = [fault(KafkaError._FENCED, fatal=True)] * 2
    assert not member.commit()
    member.open_all(member.until_restored(2))
    member.timing.sleep(59)
    with pytest.raises(SlotTaken, match="fenced twice"):
        member.commit()


def test_fenced_twice_in_a_minute_as_another_member_it_was_only_stopped_twice(member: Member0) -> None:
    member.cluster.faults["begin"] = [fault(KafkaError._FENCED, fatal=True)]
    assert not member.commit()
    member.open_all(member.until_restored(2))
    member.joins_again_as("0-again")
    member.open_all(member.until_restored(2))
    member.timing.sleep(30)
    member.cluster.faults["begin"] = [fault(KafkaError._FENCED, fatal=True)]

    assert not member.commit()
    member.open_all(member.until_restored(2))
    assert member.commit()


def test_one_whose_place_in_the_group_is_taken_says_so(member: Member0) -> None:
    member.cluster.faults["commit"] = [fault(KafkaError._FENCED, fatal=True)]
    member.cluster.group = [Member("0-other", "0", "t.processor-0")]

    assert not member.commit()

    member.poll()  # it may have joined again by itself
    member.timing.sleep(2.9)
    assert member.poll() == []
    member.timing.sleep(0.3)
    with pytest.raises(SlotTaken, match="0-other"):
        member.poll()
    assert member.cluster.producers == 1


def test_one_that_has_joined_again_and_not_heard_of_it_yet_takes_over_anew(member: Member0) -> None:
    member.cluster.faults["commit"] = [fault(KafkaError._FENCED, fatal=True)]
    before, member.cluster.group = member.cluster.group, [Member("0-again", "0", "t.processor-0")]
    assert not member.commit()
    member.poll()
    member.cluster.group = before
    member.timing.sleep(3.1)

    member.open_all(member.until_restored(2))
    assert member.commit()


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (KafkaError.FENCED_INSTANCE_ID, SlotTaken),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, NotAuthorized),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, NotAuthorized),
    ],
)
def test_what_cannot_get_better_ends_it_at_once(member: Member0, code: int, raised: type[Exception]) -> None:
    member.cluster.faults["offsets"] = [fault(code, abort=True)]

    with pytest.raises(raised):
        member.commit()

    assert "init" not in member.cluster.calls


def test_the_first_that_names_a_missing_right_is_heard_and_other_errors_stay_as_they_are() -> None:
    refused = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
    described = lacking(refused, "DESCRIBE", "group", "t.processor")

    assert described.str() == "it lacks DESCRIBE on group t.processor"
    assert lacking(described, "READ", "group", "t.processor") is described
    assert lacking(refused, "WRITE", "topic", NAMES.events) is refused


def test_an_unknown_outcome_that_was_a_commit_is_a_commit(member: Member0) -> None:
    member.cluster.faults["commit"] = [fault(KafkaError._FAIL, after=True)]

    assert member.commit()

    assert member.cluster.calls == ["begin", "offsets", "produce", "commit", "init", "committed"]
    assert member.consumer.fetching == {0: -2, 1: -2}


def test_an_unknown_outcome_that_was_none_is_delivered_again(member: Member0) -> None:
    member.cluster.faults["commit"] = [fault(KafkaError._FAIL)]

    assert not member.commit()

    assert member.cluster.calls[-2:] == ["init", "committed"]
    member.send(0)
    assert [type(delivery) for delivery in member.poll()] == [CommandArrived, CommandArrived]


def test_one_partition_with_our_name_tells_that_all_was_committed(member: Member0) -> None:
    member.cluster.faults["commit"] = [fault(KafkaError._FAIL, after=True)]
    # The second of two calls waits for the third: time for a rival to come.
    member.cluster.faults["committed"] = [fault(KafkaError._TIMED_OUT)] * 2
    rival = Author(transactional_id="t.processor-1", process="q", counter=1).encode()
    sleep = member.timing.sleep

    def rival_comes(seconds: float) -> None:
        member.cluster.offsets[1] = (1, rival)
        sleep(seconds)

    member.timing.sleep = rival_comes  # type: ignore[method-assign]  # time is when others act

    assert member.commit()

    ours = Author(transactional_id="t.processor-0", process="p", counter=3).encode()
    assert member.cluster.offsets == {0: (1, ours), 1: (1, rival)}


def test_a_commit_that_never_answers_counts_as_unknown(member: Member0) -> None:
    member.cluster.faults["commit"] = [fault(KafkaError._TIMED_OUT)] * 1_000

    assert not member.commit()

    assert member.timing.seconds >= 30
    assert member.cluster.producers == 2


@pytest.mark.parametrize("call", ["init", "committed"])
def test_an_outcome_that_cannot_be_settled_in_time_is_left_to_a_takeover_however_often(
    member: Member0, call: str
) -> None:
    for _ in range(2):  # a broker that is away twice in a minute is no second process in this slot
        before = member.timing.seconds
        member.cluster.faults["commit"] = [fault(KafkaError._FAIL, after=True)]
        member.cluster.faults[call] = [fault(KafkaError._TIMED_OUT)] * 1_000

        assert not member.commit()

        assert 30 <= member.timing.seconds - before < 32  # only then is a signal heard
        assert member.poll()[:2] == [PartitionLost(partition=0), PartitionLost(partition=1)]
        member.cluster.faults.clear()
        member.timing.sleep(1)
        retaken = member.until_restored(2)
        opened = [
            member.inbox.open(partition=d.partition, assignment=d.assignment, fallback_offset=0)
            for d in retaken
            if isinstance(d, AllRestored)
        ]
        assert opened == [1, 1]  # it was committed, and is not applied again


def test_an_abort_that_gets_no_new_producer_in_time_is_left_to_a_takeover(member: Member0) -> None:
    member.cluster.faults["produce"] = [fault(KafkaError.MSG_SIZE_TOO_LARGE)]
    member.cluster.faults["init"] = [fault(KafkaError._TIMED_OUT)] * 1_000

    assert not member.commit()

    assert 30 <= member.timing.seconds < 32
    assert member.poll() == [PartitionLost(partition=0), PartitionLost(partition=1)]
    assert member.cluster.records == []


def test_opening_a_partition_ends_where_the_broker_stays_away(member: Member0) -> None:
    member.cluster.offsets.clear()
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    [*_, restored] = member.until_restored(1)
    assert isinstance(restored, AllRestored)
    member.cluster.faults["starts"] = [fault(KafkaError._TRANSPORT)] * 1_000

    with pytest.raises(LogUnavailable):
        member.inbox.open(partition=0, assignment=restored.assignment, fallback_offset=0)

    assert 30 <= member.timing.seconds < 32


def test_a_member_id_that_changed_means_that_everything_was_lost(member: Member0) -> None:
    member.consumer.member = "0-second"
    member.consumer.moves.append(("assign", []))

    assert member.poll() == [
        PartitionLost(partition=0),
        PartitionLost(partition=1),
        PartitionTaken(partition=0, assignment=3),
        PartitionTaken(partition=1, assignment=4),
    ]
    assert member.consumer.fetching == {}


def test_a_callback_without_a_member_id_takes_nothing(member: Member0) -> None:
    member.consumer.member = None
    member.consumer.moves.append(("assign", []))

    assert member.poll() == [PartitionLost(partition=0), PartitionLost(partition=1)]
    assert not member.commit()
    assert member.cluster.calls == []


def test_a_message_of_a_partition_just_revoked_is_dropped(member: Member0) -> None:
    member.send(1)
    member.consumer.moves.append(("revoke", [0]))

    lost, arrived = member.poll()

    assert lost == PartitionLost(partition=0)
    assert isinstance(arrived, CommandArrived) and arrived.record.partition == 1


def test_a_takeover_commits_the_offset_again_under_its_own_name(member: Member0) -> None:
    assert member.commit()
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    member.until_restored(1)

    offset, metadata = member.cluster.offsets[0]
    assert (offset, decode_author(metadata)) == (
        1,
        Author(transactional_id="t.processor-0", process="p", counter=4),
    )
    assert "name" in member.cluster.calls


def test_a_takeover_is_not_named_by_a_member_that_rejoined_unnoticed(member: Member0) -> None:
    assert member.commit()
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    member.cluster.faults["committed"] = [fault(KafkaError._TIMED_OUT)]  # a transaction is pending
    member.poll()
    member.consumer.member = "0-second"  # as the client has it; no callback has told yet
    for _ in range(100):
        member.poll()

    assert "name" not in member.cluster.calls


def test_a_takeover_named_by_a_member_that_rejoined_meanwhile_goes_no_further(member: Member0) -> None:
    assert member.commit()
    name = member.consumer.commit

    def rejoins(*, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition] | None:
        answer = name(offsets=offsets, asynchronous=asynchronous)
        member.consumer.member = "0-second"  # as the client has it; no callback has told yet
        return answer

    member.consumer.commit = rejoins  # type: ignore[method-assign]  # what else goes on while it is called
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    deliveries = [delivery for _ in range(100) for delivery in member.poll()]

    assert deliveries == [PartitionLost(partition=0), PartitionTaken(partition=0, assignment=3)]
    assert member.cluster.calls.count("name") == 1
    member.consumer.moves.append(("assign", []))
    assert member.poll() == [
        PartitionLost(partition=0),
        PartitionLost(partition=1),
        PartitionTaken(partition=0, assignment=4),
        PartitionTaken(partition=1, assignment=5),
    ]


def test_properties_that_correctness_needs_are_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"isolation\.level"):
        KafkaLog("fake:9092", names=NAMES, properties={"isolation.level": "read_uncommitted"})


@pytest.mark.parametrize("metadata", [None, "", "by hand", "[]", '{"transactional_id": "t"}'])
def test_commit_metadata_of_others_names_nobody(metadata: str | None) -> None:
    assert decode_author(metadata) is None


@pytest.mark.parametrize(
    ("before", "trying", "now"), [(0, False, 1), (1, False, 1), (1, True, 2), (2, False, 2), (2, True, 3)]
)
def test_a_takeover_after_a_death_counts_it_if_it_is_the_first_or_one_of_what_was_tried(
    member: Member0, before: int, trying: bool, now: int
) -> None:
    dead = Author(transactional_id="t.processor-0", process="before", counter=9, attempts=before, trying=trying)
    member.cluster.offsets[0] = (1, dead.encode())
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    [*_, restored] = member.until_restored(1)

    assert isinstance(restored, AllRestored)
    author = decode_author(member.cluster.offsets[0][1])
    assert author is not None
    assert (restored.attempts, author.attempts, author.trying) == (now, now, False)


@pytest.mark.parametrize(
    ("process", "transactional_id"), [("p", "t.processor-0"), ("other", "t.processor-9")], ids=["own", "alive"]
)
@pytest.mark.parametrize(("before", "trying"), [(0, False), (1, True)])
def test_a_takeover_from_one_that_lives_is_no_death(
    member: Member0, process: str, transactional_id: str, before: int, trying: bool
) -> None:
    last = Author(transactional_id=transactional_id, process=process, counter=9, attempts=before, trying=trying)
    member.cluster.offsets[0] = (1, last.encode())
    member.cluster.group.append(Member("9-x", "9", "t.processor-9"))
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    [*_, restored] = member.until_restored(1)

    assert isinstance(restored, AllRestored)
    assert restored.attempts == before


@pytest.mark.parametrize("before", [0, 2])
def test_a_takeover_from_one_that_has_left_is_no_death(member: Member0, before: int) -> None:
    last = Author(transactional_id="t.processor-0", process="before", counter=9, attempts=before, left=True)
    member.cluster.offsets[0] = (1, last.encode())
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    [*_, restored] = member.until_restored(1)

    assert isinstance(restored, AllRestored)
    author = decode_author(member.cluster.offsets[0][1])
    assert author is not None
    assert (restored.attempts, author.attempts, author.left) == (before, before, False)


def test_who_leaves_says_so_of_what_is_open_and_tells_what_it_was_told_of_deaths(member: Member0) -> None:
    assert member.inbox.commit(Transaction(offsets={0: 1, 1: 1}, messages=(), attempts={1: 2}, trying=True))
    member.cluster.calls.clear()
    member.inbox.leave()

    found = {p: (at, decode_author(metadata)) for p, (at, metadata) in member.cluster.offsets.items()}
    assert found == {
        0: (1, Author(transactional_id="t.processor-0", process="p", counter=4, left=True)),
        1: (1, Author(transactional_id="t.processor-0", process="p", counter=4, attempts=2, left=True)),
    }
    assert member.cluster.calls == ["begin", "offsets", "commit", "unsubscribe", "members"]


def test_who_leaves_says_so_of_what_it_was_about_to_take_over_too(member: Member0) -> None:
    last = Author(transactional_id="t.processor-9", process="before", counter=9, attempts=1)
    member.cluster.offsets[0] = (1, last.encode())
    member.consumer.moves += [("revoke", [0]), ("assign", [0])]
    member.until_restored(1)  # and not opened yet
    member.inbox.leave()

    found = {p: (at, decode_author(metadata)) for p, (at, metadata) in member.cluster.offsets.items()}
    assert found == {
        0: (1, Author(transactional_id="t.processor-0", process="p", counter=4, attempts=1, left=True)),
        1: (0, Author(transactional_id="t.processor-0", process="p", counter=4, left=True)),
    }


@pytest.mark.parametrize("refused", [KafkaError.ILLEGAL_GENERATION, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED])
def test_who_cannot_say_that_it_leaves_leaves_all_the_same(member: Member0, refused: int) -> None:
    member.cluster.faults["offsets"].append(fault(refused))
    member.inbox.leave()

    assert [decode_author(metadata) for _, metadata in member.cluster.offsets.values()].count(None) == 0
    assert member.cluster.calls[-2:] == ["unsubscribe", "members"]


def test_who_was_fenced_has_nothing_to_say_as_it_leaves(member: Member0) -> None:
    member.cluster.faults["offsets"].append(fault(KafkaError.UNKNOWN_MEMBER_ID))
    assert not member.commit()
    before = dict(member.cluster.offsets)
    member.cluster.calls.clear()
    member.inbox.leave()

    assert (member.cluster.offsets, member.cluster.calls) == (before, ["unsubscribe", "members"])


def test_metadata_of_a_release_that_did_not_try_say_so() -> None:
    written = '{"transactional_id": "t.processor-0", "process": "p", "counter": 3, "attempts": 2}'
    assert decode_author(written) == Author(transactional_id="t.processor-0", process="p", counter=3, attempts=2)


def test_progress_and_what_is_none_are_told_to_the_next_owner(member: Member0) -> None:
    transaction = Transaction(offsets={0: 1, 1: 1}, messages=(EVENT,), attempts={1: 2})
    for told in (transaction, replace(transaction, trying=True)):
        assert member.inbox.commit(told)

        found = [decode_author(metadata) for _, metadata in member.cluster.offsets.values()]
        assert [(a.attempts, a.trying) for a in found if a is not None] == [(0, told.trying), (2, told.trying)]
