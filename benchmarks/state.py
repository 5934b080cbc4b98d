"""What it costs to write and read the state of an execution that waits: python -m benchmarks.state

Behind decision 0018. Avro and the floor get their values in the shape they like best, prepared beforehand; only the
engine's own way begins and ends with an Execution.
"""

from __future__ import annotations

import os
import statistics
import sys
import timeit
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import thread_time
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import orjson
from msgspec import Struct, structs

from processor import AnyEvent, Workflow, parse, recover, start
from processor.engine.encoding import decode_events, decode_execution, encode_events, encode_execution, execution_header
from processor.engine.encoding.generator import compile_codec
from processor.model.execution import Execution
from processor.model.json import Json

REPEATS = 15
MOST_TIMES_THE_FLOOR = 12.0
"""Writing and reading, each against MessagePack's own of the same arrays, that nobody has to make."""

Plain: TypeAlias = Any  # a benchmark may say so
Row: TypeAlias = "tuple[float, float, int]"
"""Microseconds to write, microseconds to read, bytes."""

ENGINE, FLOOR = "the engine's", "MessagePack of its arrays, the floor"


def main() -> int:
    draw = Random(1)
    value = order(draw)
    workflow = parse({
        "StartAt": "Take",
        "States": {
            "Take": {"Type": "Pass", "Assign": {"order.$": "$"}, "ResultPath": None, "Next": "Pay"},
            "Pay": {"Type": "Task", "Resource": "pay", "TimeoutSeconds": 600, "End": True},
        },
    })  # fmt: skip
    memory = held(workflow, 50_000, draw)  # first: later on there is room that something else has left
    execution, events = started(workflow, value, draw)
    print(f"Medians of {REPEATS} rounds, µs of CPU; Python {sys.version.split()[0]}, msgspec {msgspec.__version__}")
    print(f"\n### A task waits, {len(orjson.dumps(value))} bytes of variables\n")
    rows = of_engine(execution, runs=500) | of_others(execution, events)
    print_table(rows)

    mapped, _ = started(parse(distributed_map()), [{"id": f"{draw.getrandbits(64):x}"} for _ in range(4_000)], draw)
    print("\n### 1,000 children of a distributed Map over 4,000 items wait\n")
    print_table(of_engine(mapped, runs=5))

    print(f"\nHeld in memory: {memory:,.0f} bytes for each that waits, its id included")
    ratio = max(rows[ENGINE][way] / rows[FLOOR][way] for way in (0, 1))
    print(f"{ratio:.1f} times the floor, at most {MOST_TIMES_THE_FLOOR:.0f} must hold")
    return 0 if ratio <= MOST_TIMES_THE_FLOOR else 1


# ---- what is written


def order(draw: Random, *, lines: int = 7) -> Json:
    """An order as they are: half of it is names, the other half nobody can guess."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {
        "orderId": str(UUID(int=draw.getrandbits(128))),
        "customer": {"id": draw.randrange(10**6), "email": "".join(draw.choices(letters, k=9)) + "@example.com"},
        "lines": [
            {
                "sku": "".join(draw.choices(letters.upper(), k=8)),
                "quantity": draw.randrange(1, 9),
                "unitPrice": draw.randrange(100, 99_999) / 100,
                "reservation": f"{draw.getrandbits(128):032x}",
            }
            for _ in range(lines)
        ],
        "address": {"street": "".join(draw.choices(letters, k=20)), "zip": str(draw.randrange(10_000, 99_999))},
    }


def distributed_map() -> Json:
    return {
        "StartAt": "All",
        "States": {
            "All": {
                "Type": "Map",
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Pay",
                    "States": {"Pay": {"Type": "Task", "Resource": "pay", "End": True}},
                },
                "End": True,
            }
        },
    }


def started(workflow: Workflow, input: Json, draw: Random) -> tuple[Execution, tuple[AnyEvent, ...]]:
    id = f"order-fulfilment:{UUID(int=draw.getrandbits(128))}"
    outcome = start(workflow, input, execution_id=id, seed=draw.randbytes(16))
    assert outcome.execution is not None
    return outcome.execution, outcome.events


# ---- the ways


def of_engine(execution: Execution, *, runs: int) -> dict[str, Row]:
    data, workflow = encode_execution(execution), execution.workflow
    assert decode_execution(data, workflow) == execution
    body = execution_header(data).body
    plain = msgspec.msgpack.decode(body)
    return {
        ENGINE: (
            median(lambda: encode_execution(execution), runs),
            median(lambda: decode_execution(data, workflow), runs),
            len(data),
        ),
        FLOOR: (
            median(lambda: msgspec.msgpack.encode(plain), runs),
            median(lambda: msgspec.msgpack.decode(body), runs),
            len(body),
        ),
        "zlib, level 1, on top of the first": deflated(data, runs),
    }


def deflated(data: bytes, runs: int) -> Row:
    small = zlib.compress(data, 1)
    return median(lambda: zlib.compress(data, 1), runs), median(lambda: zlib.decompress(small), runs), len(small)


def of_others(execution: Execution, events: tuple[AnyEvent, ...]) -> dict[str, Row]:
    as_avro, schema, classes = avro(execution)
    codec = compile_codec(schema, classes)
    write, read = codec["write_Execution"], codec["read_Execution"]
    data: Plain = write(as_avro)
    records = encode_events(events)
    workflow = execution.workflow

    def fold() -> None:
        recover(workflow, [event for record in records for event in decode_events(record.value)])

    return {
        "Avro, the generated codec": (
            median(lambda: write(as_avro), 500),
            median(lambda: read(data, 0), 500),
            len(data),
        ),
        f"its {len(events)} events, read and folded": (
            median(lambda: encode_events(events), 500),
            median(fold, 500),
            sum(len(record.value) for record in records),
        ),
    }


def avro(execution: Execution) -> tuple[Struct, Plain, dict[str, type[Struct]]]:
    """A value, a schema and classes for the codec of the topics, as far as it goes: one scope, one kind of phase, no
    sharing, no sets of results."""
    (scope,) = execution.scopes.values()
    left_out = ("workflow", "scopes", "runnable", "children", "child")
    classes: dict[str, type[Struct]] = {}

    def record(value: Struct) -> tuple[Struct, Plain]:
        name = type(value).__name__
        values: dict[str, Plain] = {}
        fields: list[Plain] = []
        for field in structs.fields(value):
            if field.name in left_out:
                continue
            one = getattr(value, field.name)
            values[field.name], kind = record(one) if isinstance(one, Struct) else (one, avro_type(field.name, one))
            fields.append({"name": field.name, "type": kind})
        if name == "Execution":
            values["scope"], kind = record(scope)
            fields.append({"name": "scope", "type": kind})
        if name in classes:
            return classes[name](**values), name
        classes[name] = msgspec.defstruct(name, [(field, Any) for field in values], frozen=True, kw_only=True, gc=False)
        return classes[name](**values), {"type": "record", "name": name, "fields": fields}

    value, schema = record(execution)
    return value, schema, classes


def avro_type(name: str, value: object) -> Plain:
    text = {"type": "string", "contentType": "application/json"}
    if name == "variables":
        return {"type": "map", "values": text}
    if name in ("value", "input"):
        return text
    match value:
        case None:
            return ["null", "long"]
        case bool():
            return "boolean"
        case int():
            return "long"
        case bytes():
            return "bytes"
        case tuple():
            return {"type": "array", "items": "long"}
        case _:
            return "string"


# ---- figures


def median(run: Callable[[], object], runs: int) -> float:
    """Microseconds of one run. Of CPU: the machine may be busy with something else."""
    run()
    return statistics.median(timeit.repeat(run, number=runs, repeat=REPEATS, timer=thread_time)) / runs * 1e6


def held(workflow: Workflow, count: int, draw: Random) -> float:
    """Bytes by which the process grows, as the operating system sees it."""
    idle: dict[str, bytes] = {}
    before = 0
    for number in range(count + 1_000):
        if number == 1_000:  # from here on nothing else grows
            before = resident_bytes()
        execution, _ = started(workflow, order(draw), draw)
        idle[execution.execution_id] = encode_execution(execution)
    return (resident_bytes() - before) / count


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def print_table(rows: dict[str, Row]) -> None:
    floor_write, floor_read, _ = rows[FLOOR]
    print("| way | write | × floor | read | × floor | bytes |\n|---|---|---|---|---|---|")
    for way, (write, read, size) in rows.items():
        print(f"| {way} | {write:.1f} | {write / floor_write:.1f} | {read:.1f} | {read / floor_read:.1f} | {size:,} |")


if __name__ == "__main__":
    sys.exit(main())
