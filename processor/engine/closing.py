"""What is left of an ended execution: its record of the closed topic."""

from __future__ import annotations

from processor.engine.encoding import STATE_FORMAT, encode_closed, encode_execution
from processor.interpreter.interpreter import input_hash
from processor.model.execution import Execution
from processor.model.records import ClosedExecution

_ROOM = 8_192
"""For the key and all fields but the state: a command's id alone may have 1,024 characters, of up to four bytes each
(encoding.commands.MAX_LABEL_LENGTH); names have at most 80."""


def closed_value(execution: Execution, *, max_record_bytes: int) -> bytes:
    """Return the value of the record that an ended execution leaves.

    The state of one that did not succeed goes with it, for a redrive, unless it is larger than a record may be.
    """
    started = execution.started
    state: bytes | None = None
    if execution.status != "SUCCEEDED":
        encoded = encode_execution(execution)
        state = encoded if len(encoded) <= max_record_bytes - _ROOM else None
    return encode_closed(
        ClosedExecution(
            execution_id=execution.execution_id,
            state_machine=started.state_machine,
            revision=execution.workflow.revision,
            status=execution.status,
            input_hash=input_hash(started.input, started.context),
            start_command_id=started.caused_by.command_id,
            last_sequence=execution.sequence - 1,
            started_at=started.time,
            ended_at=execution.time,
            redrive_count=execution.redrive_count,
            format=STATE_FORMAT,
            state=state,
        )
    )
