"""What the client gives → records of the ports."""

from __future__ import annotations

from typing import cast

import pytest
from confluent_kafka import Message

from processor.adapters.kafka.convert import record_of
from processor.engine.ports import Record
from processor.model.ids import Millis


class Given:
    """What record_of asks of a message. Its headers may be asked for once: after a failure the client gives null
    pointers."""

    def __init__(self, headers: object) -> None:
        self._headers = headers

    def topic(self) -> str:
        return "asl.commands"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 7

    def key(self) -> bytes:
        return b"order:1"

    def value(self) -> bytes:
        return b"{}"

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_767_225_600_000

    def headers(self) -> object:
        headers, self._headers = self._headers, AssertionError("asked again")
        if isinstance(headers, BaseException):
            raise headers
        return headers


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, ()),
        (
            [("content-type", b"application/json"), ("empty", None)],
            (("content-type", b"application/json"), ("empty", b"")),
        ),
        (SystemError("<method 'headers'> returned a result with an exception set"), ()),
    ],
    ids=["none", "in order", "a name that is no UTF-8"],
)
def test_a_record_has_the_headers_that_can_be_read(given: object, read: tuple[tuple[str, bytes], ...]) -> None:
    assert record_of(cast(Message, Given(given))) == Record(
        topic="asl.commands",
        partition=3,
        offset=7,
        key=b"order:1",
        value=b"{}",
        headers=read,
        time=Millis(1_767_225_600_000),
    )
