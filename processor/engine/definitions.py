"""The table of deployed definitions, read from their one-partition topic when a command needs to know."""

from __future__ import annotations

from processor.engine.encoding import decode_definition_record, encode_definition_record
from processor.engine.ports import Message, Reader
from processor.engine.topics import TopicNames
from processor.errors import InvalidDefinition
from processor.interpreter.parse import parse
from processor.model.definition import Workflow
from processor.model.events import MachineType
from processor.model.ids import Millis
from processor.model.json import Json
from processor.model.records import Definition


def deployment(
    names: TopicNames, *, state_machine: str, definition: Json, type: MachineType, now: Millis
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
    )
    key = f"{state_machine}#{workflow.revision}".encode()
    return workflow, Message(topic=names.definitions, key=key, value=encode_definition_record(record), partition=0)


class Definitions:
    """Revisions are immutable, so a compiled one is kept; only `latest` may change, and `refresh` reads on."""

    def __init__(self, reader: Reader, names: TopicNames) -> None:
        self._reader = reader
        self._topic = names.definitions
        self._next_offset = 0
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
            if record.value is None:
                continue
            decoded = decode_definition_record(record.value)
            if isinstance(decoded, Definition):
                self._written[decoded.state_machine, decoded.revision] = decoded
                self._latest[decoded.state_machine] = decoded.revision

    def latest(self, state_machine: str) -> str | None:
        return self._latest.get(state_machine)

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
                compiled = parse(written.definition, type=written.type)
            except InvalidDefinition as fault:
                compiled = fault
            self._compiled[state_machine, revision] = compiled
        if isinstance(compiled, InvalidDefinition):
            raise compiled
        return compiled
