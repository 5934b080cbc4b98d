"""Bytes of every topic ⇄ the vocabulary. Avro in single-object encoding, schemas in `schemas/`; commands also as JSON.

events.py      batches of events
commands.py    commands: hostile bytes, and JSON
records.py     the other topics
state.py       the folded state of an execution
codec.py       a value's header → its reader; every fault → DecodingFailed
generator.py   a schema → Python source of its writers and readers
differences.py where Structs and records differ
schemas.py     the shipped schemas, by name and by fingerprint
wire.py        Avro's primitives
"""

from processor.engine.encoding.codec import choose_write_format, shipped_codec
from processor.engine.encoding.commands import content_type_of, decode_command, encode_command, encode_command_json
from processor.engine.encoding.events import (
    BATCH_BYTES,
    TYPES_HEADER,
    BatchHead,
    EncodedBatch,
    decode_events,
    encode_events,
    skim_events,
)
from processor.engine.encoding.records import (
    decode_closed,
    decode_definition_record,
    decode_migration,
    decode_rejection,
    decode_reply,
    decode_snapshot_record,
    decode_task,
    decode_timer,
    encode_closed,
    encode_definition_record,
    encode_rejection,
    encode_reply,
    encode_snapshot_record,
    encode_task,
    encode_timer,
)
from processor.engine.encoding.schemas import shipped_schemas
from processor.engine.encoding.state import STATE_FORMAT, decode_execution, encode_execution, execution_header

__all__ = [
    "BATCH_BYTES",
    "STATE_FORMAT",
    "TYPES_HEADER",
    "BatchHead",
    "EncodedBatch",
    "choose_write_format",
    "content_type_of",
    "decode_closed",
    "decode_command",
    "decode_definition_record",
    "decode_events",
    "decode_execution",
    "decode_migration",
    "decode_rejection",
    "decode_reply",
    "decode_snapshot_record",
    "decode_task",
    "decode_timer",
    "encode_closed",
    "encode_command",
    "encode_command_json",
    "encode_definition_record",
    "encode_events",
    "encode_execution",
    "encode_rejection",
    "encode_reply",
    "encode_snapshot_record",
    "encode_task",
    "encode_timer",
    "execution_header",
    "shipped_codec",
    "shipped_schemas",
    "skim_events",
]
