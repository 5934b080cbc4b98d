"""What librdkafka's admin client says, and what is made of it."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

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


class Pending(Future[Any]):
    """One that is not waited for."""

    def result(self, timeout: float | None = None) -> Any:
        if timeout is not None and not self.done():
            raise TimeoutError
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if timeout is not None and not self.done():
            raise TimeoutError
        return super().exception(timeout)


class Stuck(Silent):
    """One whose coordinator does not answer, while the cluster does."""

    def __init__(self) -> None:
        super().__init__()
        self.question = Pending()
        self.seconds: list[float] = []

    def describe_consumer_groups(self, groups: list[str], *, request_timeout: float) -> dict[str, Future[Any]]:
        self.seconds.append(request_timeout)
        return {"g": self.question}


class Away(Stuck):
    """One of a cluster of which nobody answers."""

    def list_topics(self, topic: str, timeout: float) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


class Answering(Silent):
    def describe_consumer_groups(self, groups: list[str], **_: object) -> dict[str, Future[Any]]:
        answer: Future[Any] = Future()
        answer.set_result(SimpleNamespace(members=()))
        return {"g": answer}


def code_of_asking(ask: Callable[[], object]) -> int:
    with pytest.raises(KafkaException) as raised:
        ask()
    return error_of(raised.value).code()


def test_after_a_coordinator_did_not_answer_the_next_question_is_asked_by_a_new_client() -> None:
    clients: list[Any] = [Stuck(), Stuck(), Answering()]
    admin = ConfluentAdmin(lambda: clients.pop(0))

    assert code_of_asking(lambda: admin.members("g")) == KafkaError._TIMED_OUT
    assert code_of_asking(lambda: admin.members("g")) == KafkaError._TIMED_OUT

    assert admin.members("g") == []
    assert clients == []


class Mistaken(Stuck):
    """One that goes on asking who was the coordinator once: seen with librdkafka 2.16, for as long as it lived."""

    def __init__(self) -> None:
        super().__init__()
        self.question.set_exception(KafkaException(KafkaError(KafkaError.NOT_COORDINATOR)))


def test_after_a_broker_that_is_no_coordinator_any_more_was_asked_a_new_client_asks() -> None:
    clients: list[Any] = [Mistaken(), Answering()]
    admin = ConfluentAdmin(lambda: clients.pop(0))

    assert code_of_asking(lambda: admin.members("g")) == KafkaError.NOT_COORDINATOR

    assert admin.members("g") == []


def test_of_a_group_without_a_coordinator_no_more_than_some_clients_are_made() -> None:
    """Each has threads, and is held for as long as its question is under way: an hour."""
    made: list[Any] = []
    clock = SimpleNamespace(now=0.0)

    def make() -> Any:
        made.append(Stuck())
        return made[-1]

    admin = ConfluentAdmin(make, now=lambda: clock.now)
    counts = []
    for at in (*range(0, 50, 5), 54, 55, 84, 85):
        clock.now = float(at)
        assert code_of_asking(lambda: admin.members("g")) == KafkaError._TIMED_OUT
        counts.append(len(made))

    assert counts == [1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 7, 7, 8]


def test_one_that_waits_for_an_unanswered_question_asks_once_that_is_answered() -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(Stuck())
        return made[-1]

    admin = ConfluentAdmin(make, now=lambda: 0.0)
    for _ in range(6):
        code_of_asking(lambda: admin.members("g"))
    made[-1].question.set_result(SimpleNamespace(members=()))

    assert admin.members("g") == []
    assert len(made) == 6


class Shared(Silent):
    """One that a thread waits for, while another is told that it asks the wrong broker."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Event()
        self.answers: list[Future[Any]] = [Future(), refused(KafkaError.NOT_COORDINATOR)]

    def describe_consumer_groups(self, groups: list[str], **_: object) -> dict[str, Future[Any]]:
        self.asked.set()
        return {"g": self.answers.pop(0)}


def test_a_client_that_one_thread_waits_for_is_held_though_another_has_it_replaced() -> None:
    shared, gone = Shared(), Event()
    question = shared.answers[0]
    weakref.finalize(shared, gone.set)
    asked = shared.asked
    clients: list[Any] = [Answering(), shared]
    admin = ConfluentAdmin(clients.pop, in_flight_seconds=0.0)
    del shared
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(admin.members, "g")
        assert asked.wait(30)
        assert code_of_asking(lambda: admin.members("g")) == KafkaError.NOT_COORDINATOR
        assert admin.members("g") == []
        gc.collect()
        assert not gone.is_set()

        question.set_result(SimpleNamespace(members=()))
        assert waiting.result(30) == []
    assert gone.wait(30)


def test_where_nobody_answers_no_new_client_and_no_second_question_wait_beside_the_first() -> None:
    client = Away()
    clients: list[Any] = [client]
    admin = ConfluentAdmin(lambda: clients.pop(0))

    codes = [code_of_asking(lambda: admin.members("g")) for _ in range(3)]

    assert codes == [KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._TRANSPORT]
    assert client.seconds == [3_600.0]


def test_a_client_whose_coordinator_has_answered_late_is_asked_again() -> None:
    client = Stuck()
    clients: list[Any] = [client]
    admin = ConfluentAdmin(lambda: clients.pop(0))

    with pytest.raises(KafkaException):
        admin.members("g")
    client.question.set_result(SimpleNamespace(members=()))

    assert admin.members("g") == []


def test_a_client_is_held_until_its_coordinator_has_answered() -> None:
    """librdkafka 2.16 may end the process where it goes before."""
    stuck = Stuck()
    question, gone = stuck.question, Event()
    weakref.finalize(stuck, gone.set)
    clients: list[Any] = [Answering(), stuck]
    admin = ConfluentAdmin(clients.pop, in_flight_seconds=0.0)
    with pytest.raises(KafkaException):
        admin.members("g")
    del stuck

    assert admin.members("g") == []
    gc.collect()
    assert not gone.is_set()

    question.set_result(None)
    assert gone.wait(30)


def test_a_new_client_asks_for_leaders_before_offsets_whenever_the_one_before_did() -> None:
    stuck, answering = Stuck(), Answering()
    clients: list[Any] = [stuck, answering]
    admin = ConfluentAdmin(lambda: clients.pop(0), now=lambda: 10.0)

    admin.ends([("t", 0)], committed=True)
    with pytest.raises(KafkaException):
        admin.members("g")
    admin.members("g")
    admin.ends([("t", 0)], committed=True)

    assert (stuck.asked_leaders_of, answering.asked_leaders_of) == (["t", "__consumer_offsets"], ["t"])


class Starting(Silent):
    """One that lets go of its bootstrap servers while it is asked."""

    def __init__(self, *, times: int) -> None:
        super().__init__()
        self.left = times

    def describe_cluster(self, **_: object) -> Future[Any]:
        if self.left:
            self.left -= 1
            return refused(KafkaError._DESTROY_BROKER)
        answer: Future[Any] = Future()
        answer.set_result(SimpleNamespace(nodes=(1, 2, 3)))
        return answer


def test_what_a_bootstrap_server_was_asked_when_it_was_let_go_of_is_asked_again() -> None:
    starting, never = Starting(times=3), Starting(times=4)

    assert ConfluentAdmin(lambda: cast(Any, starting)).brokers() == 3
    assert code_of_asking(ConfluentAdmin(lambda: cast(Any, never)).brokers) == KafkaError._DESTROY_BROKER


def test_after_a_leader_did_not_answer_the_client_is_kept() -> None:
    clients: list[Any] = [Silent()]
    admin = ConfluentAdmin(lambda: clients.pop(0))

    with pytest.raises(KafkaException):
        admin.ends([("t", 1)], committed=True)

    assert admin.ends([("t", 0)], committed=True) == {("t", 0): 7}
