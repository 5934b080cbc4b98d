"""Avro's binary primitives, and the header of single-object encoding; the generated codecs call these.

Writers return bytes. Readers take a buffer and a position and return the value and the position after it. Their input
is hostile: they may raise IndexError past its end and Malformed, and never allocate for a length that is only claimed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from processor.model.json import Json, json_bytes

MARKER = b"\xc3\x01"
HEADER_LENGTH = 10
"""The marker, then the CRC-64-AVRO of the writer's schema, little-endian."""

T = TypeVar("T")
Position = int


class Lacking(Exception):
    """A value that a schema which is not the newest has no place for; becomes NotInWriteFormat."""


class Malformed(Exception):
    """Not Avro of this schema; becomes DecodingFailed where the codec is left."""


# ---- write


def _varint(number: int) -> bytes:
    rest = number << 1 if number >= 0 else (-number << 1) - 1  # zigzag
    septets = bytearray()
    while rest > 0x7F:
        septets.append(rest & 0x7F | 0x80)
        rest >>= 7
    septets.append(rest)
    return bytes(septets)


# Lengths, indexes, sequences: nearly every number is small, and a lookup costs a quarter of the loop.
SMALL_NUMBERS = 8192
SMALL = tuple(map(_varint, range(SMALL_NUMBERS)))


def write_long(number: int) -> bytes:
    if 0 <= number < SMALL_NUMBERS:
        return SMALL[number]
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} does not fit a long")
    return _varint(number)


def write_int(number: int) -> bytes:
    if 0 <= number < SMALL_NUMBERS:
        return SMALL[number]
    if not -(2**31) <= number < 2**31:
        raise ValueError(f"{number} does not fit an int")
    return _varint(number)


def write_string(text: str) -> bytes:
    encoded = text.encode()
    length = len(encoded)
    return (SMALL[length] if length < SMALL_NUMBERS else _varint(length)) + encoded


def write_bytes(value: bytes) -> bytes:
    length = len(value)
    return (SMALL[length] if length < SMALL_NUMBERS else _varint(length)) + value


class Names(dict[str, bytes]):
    """Names of states as they are written. Few, each written again and again; forgotten when they become many."""

    def __missing__(self, name: str) -> bytes:
        if len(self) >= 10_000:
            self.clear()
        encoded = self[name] = write_string(name)
        return encoded


names = Names()


def write_json(value: Json) -> bytes:
    encoded = json_bytes(value)
    length = len(encoded)
    return (SMALL[length] if length < SMALL_NUMBERS else _varint(length)) + encoded


write_double = struct.Struct("<d").pack


def write_fixed(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes where {size} are due")
    return value


def write_array(items: tuple[T, ...], write: Callable[[T], bytes]) -> bytes:
    """Of at least one item; an empty array is a zero byte."""
    return write_long(len(items)) + b"".join(map(write, items)) + b"\x00"


def write_map(entries: Mapping[str, T], write: Callable[[T], bytes]) -> bytes:
    if not entries:
        return b"\x00"
    pairs: Iterable[bytes] = (write_string(key) + write(value) for key, value in entries.items())
    return write_long(len(entries)) + b"".join(pairs) + b"\x00"


# ---- read


def read_long(buffer: bytes, at: Position) -> tuple[int, Position]:
    rest = shift = 0
    while True:
        septet = buffer[at]
        at += 1
        rest |= (septet & 0x7F) << shift
        if septet < 0x80:
            break
        shift += 7
        if shift > 63:
            raise Malformed("a number of more than ten bytes")
    if rest >= 2**64:
        raise Malformed("a number that 64 bits do not hold")
    return (rest >> 1) ^ -(rest & 1), at


def read_int(buffer: bytes, at: Position) -> tuple[int, Position]:
    number, at = read_long(buffer, at)
    if not -(2**31) <= number < 2**31:
        raise Malformed("a number that 32 bits do not hold")
    return number, at


def read_length(buffer: bytes, at: Position) -> tuple[int, Position]:
    length, at = read_long(buffer, at)
    if not 0 <= length <= len(buffer) - at:
        raise Malformed(f"a length of {length} with {len(buffer) - at} bytes left")
    return length, at


def read_count(buffer: bytes, at: Position) -> tuple[int, Position]:
    """How many items the block has; a negative count is followed by the block's size in bytes."""
    count, at = read_long(buffer, at)
    if count < 0:
        count = -count
        _, at = read_length(buffer, at)
    if count > len(buffer) - at:  # no item here is shorter than a byte
        raise Malformed(f"{count} items with {len(buffer) - at} bytes left")
    return count, at


read_double = struct.Struct("<d").unpack_from
