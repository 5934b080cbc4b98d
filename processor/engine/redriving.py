"""Reopening an ended execution: the event, from what its record of closed has kept, and what then stands for it."""

from __future__ import annotations

import logging

from msgspec import Struct

from processor.engine.definitions import Definitions
from processor.engine.encoding import (
    STATE_FORMAT,
    decode_execution,
    encode_execution,
    encode_snapshot_record,
    execution_header,
)
from processor.engine.ports import Message
from processor.engine.snapshots import snapshot_records
from processor.engine.staging import Staged
from processor.engine.topics import TopicNames
from processor.errors import DecodingFailed, InvalidDefinition
from processor.interpreter.decide import decide
from processor.interpreter.evolve import evolve
from processor.interpreter.refused import Refused
from processor.model import commands as c
from processor.model import events as e
from processor.model.execution import Execution
from processor.model.ids import Millis, snapshot_key
from processor.model.records import ClosedExecution

log = logging.getLogger(__name__)


class Reopening(Struct, frozen=True, kw_only=True):
    """An execution as it ended, the same encoded, and the event that reopens it."""

    before: Execution
    state: bytes
    event: e.ExecutionRedriven


def reopening(
    command: c.RedriveExecution,
    held: Execution | ClosedExecution,
    *,
    definitions: Definitions,
    now: Millis,
    cause: e.Cause,
) -> Reopening | Refused:
    """Return how an ended execution is reopened, or why it is not. Its state was kept for this alone, and nobody has
    looked into it before: whatever it holds comes to a refusal, for it has ended, and can stay so."""
    state = encode_execution(held) if isinstance(held, Execution) else held.state
    if state is None or (isinstance(held, ClosedExecution) and held.format != STATE_FORMAT):
        if isinstance(held, ClosedExecution) and held.purged:
            return _not_redrivable(held, "it is being purged")
        return _not_redrivable(held, None if held.status == "SUCCEEDED" else _NOT_KEPT)
    try:
        header = execution_header(state)
    except DecodingFailed as fault:
        return _not_redrivable(held, str(fault))
    revision = header.revision if command.revision is None else command.revision
    try:
        workflow = definitions.to_start(header.state_machine, revision)
    except InvalidDefinition as fault:
        return Refused("InvalidDefinition", str(fault)[:1000])
    if workflow is None:
        return Refused("DefinitionNotFound", f"no revision {revision} of {header.state_machine}")
    try:
        before = decode_execution(state, workflow)
        decision = decide(before, command, now=max(now, before.time), cause=cause)
        if isinstance(decision, Refused):
            return decision
        assert isinstance(decision, e.ExecutionRedriven)
        evolve(before, decision)  # what nobody could fold must not be written; nor can what has ended be quarantined
    except DecodingFailed as fault:
        return _not_redrivable(held, str(fault))
    except Exception as fault:  # a bug of ours, or damage that decodes, must stop one command, not the partition
        log.exception("redrive_failed", extra={"execution_id": command.execution_id})
        return _not_redrivable(held, f"{type(fault).__name__}: {fault}")
    return Reopening(before=before, state=state, event=decision)


_NOT_KEPT = "its state was too large to be kept, or another release kept it"


def _not_redrivable(held: Execution | ClosedExecution, why: str | None) -> Refused:
    detail = f"Execution is {held.status} and cannot be redriven"
    return Refused("ExecutionNotRedrivable", detail if why is None else f"{detail}: {why}")


def left_open(
    id: str, state: bytes, *, standing: int, names: TopicNames, partition: int, max_record_bytes: int
) -> Staged:
    """Return what goes with the event that reopens an execution: a snapshot of it as it was, for what was before may be
    covered by nothing else, and the end of its record of closed. `standing`: the chunks its last snapshot has."""
    chunks = snapshot_records(id, state, max_bytes=max_record_bytes)
    # Of a larger snapshot that stands still nothing may be left: together they would be none.
    values = [encode_snapshot_record(chunk) for chunk in chunks] + [None] * (standing - len(chunks))
    snapshot = [
        Message(topic=names.snapshots, key=snapshot_key(id, n).encode(), value=value, partition=partition)
        for n, value in enumerate(values)
    ]
    reopened = Message(topic=names.closed, key=id.encode(), value=None, partition=partition)
    return Staged(chunks=len(chunks), messages=[*snapshot, reopened])
