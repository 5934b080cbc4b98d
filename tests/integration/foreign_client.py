"""Clients that know only the published schemas: they import fastavro and confluent-kafka, never the project.

python foreign_client.py start BOOTSTRAP PREFIX SCHEMAS EXECUTION_ID INPUT    as a console producer would, in JSON
python foreign_client.py work BOOTSTRAP PREFIX SCHEMAS OUTPUT     complete the first task seen in events, in Avro
python foreign_client.py decode BOOTSTRAP PREFIX SCHEMAS          decode every record of every topic; print how many
"""

import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from fastavro.schema import fingerprint, to_parsing_canonical_form

SILENCE_SECONDS = 30.0


class Schemas:
    """Avro's single-object encoding over the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._by_fingerprint: dict[bytes, tuple[str, Any]] = {}
        self._by_name: dict[str, tuple[bytes, Any]] = {}
        for path in folder.glob("**/*.avsc"):
            tree = json.loads(path.read_text())
            crc = bytes.fromhex(fingerprint(to_parsing_canonical_form(tree), "CRC-64-AVRO"))
            parsed = fastavro.parse_schema(tree)
            self._by_fingerprint[crc] = tree["name"], parsed
            self._by_name[tree["name"]] = crc, parsed

    def decode(self, value: bytes) -> tuple[str, Any]:
        assert value[:2] == b"\xc3\x01"
        name, schema = self._by_fingerprint[value[2:10]]
        body = io.BytesIO(value[10:])
        decoded = fastavro.schemaless_reader(body, schema, None, return_record_name=True)
        assert body.read() == b""
        return name, decoded

    def encode(self, name: str, value: Any) -> bytes:
        crc, schema = self._by_name[name]
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema, value)
        return b"\xc3\x01" + crc + body.getvalue()


def consume(bootstrap: str, topics: list[str], *, forever: bool) -> Iterator[Message]:
    """Yield committed records from the beginning, up to the end or on and on."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "foreign", "enable.auto.commit": False}
    consumer = Consumer({**settings, "isolation.level": "read_committed", "enable.partition.eof": True})
    places = {(t, number) for t in topics for number in consumer.list_topics(t, 10).topics[t].partitions}
    consumer.assign([TopicPartition(topic, number, 0) for topic, number in places])
    while places:
        message = consumer.poll(SILENCE_SECONDS)
        assert message is not None, "silence"
        error = message.error()
        if error is None:
            yield message
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        elif not forever:
            places.discard((message.topic() or "", message.partition() or 0))
    consumer.close()


def send(bootstrap: str, topic: str, key: str, value: bytes, headers: list[tuple[str, str | bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    producer.produce(topic, value, key, headers=headers)
    assert producer.flush(SILENCE_SECONDS) == 0


def start(bootstrap: str, prefix: str, execution_id: str, input: str) -> None:
    command = {"type": "StartExecution", "execution_id": execution_id, "input": json.loads(input)}
    headers: list[tuple[str, str | bytes | None]] = [("content-type", "application/json")]
    send(bootstrap, f"{prefix}commands", execution_id, json.dumps(command).encode(), headers)


def work(bootstrap: str, prefix: str, schemas: Schemas, output: str) -> None:
    for message in consume(bootstrap, [f"{prefix}events"], forever=True):
        _, batch = schemas.decode(message.value() or b"")
        for sequence, event in enumerate(batch["events"], batch["sequence"]):
            name, fields = event["event"]
            if name == "asl.TaskScheduled":
                token = f"{batch['execution_id']}#{'.'.join(map(str, event['scope']))}#{sequence}"
                answer = ("asl.CompleteTask", {"token": token, "output": output})
                command = {"execution_id": batch["execution_id"], "issuer": "foreign", "command": answer}
                send(bootstrap, f"{prefix}commands", batch["execution_id"], schemas.encode("Command", command), [])
                print(json.dumps({"token": token, "arguments": json.loads(fields["arguments"])}))
            elif name == "asl.ExecutionSucceeded":
                print(fields["output"])
                return


def decode(bootstrap: str, prefix: str, schemas: Schemas) -> None:
    known = ("commands", "events", "timers", "tasks", "definitions", "rejections", "replies")
    seen: Counter[str] = Counter()
    for message in consume(bootstrap, [prefix + name for name in known], forever=False):
        value, headers = message.value(), dict(message.headers() or [])
        if value is None:
            seen["tombstone"] += 1
        elif headers.get("content-type") == b"application/json":
            seen[f"JSON {json.loads(value)['type']}"] += 1
        else:
            name, decoded = schemas.decode(value)
            seen[name] += 1
            if name == "EventBatch":
                types = list(dict.fromkeys(event["event"][0].removeprefix("asl.") for event in decoded["events"]))
                assert headers["event-types"] == ",".join(types).encode()
    print(json.dumps(seen))


def main(what: str, bootstrap: str, prefix: str, folder: str, *arguments: str) -> None:
    schemas = Schemas(Path(folder))
    match what:
        case "start":
            start(bootstrap, prefix, *arguments)
        case "work":
            work(bootstrap, prefix, schemas, *arguments)
        case "decode":
            decode(bootstrap, prefix, schemas)
    assert "processor" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
