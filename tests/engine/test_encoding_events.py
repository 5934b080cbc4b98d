"""Batches of events: fastavro defines what their bytes are, the generated codec must write and read the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from processor.engine.encoding import BATCH_BYTES, BatchHead, decode_events, encode_events, skim_events
from processor.engine.encoding.codec import STRUCTS
from processor.engine.encoding.generator import compile_codec
from processor.engine.encoding.wire import Names, write_string
from processor.errors import DecodingFailed, UnknownSchema
from processor.model import events as e
from processor.model.ids import Millis
from tests.engine.encoding_values import batches, oracle_read, oracle_schema, oracle_write, plain_batch, schema_tree

ORACLE = oracle_schema("event_batch")
CAUSE = e.Cause(command_id="c-1", issuer="test", offset=7)
ENVELOPE: dict[str, Any] = {"execution_id": "orders:o-1", "time": Millis(1_764_000_000_123), "caused_by": CAUSE}

PAIR = (
    e.StateExited(
        **ENVELOPE, sequence=41, scope=(12, 1), state="Pay", output_of="VALUE", output={"paid": None},
        assigned={"total": 9.5}, next="Ship",
    ),
    e.StateEntered(**ENVELOPE, sequence=42, scope=(12, 1), state="Ship", type="Task"),
)  # fmt: skip
# Frozen: what stands on topics today must be read for ever.
PAIR_HEX = (
    "c301" "03bc6933590568db"  # marker, fingerprint
    "146f72646572733a6f2d31" "f6a1bfe9d666" "06632d31" "00" "0874657374" "020e"  # execution id, time, cause
    "52" "04"  # sequence 41; two events
    "04180200" "06506179" "12" "00" "021a7b2270616964223a6e756c6c7d"  # [12, 1] Pay: StateExited, VALUE, its output
    "02020a746f74616c06392e3500" "020853686970" "00"  # assigned, next, no catcher
    "04180200" "0853686970" "10" "00"  # [12, 1] Ship: StateEntered, Task
    "00"
)  # fmt: skip


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(batches())
def test_batches_are_written_byte_for_byte_as_fastavro_writes_them_and_read_back(batch: tuple[e.AnyEvent, ...]) -> None:
    (encoded,) = encode_events(batch)

    assert encoded.value[10:] == oracle_write(ORACLE, plain_batch(batch))
    assert decode_events(encoded.value) == batch
    first = batch[0]
    assert skim_events(encoded.value) == BatchHead(
        execution_id=first.execution_id,
        sequence=first.sequence,
        count=len(batch),
        command_offset=first.caused_by.offset,
    )


def test_every_class_of_event_is_in_the_union_and_none_else() -> None:
    members = [member.__name__ for member in e.AnyEvent.__args__]
    union = schema_tree("event_batch")["fields"][-1]["type"]["items"]["fields"][-1]["type"]

    assert [record["name"] for record in union] == members


def test_a_record_has_its_key_and_names_the_types_within_each_once() -> None:
    encoded = encode_events((*PAIR, e.StateAborted(**ENVELOPE, sequence=43), e.StateAborted(**ENVELOPE, sequence=44)))

    assert [(b.key, b.headers, b.sequence, b.count) for b in encoded] == [
        (b"orders:o-1#41", (("event-types", b"StateExited,StateEntered,StateAborted"),), 41, 4)
    ]


def test_a_batch_closes_before_it_passes_256_kib_and_a_larger_event_stands_alone() -> None:
    sizes = (100_000, 100_000, 100_000, 300_000, 1)
    batch = tuple(
        e.TaskSucceeded(**ENVELOPE, sequence=number, state="Pay", output="x" * size)
        for number, size in enumerate(sizes)
    )

    encoded = encode_events(batch)

    assert [(b.sequence, b.count) for b in encoded] == [(0, 2), (2, 1), (3, 1), (4, 1)]
    assert [len(b.value) <= BATCH_BYTES for b in encoded] == [True, True, False, True]
    assert tuple(event for b in encoded for event in decode_events(b.value)) == batch


def test_a_batch_of_exactly_256_kib_is_one_record() -> None:
    def with_last(size: int) -> tuple[e.AnyEvent, ...]:
        outputs = ("x" * 130_000, "y" * size)
        return tuple(e.TaskSucceeded(**ENVELOPE, sequence=n, output=output) for n, output in enumerate(outputs))

    short = encode_events(with_last(100_000))[0].value
    fits = 100_000 + BATCH_BYTES - len(short) - 2  # the count may take two bytes more than it does here

    assert [b.count for b in encode_events(with_last(fits))] == [2]
    assert [b.count for b in encode_events(with_last(fits + 1))] == [1, 1]


def test_no_events_make_no_record() -> None:
    assert encode_events(()) == ()


@pytest.mark.parametrize(
    "other",
    [
        {"sequence": 44},
        {"execution_id": "orders:o-2"},
        {"time": Millis(5)},
        {"caused_by": e.Cause(command_id="c-2", issuer="test", offset=8)},
    ],
)
def test_events_that_do_not_belong_together_are_refused(other: dict[str, Any]) -> None:
    stray = e.StateAborted(**(ENVELOPE | {"sequence": 43} | other))

    with pytest.raises(ValueError, match="does not follow 41"):
        encode_events((*PAIR, stray))


@pytest.mark.parametrize(
    "event",
    [
        e.MapStarted(**ENVELOPE, sequence=0, length=2**31, first="A", max_concurrency=1),
        e.WaitStarted(**ENVELOPE, sequence=0, due=Millis(2**63)),
        e.ExecutionRedriven(**ENVELOPE, sequence=0, redrive_count=1, revision="r", definition_hash=b"short"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_when_written(event: e.AnyEvent) -> None:
    with pytest.raises(ValueError, match=r"fit|due"):
        encode_events((event,))


def test_the_bytes_of_a_batch_never_change() -> None:
    assert encode_events(PAIR)[0].value.hex() == PAIR_HEX
    assert decode_events(bytes.fromhex(PAIR_HEX)) == PAIR


def test_the_bytes_of_a_batch_mean_the_same_to_fastavro() -> None:
    assert oracle_read(ORACLE, bytes.fromhex(PAIR_HEX)[10:]) == plain_batch(PAIR) | {
        "events": [item | {"scope": [12, 1]} for item in plain_batch(PAIR)["events"]]
    }


def test_blocks_of_other_writers_are_read_too() -> None:
    """Avro lets a writer split arrays, and give a block's size in bytes with a negative count."""
    value = encode_events(PAIR)[0].value
    head, count, rest = value.partition(b"\x04\x04\x18\x02\x00\x06Pay")  # two events; the scope of two
    first, second = rest[:-1].split(b"\x04\x18\x02\x00\x08Ship")
    bodies = [b"\x03\x06\x18\x02\x00\x06Pay" + first, b"\x04\x18\x02\x00\x08Ship" + second]
    assert count and bodies[0][:2] == b"\x03\x06"
    sized = b"\x01" + bytes([2 * len(bodies[0])]) + bodies[0].replace(b"\x03\x06\x18\x02", b"\x03\x04\x18\x02", 1)

    assert decode_events(head + sized + b"\x02" + bodies[1] + b"\x00") == PAIR


def test_a_payload_that_is_not_json_is_refused_by_name() -> None:
    value = encode_events(PAIR)[0].value.replace(b'{"paid":null}', b'{"paid":nul,}')

    with pytest.raises(DecodingFailed, match=r"StateExited\.output does not decode"):
        decode_events(value)


READERS = pytest.mark.parametrize("read", [decode_events, skim_events])


@READERS
def test_a_newer_schema_is_named_and_never_guessed(read: Callable[[bytes], object]) -> None:
    value = encode_events(PAIR)[0].value

    with pytest.raises(UnknownSchema) as caught:
        read(value[:2] + bytes.fromhex("0123456789abcdef") + value[10:])

    assert caught.value.fingerprint == "0123456789abcdef"


@READERS
def test_a_value_of_another_topic_is_refused(read: Callable[[bytes], object]) -> None:
    from processor.engine.encoding import encode_definition_record
    from processor.model.records import PartitionCount

    with pytest.raises(DecodingFailed, match="EventBatch does not decode: holds a PartitionCount"):
        read(encode_definition_record(PartitionCount(partitions=6)))


@pytest.mark.parametrize("length", range(10, 43))
def test_an_envelope_that_is_cut_off_is_refused(length: int) -> None:
    value = encode_events(PAIR)[0].value

    assert skim_events(value[:43]) == BatchHead(execution_id="orders:o-1", sequence=41, count=2, command_offset=7)
    with pytest.raises(DecodingFailed):
        skim_events(value[:length])


def test_a_schema_that_does_not_fit_the_structs_does_not_compile() -> None:
    """The mistakes of whoever adds a field: found when the codec is made, not when an event is lost."""
    without_due = schema_tree("timer")
    without_due["fields"] = [field for field in without_due["fields"] if field["name"] != "due"]
    with pytest.raises(TypeError, match=r"Timer: .* needs \['due'\]"):
        compile_codec(without_due, STRUCTS)

    unknown_field = schema_tree("timer")
    unknown_field["fields"].append({"name": "colour", "type": "string"})
    with pytest.raises(TypeError, match="colour"):
        compile_codec(unknown_field, STRUCTS)

    misplaced = schema_tree("command")
    misplaced["fields"].append({"name": "priority", "type": "int"})
    with pytest.raises(TypeError, match="Command: priority must stand before"):
        compile_codec(misplaced, STRUCTS)

    for unruly in ("float", {"type": "array", "items": "float"}):
        retyped = schema_tree("timer")
        retyped["fields"][-1]["type"] = unruly
        with pytest.raises(TypeError, match="no rule for"):
            compile_codec(retyped, STRUCTS)


def test_the_table_of_names_forgets_rather_than_grows() -> None:
    names = Names()

    assert [names[f"state {number}"] for number in range(10_001)][-1] == write_string("state 10000")
    assert dict(names) == {"state 10000": write_string("state 10000")}
