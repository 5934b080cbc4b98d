"""Deploys definitions and sends commands: what a producer does, with the project's own codec."""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import Literal, Self
from uuid import uuid4

from processor.apps.executions import topic_partitions
from processor.engine.definitions import Definitions, deployment
from processor.engine.encoding import decode_command, encode_command
from processor.engine.ports import Clock, Log, Message
from processor.engine.topics_setup import refuse_migrated
from processor.errors import DecodingFailed, InvalidCommand, InvalidDefinition, InvalidSettings
from processor.interpreter.interpreter import payload_bytes
from processor.interpreter.turn import MAX_PAYLOAD_BYTES
from processor.model.commands import AnyCommand, StartExecution
from processor.model.events import MachineType
from processor.model.ids import is_name
from processor.model.json import Json

ISSUER = "cli"


class Client:
    """A context manager; holds one outbox. Raises TopicsUnfit where the topics were migrated, or where one is missing
    that it would write to."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._names, self._clock = log.names, clock
        self._reader, self._outbox = log.reader(), log.outbox()

    def __enter__(self) -> Self:
        refuse_migrated(self._reader, self._names)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._outbox.close()

    def deploy(
        self,
        *,
        state_machine: str,
        definition: Json,
        type: MachineType = "STANDARD",
        retention: timedelta | Literal["default", "kept"] = "kept",
    ) -> str:
        """Make the definition the machine's latest; return its revision. Raises InvalidDefinition.

        `retention`: how long the machine's ended executions are kept, those of older revisions too; "default": as long
        as the janitor is told; "kept": as it was.
        """
        if not is_name(state_machine):
            rule = f"must be 1 to 80 characters that AWS allows in names, got {state_machine!r}"
            raise InvalidSettings(setting="name", rule=rule, example="--name order")
        workflow, message = deployment(
            self._names,
            state_machine=state_machine,
            definition=definition,
            type=type,
            now=self._clock.now(),
            retention_ms=self._retention_ms(state_machine, retention),
        )
        self._write(message)
        return workflow.revision

    def _retention_ms(self, state_machine: str, retention: timedelta | Literal["default", "kept"]) -> int | None:
        if isinstance(retention, timedelta):
            return retention // timedelta(milliseconds=1)
        if retention == "default":
            return None
        topic_partitions(self._reader, self._names.definitions)
        definitions = Definitions(self._reader, self._names)
        definitions.refresh()
        try:
            return definitions.retention_ms(state_machine)
        except InvalidDefinition:  # what the last record says is lost: deploying again is how that is mended
            return None

    def send(self, command: AnyCommand) -> None:
        """Return once the command is durably written; what comes of it is to be read from events and rejections.

        Raises InvalidCommand as `write_command` does, and for an input that the processor would refuse for its size.
        """
        if isinstance(command, StartExecution) and (size := payload_bytes(command)) > MAX_PAYLOAD_BYTES:
            rule = f"must take at most {MAX_PAYLOAD_BYTES} bytes of JSON, with the context"
            raise InvalidCommand(where="input", rule=rule, value=size)
        key = command.execution_id.encode()
        self._write(Message(topic=self._names.commands, key=key, value=write_command(command)))

    def _write(self, message: Message) -> None:
        topic_partitions(
            self._reader, message.topic
        )  # asked first: of a missing topic a producer only says "timed out"
        self._outbox.send([message])


def write_command(command: AnyCommand) -> bytes:
    """Return the value of the command's record.

    Raises InvalidCommand where the processor could not read it: of a dead letter nobody hears who waits for an answer.
    """
    value = encode_command(command)
    try:
        decode_command(value)
    except DecodingFailed as fault:
        raise InvalidCommand(where=type(command).__name__, rule="must be readable", value=fault.reason) from None
    return value


def new_command_id() -> str:
    return str(uuid4())
