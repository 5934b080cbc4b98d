"""The table of deployed definitions, read from their one-partition topic when a command needs to know."""

from __future__ import annotations

import logging
from collections import Counter

from processor.engine.encoding import decode_definition_record, encode_definition_record
from processor.engine.ports import Message, Reader, Record
from processor.engine.topics import MIGRATED_KEY, ORIGIN_KEY, PARTITIONS_KEY, TopicNames
from processor.engine.topics_setup import migrated_prefix
from processor.errors import Code, DecodingFailed, Diagnostic, InvalidDefinition
from processor.interpreter.jsonata import Sandbox
from processor.interpreter.parse import parse
from processor.model.definition import Workflow
from processor.model.events import MachineType
from processor.model.ids import Millis
from processor.model.json import Json
from processor.model.records import Definition

log = logging.getLogger(__name__)


def deployment(
    names: TopicNames,
    *,
    state_machine: str,
    definition: Json,
    type: MachineType,
    now: Millis,
    retention_ms: int | None = None,
) -> tuple[Workflow, Message]:
    """Return the compiled definition and the record that deploys it. Raises InvalidDefinition."""
    workflow = parse(definition, type=type)
    record = Definition(
        state_machine=state_machine,
        revision=workflow.revision,
        definition_hash=workflow.definition_hash,
        type=type,
        definition=workflow.definition,
        deployed_at=now,
        retention_ms=retention_ms,
    )
    key = _key(state_machine, workflow.revision)
    return workflow, Message(topic=names.definitions, key=key, value=encode_definition_record(record), partition=0)


class Definitions:
    """Revisions are immutable, so a compiled one is kept; only `latest` may change, and `refresh` reads on.

    A record that cannot be read is counted and passed over: whoever may write here must not end every processor. What
    its key names cannot be started until it is deployed again.
    """

    def __init__(
        self, reader: Reader, names: TopicNames, *, counts: Counter[str] | None = None, sandbox: Sandbox | None = None
    ) -> None:
        self._reader, self._sandbox = reader, sandbox
        self._topic = names.definitions
        self._counts: Counter[str] = Counter() if counts is None else counts
        self.migrated_to: str | None = None  # another prefix, as far as was read
        self.origins: set[str] = set()  # prefixes that the topics were carried over from
        self._next_offset = 0
        self._unreadable: dict[tuple[str, str], InvalidDefinition] = {}
        self._written: dict[tuple[str, str], Definition] = {}
        self._latest: dict[str, str] = {}
        self._compiled: dict[tuple[str, str], Workflow | InvalidDefinition] = {}
        self._fresh = False

    def expire(self) -> None:
        """Let the next question read on. Called once per batch of commands: whatever was deployed before one of them
        was sent stands in the topic by then, and asking the log for every command would cost more than the rest."""
        self._fresh = False

    def refresh(self) -> None:
        """Read on to the end of the topic, unless that was done since `expire`."""
        if self._fresh:
            return
        self._fresh = True
        for record in self._reader.read(self._topic, 0, start=self._next_offset):
            self._next_offset = record.offset + 1
            if record.key == MIGRATED_KEY:
                self.migrated_to = migrated_prefix(record)
            elif (record.key or b"").startswith(ORIGIN_KEY):
                self.origins.add((record.key or b"")[len(ORIGIN_KEY) :].decode(errors="replace"))
            elif record.value is not None and record.key != PARTITIONS_KEY:
                self._take(record, record.value)

    def _take(self, record: Record, value: bytes) -> None:
        try:
            definition = decode_definition_record(value)
            if not isinstance(definition, Definition):
                raise DecodingFailed(what="a definition", reason="is the count of partitions, under another key")
            id = definition.state_machine, definition.revision
            if record.key != _key(*id):  # compaction would keep and drop it as another
                raise DecodingFailed(what="a definition", reason=f"the key is not {id[0]}#{id[1]}")
        except DecodingFailed as fault:
            self._pass_over(record, fault)
            return
        self._written[id] = definition
        self._latest[definition.state_machine] = definition.revision
        self._unreadable.pop(id, None)

    def _pass_over(self, record: Record, fault: DecodingFailed) -> None:
        log.error("definition_unreadable", extra={"offset": record.offset, "reason": fault.reason})
        self._counts["unreadable_definitions"] += 1
        machine, hash_sign, revision = (record.key or b"").decode(errors="replace").rpartition("#")
        if hash_sign:
            self._unreadable[machine, revision] = _invalid("UNREADABLE", str(fault))
            self._latest[machine] = revision

    def latest(self, state_machine: str) -> str | None:
        return self._latest.get(state_machine)

    def retention_ms(self, state_machine: str) -> int | None:
        """Return how long the machine's ended executions are to be kept; None where its last record does not say.
        Raises InvalidDefinition where that cannot be read."""
        id = state_machine, self._latest.get(state_machine, "")
        if id in self._unreadable:
            raise self._unreadable[id]
        written = self._written.get(id)
        return None if written is None else written.retention_ms

    def to_start(self, state_machine: str, revision: str) -> Workflow | None:
        """As `workflow`, for a new execution. Raises InvalidDefinition also where the revision's last record cannot be
        read: the one before may be compacted away, and nobody could restore the execution then."""
        workflow = self.workflow(state_machine, revision)
        unreadable = self._unreadable.get((state_machine, revision))
        if unreadable is not None:
            raise unreadable
        return workflow

    def workflow(self, state_machine: str, revision: str) -> Workflow | None:
        """Return the compiled definition, compiling it the first time; None where it is not known, even after
        reading on. Raises InvalidDefinition where what was deployed cannot run."""
        if (state_machine, revision) not in self._written:
            self.refresh()
        written = self._written.get((state_machine, revision))
        if written is None:
            return None
        compiled = self._compiled.get((state_machine, revision))
        if compiled is None:
            try:
                compiled = _compile(written, self._sandbox)
            except InvalidDefinition as fault:
                compiled = fault
            self._compiled[state_machine, revision] = compiled
        if isinstance(compiled, InvalidDefinition):
            raise compiled
        return compiled


def _compile(written: Definition, sandbox: Sandbox | None) -> Workflow:
    workflow = parse(written.definition, type=written.type, sandbox=sandbox)
    # Events name the revision of the content: a start under another name could not be restored.
    if workflow.revision != written.revision:
        raise _invalid("REVISION", f"the content is of revision {workflow.revision}, not {written.revision}")
    if workflow.definition_hash != written.definition_hash:
        raise _invalid("REVISION", "definition_hash is not that of the content")
    return workflow


def _key(state_machine: str, revision: str) -> bytes:
    return f"{state_machine}#{revision}".encode()


def _invalid(code: Code, message: str) -> InvalidDefinition:
    return InvalidDefinition([Diagnostic(pointer="", code=code, message=message)])
