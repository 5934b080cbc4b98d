"""Reads the events topic with nothing but the published schemas, fastavro and confluent-kafka, and says what it finds.

    python independent_reader.py BOOTSTRAP TOPIC SCHEMAS

A line of JSON for each execution: {"execution_id", "next": one past its last sequence, "ends": how many terminal events
it has, "faults": where its sequences break, "status", "output", "error", "cause"}.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from fastavro.schema import fingerprint, to_parsing_canonical_form

STATUSES = {
    "asl.ExecutionSucceeded": "SUCCEEDED",
    "asl.ExecutionFailed": "FAILED",
    "asl.ExecutionTimedOut": "TIMED_OUT",
    "asl.ExecutionAborted": "ABORTED",
}


def load_schemas(folder: Path) -> dict[bytes, Any]:
    schemas = {}
    for path in folder.glob("**/*.avsc"):
        tree = json.loads(path.read_text())
        crc = fingerprint(to_parsing_canonical_form(tree), "CRC-64-AVRO")
        schemas[bytes.fromhex(crc)] = fastavro.parse_schema(tree)
    return schemas


def read_committed(bootstrap: str, topic: str) -> list[bytes | None]:
    settings = {"bootstrap.servers": bootstrap, "group.id": "independent", "enable.auto.commit": False}
    consumer = Consumer({**settings, "isolation.level": "read_committed", "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    values, left = list[bytes | None](), set(partitions)
    while left:
        message = consumer.poll(10.0)
        assert message is not None, f"silence, partitions {left} have no end"
        error = message.error()
        if error is None:
            values.append(message.value())
        elif error.code() == KafkaError._PARTITION_EOF:
            left.discard(message.partition())
        else:
            raise KafkaException(error)
    consumer.close()
    return values


def main(bootstrap: str, topic: str, schemas: str) -> None:
    known, found = load_schemas(Path(schemas)), dict[str, dict[str, Any]]()
    for value in read_committed(bootstrap, topic):
        assert value is not None and value[:2] == b"\xc3\x01"
        schema = known[value[2:10]]
        batch: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), schema, None, return_record_name=True)
        new = {"execution_id": batch["execution_id"], "next": 0, "ends": 0, "faults": []}
        execution = found.setdefault(batch["execution_id"], new)
        for sequence, event in enumerate(batch["events"], batch["sequence"]):
            if sequence != execution["next"]:
                execution["faults"].append(f"{sequence} comes where {execution['next']} should")
            execution["next"] = sequence + 1
            name, fields = event["event"]
            if name in STATUSES:
                execution["ends"] += 1
                execution["status"] = STATUSES[name]
                outcome = {key: fields.get(key) for key in ("output", "error", "cause")}
                execution |= outcome | ({"output": json.loads(outcome["output"])} if outcome["output"] else {})
    for execution in found.values():
        print(json.dumps(execution))


if __name__ == "__main__":
    main(*sys.argv[1:])
