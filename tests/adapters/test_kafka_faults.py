"""What an error of the client is to who asked for something outside any transaction."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from processor.adapters.kafka.faults import translate
from processor.errors import AslError, LogUnavailable, MessageTooLarge, TopicsUnfit


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, MessageTooLarge),  # librdkafka's own answer too, before it sends anything
        (KafkaError.RECORD_LIST_TOO_LARGE, MessageTooLarge),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicsUnfit),
        (KafkaError._TRANSPORT, LogUnavailable),
    ],
)
def test_only_a_cluster_that_does_not_answer_is_out_of_reach(code: int, kind: type[AslError]) -> None:
    assert type(translate(KafkaError(code), address="kafka:b")) is kind
