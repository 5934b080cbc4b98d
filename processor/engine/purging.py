"""Removing an ended execution from the log: a tombstone for each record of events, snapshots and closed that it has.

A batch's key ends in the sequence of its first event. Which those were nobody has kept: so each event gets a tombstone,
and those of most executions go in one transaction. A longer purge takes several, each of which writes down in
`closed` how far it has come and sends the command again, for the next one; the last removes the record of closed.
Tombstones go from the first event on, so that whatever compaction leaves meanwhile has its tombstone behind it.
"""

from __future__ import annotations

from msgspec.structs import replace

from processor.engine.encoding import encode_closed, encode_command
from processor.engine.ports import Message
from processor.engine.staging import Staged
from processor.engine.topics import TopicNames
from processor.interpreter.refused import Refused
from processor.model.commands import PurgeExecution
from processor.model.ids import batch_key, snapshot_key
from processor.model.records import ClosedExecution

PURGED_AT_ONCE = 5_000
"""How many events of an execution one transaction removes: few executions have more."""


def purge(
    command: PurgeExecution, closed: ClosedExecution, *, chunks: int, names: TopicNames, partition: int
) -> Staged | Refused:
    """Return what a purge stages; `chunks`: how many its snapshot has that still stands."""
    id = command.execution_id
    if command.last_sequence != closed.last_sequence:
        detail = f"{id} has ended with event {closed.last_sequence}, not {command.last_sequence}"
        return Refused("ExecutionNotPurgeable", detail)
    if command.ended_at not in (None, closed.ended_at):
        detail = f"{id} has ended at {closed.ended_at}, not {command.ended_at}"
        return Refused("ExecutionNotPurgeable", detail)
    total = closed.last_sequence + 1
    done = min(closed.purged + PURGED_AT_ONCE, total)
    keys = [(names.events, batch_key(id, sequence)) for sequence in range(closed.purged, done)]
    keys += [(names.snapshots, snapshot_key(id, chunk)) for chunk in range(chunks)]
    staged = Staged(purged=id, messages=[_message(topic, key, None, partition) for topic, key in keys])
    if done == total:
        staged.messages.append(_message(names.closed, id, None, partition))
        staged.counts = ("purged",)
        return staged
    # Without its state it can no longer be redriven: its history has lost its beginning.
    staged.closed = encode_closed(replace(closed, purged=done, state=None))
    again = encode_command(replace(command, ended_at=closed.ended_at))
    staged.messages += [
        _message(names.closed, id, staged.closed, partition),
        _message(names.commands, id, again, partition),
    ]
    return staged


def _message(topic: str, key: str, value: bytes | None, partition: int) -> Message:
    return Message(topic=topic, key=key.encode(), value=value, partition=partition)
