"""Between the client's messages and the records of the ports."""

from __future__ import annotations

from operator import methodcaller

from confluent_kafka import Message as KafkaMessage

from processor.engine.ports import Headers, Record
from processor.model.ids import Millis

# The client answers and leaves an error set. CPython sees that where C code calls; bytecode that was specialised for
# the call does not look, and the error is raised by whatever comes next.
_ask_headers = methodcaller("headers")


def record_of(message: KafkaMessage) -> Record:
    """Return the record; `message` has no error. Headers of which a name is no UTF-8 cannot be read, and are left out:
    what is told by a header, that a command is JSON, is then not told."""
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
        time=Millis(message.timestamp()[1]),
    )


def _headers(message: KafkaMessage) -> Headers:
    try:
        headers = _ask_headers(message)
    except (SystemError, UnicodeDecodeError):
        # confluent-kafka 2.16 on a name that is no UTF-8. Anyone may write one, and it must not end whoever reads it.
        # Never ask again: the second answer holds null pointers.
        return ()
    if not headers:
        return ()
    # librdkafka gives pairs, in order; a header without a value reads as an empty one.
    assert isinstance(headers, list)
    return tuple((name, value or b"") for name, value in headers)
