"""A member of a SQLite log in a process of its own, for tests that kill and stop it.

write PATH           commit transaction after transaction, number n standing in four places; a line before each
hold PATH SECONDS    take everything, say "ready", commit once at a line from stdin, say how that went and what
                     the next poll brought
create PATH          make all topics and send one command
"""

from __future__ import annotations

import sys
from pathlib import Path

from processor.adapters.sqlite import SqliteLog
from processor.engine.ports import AllRestored, Inbox, Message, PartitionTaken, RecordsRestored, Transaction
from processor.engine.topics import topic_specs

PARTITIONS = 2


def main(mode: str, path: Path, *arguments: str) -> None:
    match mode:
        case "write":
            write(SqliteLog(path, lease_seconds=600))
        case "hold":
            hold(SqliteLog(path, lease_seconds=float(arguments[0])))
        case "create":
            create(SqliteLog(path))


def write(log: SqliteLog) -> None:
    inbox = log.inbox(slot="0")
    number = take_all(inbox)
    while True:
        print(number, flush=True)
        messages = [
            Message(topic=log.names.events, key=b"m:1#%d" % number, value=bytes(3_000), partition=0),
            Message(topic=log.names.events, key=b"m:2#%d" % number, value=bytes(3_000), partition=1),
            Message(topic=log.names.tasks, key=b"m:1##%d" % number, value=b"task", partition=0),
            Message(topic=log.names.tasks, key=b"m:1##%d" % (number - 1), value=None, partition=0),
        ]
        assert inbox.commit(Transaction(offsets={0: number + 1, 1: number + 1}, messages=tuple(messages)))
        number += 1


def hold(log: SqliteLog) -> None:
    inbox = log.inbox(slot="0")
    take_all(inbox)
    print("ready", flush=True)
    sys.stdin.readline()
    late = Message(topic=log.names.events, key=b"late", value=b"late", partition=0)
    print(inbox.commit(Transaction(offsets={0: 1}, messages=(late,))) is not None, flush=True)
    print(" ".join(type(delivery).__name__ for delivery in inbox.poll(timeout_seconds=0, max_commands=1)), flush=True)


def create(log: SqliteLog) -> None:
    log.create_topics(topic_specs(log.names, partitions=PARTITIONS))
    outbox = log.outbox()
    outbox.send([Message(topic=log.names.commands, key=b"m:1", value=b"v", partition=0)])


def take_all(inbox: Inbox) -> int:
    """Take and open every partition; return how many events the first one held."""
    assignments: dict[int, int] = {}
    opened: set[int] = set()
    events = 0
    while len(opened) < PARTITIONS:
        for delivery in inbox.poll(timeout_seconds=1, max_commands=1):
            match delivery:
                case PartitionTaken(partition=partition, assignment=assignment):
                    assignments[partition] = assignment
                case AllRestored(partition=partition, of="snapshots"):
                    inbox.restore_events(partition=partition, assignment=assignments[partition], start=0)
                case RecordsRestored(partition=0, of="events", records=records):
                    events += len(records)
                case AllRestored(partition=partition, of="events"):
                    inbox.open(partition=partition, assignment=assignments[partition], fallback_offset=0)
                    opened.add(partition)
    return events


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
