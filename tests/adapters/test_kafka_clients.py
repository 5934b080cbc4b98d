"""Calls of librdkafka that do not keep their timeout."""

from __future__ import annotations

from threading import Event

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from processor.adapters.kafka.clients import ConfluentClients, error_of, within
from processor.adapters.kafka.faults import Verdict, judge


def test_a_call_that_does_not_return_is_left_to_itself_and_its_outcome_is_unknown() -> None:
    never = Event()

    with pytest.raises(KafkaException) as raised:
        within(never.wait, seconds=0.01)  # type: ignore[arg-type]  # what it returns is of no account

    never.set()
    error = error_of(raised.value)
    assert (error.code(), error.str()) == (KafkaError._FAIL, "the call has not returned in 0.01 s")
    assert judge(error) is Verdict.UNKNOWN


def test_what_a_call_raises_is_raised_to_the_caller() -> None:
    def refuse() -> None:
        raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))

    with pytest.raises(KafkaException) as raised:
        within(refuse, seconds=5)

    assert error_of(raised.value).code() == KafkaError.ILLEGAL_GENERATION


def test_the_real_producer_sends_offsets_in_that_way() -> None:
    nowhere: dict[str, str | int | bool] = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    consumer = Consumer({**nowhere, "group.id": "g"})
    producer = ConfluentClients().producer({**nowhere, "transactional.id": "t"}, on_error=lambda _: None)

    with pytest.raises(KafkaException) as raised:
        producer.send_offsets_to_transaction([TopicPartition("t", 0, 1)], consumer.consumer_group_metadata(), 0.1)

    consumer.close()
    assert error_of(raised.value).code() == KafkaError._STATE  # it was not initialised
