"""What it costs to write and read the 22 events of a chain of ten Pass states: python -m benchmarks.encoding

Behind decision 0001. Every other way gets its values in the shape it likes best, prepared beforehand; the generated
codec and the rows "from Structs" and "to Structs" begin and end with the engine's own events, JSON values included.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import timeit
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import msgspec
import orjson

from processor.engine.encoding import decode_events, encode_events, shipped_schemas
from processor.model import events as e
from processor.model.ids import Millis
from processor.model.json import Json

STATES = 10
REPEATS = 15
RUNS = 400
PAYLOAD: Json = {"customer": "c-1029", "note": "x" * 170}  # 200 bytes of JSON text

Plain = Any  # what fastavro takes and gives; a benchmark may say Any


def main() -> None:
    payloads: dict[str, Json] = {"200 bytes of JSON handed on": None, "a new 200 bytes of JSON per state": PAYLOAD}
    print(
        f"22 events, medians of {REPEATS} times {RUNS} runs, µs; bytes without the header; "
        f"Python {sys.version.split()[0]}, fastavro {fastavro.__version__}, msgspec {msgspec.__version__}"
    )
    for title, new in payloads.items():
        chain = pass_chain(new)
        text = json_text_cost(chain)
        print(f"\n### {title} (JSON text alone: {text[0]:.1f} written, {text[1]:.1f} read)\n")
        print_table(measure(chain))


def pass_chain(new: Json) -> tuple[e.AnyEvent, ...]:
    """The events of one StartExecution; `new`: what each state puts in place of its input."""
    envelope: dict[str, Any] = {
        "execution_id": "order-fulfilment:7b6a1f0e-2f0c-4d4e-9b1d-3a5f0e9c8d7b",
        "time": Millis(1_764_000_000_123),
        "caused_by": e.Cause(command_id="0f3e7a52-7c1d-4b0e-9f57-1f5a3a1d7c11", issuer="api", offset=123_456),
    }
    started = e.ExecutionStarted(
        **envelope, sequence=0, state_machine="order-fulfilment", revision="0123456789abcdef",
        definition_hash=bytes(32), input=PAYLOAD, seed=bytes(16), first="Step1",
    )  # fmt: skip
    events: list[e.AnyEvent] = [started]
    for number in range(1, STATES + 1):
        state, following = f"Step{number}", f"Step{number + 1}" if number < STATES else None
        output: dict[str, Any] = {"output_of": "VALUE", "output": new} if new else {"output_of": "INPUT"}
        events.append(e.StateEntered(**envelope, sequence=len(events), state=state, type="Pass"))
        events.append(e.StateExited(**envelope, sequence=len(events), state=state, next=following, **output))
    events.append(e.ExecutionSucceeded(**envelope, sequence=len(events), output=PAYLOAD))
    return tuple(events)


def json_text_cost(chain: Sequence[e.AnyEvent]) -> tuple[float, float]:
    texts = [orjson.dumps(event.input) for event in chain if isinstance(event, e.ExecutionStarted)]
    texts += [orjson.dumps(event.output) for event in chain if isinstance(event, e.StateExited) and event.output]
    texts += [orjson.dumps(event.output) for event in chain if isinstance(event, e.ExecutionSucceeded)]
    values = [orjson.loads(text) for text in texts]
    return median(lambda: [orjson.dumps(value) for value in values]), median(lambda: [orjson.loads(t) for t in texts])


def measure(chain: tuple[e.AnyEvent, ...]) -> dict[str, tuple[float, float, int]]:
    """Return microseconds to write, microseconds to read and the bytes, by way."""
    schema = fastavro.parse_schema(schema_tree())
    (batch,) = encode_events(chain)
    avro = batch.value[10:]
    tagged = avro_read(schema, avro, return_record_name=True)
    assert avro_write(schema, tagged) == avro, "the oracle and the generated writer disagree"
    untagged = avro_read(schema, avro)
    flat_schema, flat = flattened(tagged)
    flat_bytes = avro_write(flat_schema, flat)
    packed, unpack = message_pack(tagged)
    return {
        "fastavro, tagged tuples": (
            median(lambda: avro_write(schema, tagged)),
            median(lambda: avro_read(schema, avro, return_record_name=True)),
            len(avro),
        ),
        "… from Structs, to Structs": (
            median(lambda: avro_write(schema, plain(chain))),
            median(lambda: to_structs(avro_read(schema, avro, return_record_name=True))),
            len(avro),
        ),
        "fastavro, untagged dicts": (
            median(lambda: avro_write(schema, untagged)),
            median(lambda: avro_read(schema, avro)),
            len(avro),
        ),
        "fastavro, flat record, fields as JSON": (
            median(lambda: avro_write(flat_schema, flat)),
            median(lambda: avro_read(flat_schema, flat_bytes)),
            len(flat_bytes),
        ),
        "generated (from Structs, to Structs)": (
            median(lambda: encode_events(chain)),
            median(lambda: decode_events(batch.value)),
            len(avro),
        ),
        "msgspec msgpack, the floor": (
            median(lambda: msgspec.msgpack.encode(packed)),
            median(lambda: unpack(msgspec.msgpack.encode(packed))) - median(lambda: msgspec.msgpack.encode(packed)),
            len(msgspec.msgpack.encode(packed)),
        ),
    }


# ---- the other ways


def schema_tree() -> Plain:
    """Without logical types: nobody needs a datetime here, and making them would count against fastavro."""
    text = json.dumps(shipped_schemas().current["EventBatch"].tree)
    return json.loads(text.replace('"logicalType": "timestamp-millis"', '"unit": "ms"'))


def avro_write(schema: Plain, value: Plain) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def avro_read(schema: Plain, value: bytes, **options: Any) -> Plain:
    return fastavro.schemaless_reader(io.BytesIO(value), schema, None, **options)


def plain(chain: Sequence[e.AnyEvent]) -> Plain:
    """What an encoder by fastavro would hand over, written by hand for these four types."""
    first = chain[0]
    return {
        "execution_id": first.execution_id,
        "time": first.time,
        "cause": msgspec.structs.asdict(first.caused_by),
        "sequence": first.sequence,
        "events": [{"scope": event.scope, "state": event.state, "event": plain_event(event)} for event in chain],
    }


def plain_event(event: e.AnyEvent) -> Plain:
    match event:
        case e.StateEntered():
            return "asl.StateEntered", {"type": event.type}
        case e.StateExited():
            text = orjson.dumps(event.output).decode() if event.output_of == "VALUE" else None
            return "asl.StateExited", {
                "output_of": event.output_of, "output": text, "assigned": None,
                "next": event.next, "catcher": event.catcher,
            }  # fmt: skip
        case e.ExecutionStarted():
            fields = msgspec.structs.asdict(event)
            return "asl.ExecutionStarted", fields | {"input": orjson.dumps(event.input).decode()}
        case _:
            assert isinstance(event, e.ExecutionSucceeded)
            return "asl.ExecutionSucceeded", {"output": orjson.dumps(event.output).decode()}


def to_structs(batch: Plain) -> tuple[e.Event, ...]:
    cause = e.Cause(**batch["cause"])
    execution_id, time, sequence = batch["execution_id"], batch["time"], batch["sequence"]
    events = []
    for number, item in enumerate(batch["events"], sequence):
        name, fields = item["event"]
        for payload in ("input", "output"):
            if fields.get(payload) is not None:
                fields[payload] = orjson.loads(fields[payload])
        events.append(
            getattr(e, name[4:])(
                execution_id=execution_id, time=time, caused_by=cause, sequence=number,
                scope=tuple(item["scope"]), state=item["state"], **fields,
            )
        )  # fmt: skip
    return tuple(events)


def flattened(tagged: Plain) -> tuple[Plain, Plain]:
    """Events as {scope, state, type, data}, the fields as JSON text within."""
    schema = schema_tree()
    fields = schema["fields"][-1]["type"]["items"]["fields"]
    fields[2:] = [{"name": "type", "type": "string"}, {"name": "data", "type": "string"}]
    events = [
        {"scope": item["scope"], "state": item["state"], "type": item["event"][0], "data": as_json(item["event"][1])}
        for item in tagged["events"]
    ]
    return fastavro.parse_schema(schema), tagged | {"events": events}


def as_json(fields: Plain) -> str:
    return orjson.dumps(fields, default=bytes.hex).decode()


def message_pack(tagged: Plain) -> tuple[Plain, Callable[[bytes], Plain]]:
    """Tagged Structs written as arrays, values as they are: as little as can be done."""
    classes: dict[str, Any] = {}
    events = []
    for item in tagged["events"]:
        name, fields = item["event"]
        if name not in classes:
            attributes = [(attribute, Any) for attribute in ("scope", "state", *fields)]
            classes[name] = msgspec.defstruct(name[4:], attributes, tag_field="record", array_like=True)
        events.append(classes[name](item["scope"], item["state"], *fields.values()))
    union: Any = classes["asl.StateEntered"]
    for other in classes.values():
        union = union | other
    envelope = (tagged["execution_id"], tagged["time"], tagged["cause"], tagged["sequence"])
    decoder = msgspec.msgpack.Decoder(tuple[str, int, Any, int, list[union]])
    return (*envelope, events), decoder.decode


# ---- figures


def median(run: Callable[[], object]) -> float:
    """Microseconds of one run."""
    run()
    return statistics.median(timeit.repeat(run, number=RUNS, repeat=REPEATS)) / RUNS * 1e6


def print_table(rows: dict[str, tuple[float, float, int]]) -> None:
    (floor_write, floor_read, _) = rows["msgspec msgpack, the floor"]
    print("| way | write | × floor | read | × floor | bytes |\n|---|---|---|---|---|---|")
    for way, (write, read, size) in rows.items():
        ratios = f"{write:.1f} | {write / floor_write:.1f} | {read:.1f} | {read / floor_read:.1f}"
        print(f"| {way} | {ratios} | {size} |")


if __name__ == "__main__":
    main()
