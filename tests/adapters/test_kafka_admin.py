"""What librdkafka's admin client says, and what is made of it."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.adapters.kafka.clients import ConfluentAdmin, error_of
from processor.adapters.kafka.faults import is_passing


class Silent:
    """An AdminClient where the leader of t[1] does not answer: seen with librdkafka 2.16, ten seconds after it died."""

    def __init__(self) -> None:
        self.asked_leaders_of: list[str] = []

    def poll(self, timeout: float) -> int:
        return 0

    def list_topics(self, topic: str, timeout: float) -> None:
        self.asked_leaders_of.append(topic)

    def list_offsets(self, wanted: dict[TopicPartition, object], **_: object) -> dict[TopicPartition, Future[Any]]:
        answers: dict[TopicPartition, Future[Any]] = {}
        for place in wanted:
            answers[place] = Future()
            answers[place].set_result(SimpleNamespace(offset=-1001 if place.partition == 1 else 7))
        return answers


def test_an_end_that_no_leader_told_is_asked_for_again() -> None:
    client: Any = Silent()
    admin = ConfluentAdmin(lambda: client)

    assert admin.ends([("t", 0)], committed=False) == {("t", 0): 7}
    for ask in (lambda places: admin.ends(places, committed=True), admin.starts):
        with pytest.raises(KafkaException) as raised:
            ask([("t", 0), ("t", 1)])
        error = error_of(raised.value)
        assert (error.code(), is_passing(error)) == (KafkaError.LEADER_NOT_AVAILABLE, True)
        assert error.str() == "no answer of the leader of t[1]"


class Unseen(Silent):
    """One that may not see the topic: librdkafka 2.16 does not tell that from one that is not there."""

    def list_offsets(self, wanted: dict[TopicPartition, object], **_: object) -> dict[TopicPartition, Future[Any]]:
        return {place: refused(KafkaError._NOENT) for place in wanted}

    def describe_topics(self, topics: object, **_: object) -> dict[str, Future[Any]]:
        return {"t": refused(KafkaError.TOPIC_AUTHORIZATION_FAILED)}


def refused(code: int) -> Future[Any]:
    answer: Future[Any] = Future()
    answer.set_exception(KafkaException(KafkaError(code)))
    return answer


def test_an_end_of_a_topic_that_may_not_be_seen_names_the_right_that_is_missing() -> None:
    client: Any = Unseen()
    with pytest.raises(KafkaException) as raised:
        ConfluentAdmin(lambda: client).ends([("t", 0)], committed=True)

    error = error_of(raised.value)
    assert (error.code(), error.str()) == (KafkaError.TOPIC_AUTHORIZATION_FAILED, "it lacks DESCRIBE on topic t")


def test_leaders_are_asked_for_once_a_second_and_after_what_was_not_answered() -> None:
    """Definitions are read on for every batch of commands: three questions for offsets each time."""
    client: Any = Silent()
    clock = SimpleNamespace(now=0.0)
    admin = ConfluentAdmin(lambda: client, now=lambda: clock.now)
    asked = []
    for at, partition in ((10.0, 0), (10.9, 0), (11.0, 0), (11.1, 1), (11.2, 0), (11.3, 0)):
        clock.now = at
        with contextlib.suppress(KafkaException):
            admin.ends([("t", partition)], committed=True)
        asked.append(len(client.asked_leaders_of))

    assert asked == [1, 1, 2, 2, 3, 3]


def test_leaders_are_asked_for_before_offsets_are() -> None:
    client: Any = Silent()
    ConfluentAdmin(lambda: client).ends([("t", 0), ("t", 2), ("u", 0)], committed=False)

    assert sorted(client.asked_leaders_of) == ["t", "u"]


class Stuck(Silent):
    def describe_consumer_groups(self, groups: list[str], **_: object) -> dict[str, Future[Any]]:
        return {"g": refused(KafkaError._TIMED_OUT)}

    def list_consumer_group_offsets(self, groups: list[object], **_: object) -> dict[str, Future[Any]]:
        return {"g": refused(KafkaError._TIMED_OUT)}


class Answering(Silent):
    def describe_consumer_groups(self, groups: list[str], **_: object) -> dict[str, Future[Any]]:
        answer: Future[Any] = Future()
        answer.set_result(SimpleNamespace(members=()))
        return {"g": answer}


def test_after_a_coordinator_did_not_answer_the_next_question_is_asked_by_a_new_client() -> None:
    clients: list[Any] = [Stuck(), Stuck(), Answering()]
    admin = ConfluentAdmin(lambda: clients.pop(0))

    with pytest.raises(KafkaException):
        admin.members("g")
    with pytest.raises(KafkaException):
        admin.committed("g", [("t", 0)])

    assert admin.members("g") == []
    assert clients == []


def test_a_new_client_asks_for_leaders_before_offsets_whenever_the_one_before_did() -> None:
    stuck, answering = Stuck(), Answering()
    clients: list[Any] = [stuck, answering]
    admin = ConfluentAdmin(lambda: clients.pop(0), now=lambda: 10.0)

    admin.ends([("t", 0)], committed=True)
    with pytest.raises(KafkaException):
        admin.members("g")
    admin.ends([("t", 0)], committed=True)

    assert (stuck.asked_leaders_of, answering.asked_leaders_of) == (["t"], ["t"])


def test_after_a_leader_did_not_answer_the_client_is_kept() -> None:
    clients: list[Any] = [Silent()]
    admin = ConfluentAdmin(lambda: clients.pop(0))

    with pytest.raises(KafkaException):
        admin.ends([("t", 1)], committed=True)

    assert admin.ends([("t", 0)], committed=True) == {("t", 0): 7}
