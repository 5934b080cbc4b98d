"""Writes one record to Kafka by the protocol alone, for what no client library lets through: names of headers that are
no UTF-8. Whoever may write commands can do so, with a program of their own.

Source: Apache Kafka's protocol guide, Produce version 3, and "Record Batch", magic 2.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

_PRODUCE, _VERSION = 0, 3
_ACKS_ALL, _TIMEOUT_MS = -1, 10_000
_CASTAGNOLI = 0x82F63B78

Headers = Sequence[tuple[bytes, bytes | None]]


class Refused(Exception):
    """The broker answered with an error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the broker refuses it with error {code}")
        self.code = code


def produce(
    address: tuple[str, int], *, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
) -> int:
    """Return the offset the record got. `address`: of the partition's leader. Raises Refused, OSError."""
    body = struct.pack(">hhih", _PRODUCE, _VERSION, 1, -1)  # no client id
    batch = _batch(_record(key, value, headers))
    body += struct.pack(">hhi", -1, _ACKS_ALL, _TIMEOUT_MS)  # no transactional id
    body += struct.pack(">i", 1) + _text(topic) + struct.pack(">iii", 1, partition, len(batch)) + batch
    with socket.create_connection(address, timeout=_TIMEOUT_MS / 1_000) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answer = _read(connection, struct.unpack(">i", _read(connection, 4))[0])
    # correlation id, topics, the topic's name, partitions, partition, then the error and the offset
    at = 4 + 4 + 2 + len(topic.encode()) + 4 + 4
    code, offset = struct.unpack_from(">hq", answer, at)
    if code:
        raise Refused(code)
    return int(offset)


def _record(key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    inner = b"\x00" + _varint(0) + _varint(0) + _bytes(key) + _bytes(value) + _varint(len(headers))
    for name, content in headers:
        inner += _bytes(name) + _bytes(content)
    return _varint(len(inner)) + inner


def _batch(record: bytes) -> bytes:
    now = int(time.time() * 1_000)
    checked = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record
    rest = struct.pack(">ibI", 0, 2, _crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _varint(number: int) -> bytes:
    rest, septets = (number << 1) ^ (number >> 63), bytearray()
    while rest > 0x7F:
        septets.append(rest & 0x7F | 0x80)
        rest >>= 7
    septets.append(rest)
    return bytes(septets)


def _bytes(content: bytes | None) -> bytes:
    return _varint(-1) if content is None else _varint(len(content)) + content


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text.encode())) + text.encode()


def _read(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = connection.recv(size - len(read))
        if not part:
            raise ConnectionError("the broker hung up")
        read += part
    return read
