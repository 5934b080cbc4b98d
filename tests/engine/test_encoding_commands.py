"""The commands topic is open to anyone: two forms, one meaning, and bytes that mean harm."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from processor.engine.encoding import (
    content_type_of,
    decode_command,
    decode_definition_record,
    decode_events,
    decode_rejection,
    decode_reply,
    decode_task,
    decode_timer,
    encode_command,
    encode_command_json,
    shipped_schemas,
)
from processor.engine.encoding.wire import write_long, write_string
from processor.errors import DecodingFailed, InvalidCommand
from processor.model.commands import AnyCommand, CompleteTask, FailTask, StartExecution, StopExecution
from processor.model.events import Parent
from tests.engine.encoding_values import commands_of, oracle_schema, oracle_write, plain_command

ORACLE = oracle_schema("command")
HEADER = shipped_schemas().current["Command"].header
JSON = "application/json"
START: dict[str, Any] = {"type": "StartExecution", "execution_id": "orders:o-1", "input": {"amount": 12}}
COMPLETE = CompleteTask(execution_id="orders:o-1", token="orders:o-1#0#4", output={"charged": True})
PARENT = {"execution_id": "orders:o-0", "scope": [1], "sequence": 3}


def decode_json(fields: Any) -> AnyCommand:
    return decode_command(fields if isinstance(fields, bytes) else orjson.dumps(fields), content_type=JSON)


# ---- what is well


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(commands_of())
def test_both_forms_are_read_back_and_avro_is_what_fastavro_writes(command: AnyCommand) -> None:
    avro = encode_command(command)

    assert avro == HEADER + oracle_write(ORACLE, plain_command(command))
    assert decode_command(avro) == command
    assert decode_command(encode_command_json(command), content_type="Application/JSON; charset=utf-8") == command


def test_what_a_console_producer_writes_starts_an_execution() -> None:
    line = b'{"type": "StartExecution", "execution_id": "orders:o-1", "input": {"amount": 12, "lines": [null]}}'

    assert decode_command(line, content_type=JSON) == StartExecution(
        execution_id="orders:o-1", input={"amount": 12, "lines": [None]}
    )


def test_optional_fields_may_be_null_or_left_out_and_are_left_out_when_written() -> None:
    stop = StopExecution(execution_id="orders:o-1")

    assert decode_json({"type": "StopExecution", "execution_id": "orders:o-1", "error": None}) == stop
    assert json.loads(encode_command_json(stop)) == {"type": "StopExecution", "execution_id": "orders:o-1"}


def test_a_payload_of_null_is_a_payload() -> None:
    complete = CompleteTask(execution_id="orders:o-1", token="orders:o-1##4", output=None)

    assert json.loads(encode_command_json(complete))["output"] is None
    assert decode_json(encode_command_json(complete)) == complete


def test_the_content_type_is_found_whatever_the_case_of_its_name() -> None:
    assert content_type_of((("traceparent", b"00"), ("Content-Type", b"application/json"))) == JSON
    assert content_type_of((("traceparent", b"00"),)) is None


# ---- what a producer gets to hear


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (b"{", "unexpected end of data"),
        (b'{"a": NaN}', "unexpected character"),
        (b'{"type": "\\ud800"}', "surrogate"),
        (b"\xff\xfe", "not valid UTF-8"),
        ([START], 'must be an object with "type"'),
        (START | {"type": "Start"}, '/type: must be one of StartExecution, CompleteTask, .*, got "Start"'),
        (START | {"type": ["StartExecution"]}, "/type: must be one of .* got an array"),
        (START | {"type": {}}, "/type: must be one of .* got an object"),
        ({"type": "StartExecution", "execution_id": "orders:o-1"}, "/input: must be there"),
        (START | {"inptu": 1}, "/inptu: is no field; these are: type, execution_id, .*, input, context"),
        (START | {"version": "3"}, '/version: must be an integer of 64 bits, got "3"'),
        (START | {"version": 2**63}, "/version: must be an integer of 64 bits"),
        (START | {"version": True}, "/version: must be an integer of 64 bits, got true"),
        (START | {"issuer": 7}, "/issuer: must be a string, got 7"),
        (START | {"parent": 7}, "/parent: must be an object, got 7"),
        (START | {"parent": {"scope": [-1]}}, "/parent/execution_id: must be there; /parent/sequence: must be there; "
            "/parent/scope: must be an array of indexes"),
        (START | {"parent": PARENT | {"index": 2**31}}, "/parent/index: must be an integer of 32 bits"),
        (START | {"synchronous": 1}, "/synchronous: must be true or false, got 1"),
        (START | {"parent": PARENT | {"index": -1}}, "parent: scope, sequence and index must not be negative"),
        (START | {"parent": PARENT | {"execution_id": "o"}}, r"parent\.execution_id: must be <state machine>:<name>"),
        (START | {"execution_id": "orders"}, "execution_id: must be <state machine>:<name>"),
        (START | {"execution_id": "orders:o#1"}, "execution_id: must be <state machine>:<name>"),
        (START | {"command_id": "x" * 1025}, "command_id: must have at most 1024 characters, got '1025 of them'"),
        (START | {"input": orjson.loads(b"[" * 201 + b"]" * 201)}, "input: must nest at most 200 deep"),
        ({"type": "FireTimer", "execution_id": "orders:o-1", "timer_id": "x"}, "timer_id: must be"),
        ({"type": "FailTask", "execution_id": "orders:o-2", "token": "orders:o-1##4"}, "must be orders:o-1, as its"),
    ],
)  # fmt: skip
def test_json_is_refused_by_field_and_rule(fields: Any, reason: str) -> None:
    with pytest.raises(DecodingFailed, match=reason):
        decode_json(fields)


def test_payloads_nest_as_deep_as_is_allowed() -> None:
    deepest = orjson.loads(b"[" * 200 + b"]" * 200)

    assert decode_json(START | {"input": deepest}) == StartExecution(execution_id="orders:o-1", input=deepest)


def test_a_json_bomb_is_refused() -> None:
    with pytest.raises(DecodingFailed, match="depth limit exceeded"):
        decode_json(b'{"type":"StartExecution","input":' + b"[" * 1_000_000)


def test_json_without_its_header_is_told_what_is_missing() -> None:
    with pytest.raises(DecodingFailed, match="JSON needs the header content-type: application/json"):
        decode_command(orjson.dumps(START))


@pytest.mark.parametrize(
    "command",
    [
        FailTask(execution_id="orders:o-1", token="orders:o-1##4", cause="\ud800"),
        CompleteTask(execution_id="orders:o-1", token="orders:o-1##4", output=2**70),
        StartExecution(execution_id="orders:o-1", input=object()),  # type: ignore[arg-type]  # what a worker may return
    ],
)
def test_what_cannot_be_written_is_the_callers_fault(command: AnyCommand) -> None:
    with pytest.raises(InvalidCommand, match=type(command).__name__):
        encode_command(command)
    with pytest.raises(InvalidCommand, match=type(command).__name__):
        encode_command_json(command)


def test_a_version_beyond_64_bits_is_the_callers_fault() -> None:
    with pytest.raises(InvalidCommand, match="does not fit a long"):
        encode_command(StartExecution(execution_id="orders:o-1", input=1, version=2**63))


# ---- hostile Avro

PREFIX = HEADER + write_string("orders:o-1") + b"\x00\x00\x00\x00"  # no labels
STARTED = PREFIX + b"\x00" + write_string("{}") + b"\x00" * 6  # up to the parent
HUGE = write_long(2**62)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "does not begin with the header"),
        (b"\xc3\x01\x00", "does not begin with the header"),
        (HEADER, "ends too early"),
        (encode_command(COMPLETE)[:-1], "not decode"),
        (encode_command(COMPLETE) + b"\x00", "1 bytes too many"),
        (HEADER + HUGE, "a length of 4611686018427387904 with 0 bytes left"),
        (HEADER + write_long(-5), "a length of -5"),
        (HEADER + b"\xff" * 11, "a number of more than ten bytes"),
        (HEADER + b"\xff" * 9 + b"\x7f", "a number that 64 bits do not hold"),
        (HEADER + b"\x04\xff\xfe", "a string is not UTF-8"),
        (PREFIX + b"\x28", "Command: no branch of that number"),
        (PREFIX + b"\x01", "Command: no branch of that number"),
        (HEADER + write_string("orders:o-1") + b"\x04", "Command.command_id: no branch of that number"),
        (PREFIX + b"\x00\x7e" + b"[" * 30, r"StartExecution\.input does not decode|ends too early"),
        (
            PREFIX + b"\x02" + write_string("orders:o-1##4") + write_string("{nope"),
            r"CompleteTask\.output does not decode",
        ),
        (STARTED + b"\x02" + write_string("a:b") + HUGE, "items with 0 bytes left"),
        (STARTED + b"\x02" + write_string("a:b") + write_long(-(2**62)) + HUGE, "a length of"),
        (STARTED + b"\x02" + write_string("a:b") + b"\x02" + write_long(2**40), "a number that 32 bits do not hold"),
        (STARTED + b"\x02" + write_string("a:b") + b"\x02\x01\x00\x00\x00\x00\x00", "must not be negative"),
    ],
)
def test_hostile_bytes_are_refused_and_allocate_nothing(value: bytes, reason: str) -> None:
    with pytest.raises(DecodingFailed):  # codecs are compiled at their first use
        decode_command(value)
    tracemalloc.start()
    try:
        with pytest.raises(DecodingFailed, match=reason):
            decode_command(value)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_the_start_of_those_bytes_is_a_command() -> None:
    """Else the cases above might fail for another reason than they name."""
    parent = Parent(execution_id="a:b", scope=(1,), sequence=0)
    value = STARTED + b"\x02" + write_string("a:b") + b"\x02\x02\x00\x00\x00\x00\x00"

    assert decode_command(STARTED + b"\x00\x00") == StartExecution(execution_id="orders:o-1", input={})
    assert decode_command(value) == StartExecution(execution_id="orders:o-1", input={}, parent=parent)


DECODERS: tuple[tuple[str, Callable[[bytes], object]], ...] = (
    ("Command", decode_command),
    ("Command", lambda value: decode_command(value, content_type=JSON)),
    ("EventBatch", decode_events),
    ("Timer", decode_timer),
    ("Task", decode_task),
    ("Definition", decode_definition_record),
    ("PartitionCount", decode_definition_record),
    ("Reply", decode_reply),
    ("Rejection", decode_rejection),
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(DECODERS), st.binary(max_size=200), st.booleans())
@example(DECODERS[2], b"\xff" * 50, True)
def test_any_bytes_decode_or_are_refused_and_nothing_else(
    decoder: tuple[str, Callable[[bytes], object]], value: bytes, headed: bool
) -> None:
    root, decode = decoder
    with suppress(DecodingFailed):
        decode(shipped_schemas().current[root].header + value if headed else value)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(commands_of(), st.data())
def test_damaged_commands_decode_or_are_refused_and_nothing_else(command: AnyCommand, data: st.DataObject) -> None:
    as_json = data.draw(st.booleans())
    value = bytearray(encode_command_json(command) if as_json else encode_command(command))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0 if as_json else 10, len(value)))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "drop"])):
            case "flip":
                value[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del value[at:]
            case "insert":
                value[at:at] = data.draw(st.binary(min_size=1, max_size=12))
            case "drop":
                del value[at : at + 3]
        if len(value) < 10:
            break
    with suppress(DecodingFailed):
        decode_command(bytes(value), content_type=JSON if as_json else None)
