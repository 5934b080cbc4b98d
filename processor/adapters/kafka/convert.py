"""Between the client's messages and the records of the ports."""

from __future__ import annotations

from confluent_kafka import Message as KafkaMessage

from processor.engine.ports import Headers, Record
from processor.model.ids import Millis


def record_of(message: KafkaMessage) -> Record:
    """Return the record; `message` has no error."""
    headers = message.headers()
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=_headers(headers) if headers else (),
        time=Millis(message.timestamp()[1]),
    )


def _headers(headers: object) -> Headers:
    # librdkafka gives pairs, in order; a header without a value reads as an empty one.
    assert isinstance(headers, list)
    return tuple((name, value or b"") for name, value in headers)
