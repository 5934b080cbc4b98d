"""What is told besides events: replies to who asked, rejections, dead letters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from processor.engine.encoding import encode_rejection, encode_reply
from processor.engine.ports import Clock, Headers, Message, Reader, Record
from processor.engine.topics import TopicNames
from processor.errors import NotAuthorized
from processor.interpreter.decide import Refused
from processor.model import commands as c
from processor.model import events as e
from processor.model.execution import Execution
from processor.model.ids import Millis
from processor.model.records import Rejection, Reply

_RECHECK_MS = 10_000
_REASON_BYTES = 1_000
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")  # what brokers take for a topic's; they fail at others
_DETAIL_CHARACTERS = 1_000  # it may quote a token, and those come in any length


class Answers:
    """`max_record_bytes` bounds dead letters, which carry what they are about."""

    def __init__(self, *, names: TopicNames, reader: Reader, clock: Clock, max_record_bytes: int) -> None:
        self._names = names
        self._reader = reader
        self._clock = clock
        self._max_record_bytes = max_record_bytes
        self._known: dict[str, bool] = {}
        self._checked_at: dict[str, Millis] = {}

    def refuse_reply_topic(self, command: c.AnyCommand) -> Refused | None:
        """Return why `reply_to` cannot be used: a topic that is not there would fail every transaction that writes
        to it, and one of the processor's own would let anyone write into the truth."""
        topic = command.reply_to
        if topic is None or topic == self._names.replies:
            return None
        if topic in self._names.all or topic.startswith("__"):
            return Refused("ReplyTopicRefused", f"{topic} is not for replies; {self._names.replies} is")
        if not self._exists(topic):
            return Refused("ReplyTopicRefused", f"there is no topic {topic[:249]!r}")
        return None

    def _exists(self, topic: str) -> bool:
        now = self._clock.now()
        known = self._known.get(topic)
        if known or (known is False and now - self._checked_at[topic] < _RECHECK_MS):
            return bool(known)
        if len(self._known) > 10_000:  # names come from commands: bounded, whatever is sent
            self._known.clear()
        self._known[topic] = _NAME.fullmatch(topic) is not None and self._is_there(topic)
        self._checked_at[topic] = now
        return self._known[topic]

    def _is_there(self, topic: str) -> bool:
        try:
            return self._reader.partitions(topic) is not None
        except NotAuthorized:  # not ours to see: whoever named it must not end the processor
            return False

    def accepted(self, command: c.AnyCommand, *, now: Millis) -> Iterator[Message]:
        if command.reply_to is not None:
            yield self._reply(command.reply_to, _answer(command, "ACCEPTED", now))

    def rejected(self, record: Record, command: c.AnyCommand, refused: Refused, *, now: Millis) -> Iterator[Message]:
        rejection = Rejection(
            execution_id=command.execution_id,
            command_id=command.command_id or "",
            type=type(command).__name__,
            issuer=command.issuer,
            correlation_id=command.correlation_id,
            reason=refused.reason,
            detail=refused.detail[:_DETAIL_CHARACTERS],
            partition=record.partition,
            offset=record.offset,
            time=now,
        )
        key = command.execution_id.encode()
        yield Message(topic=self._names.rejections, key=key, value=encode_rejection(rejection))
        if command.reply_to is not None and refused.reason != "ReplyTopicRefused":
            yield self._reply(command.reply_to, _answer(command, "REJECTED", now, refused))

    def finished(self, event: e.AnyEvent, execution: Execution) -> Iterator[Message]:
        """Yield the reply that an execution's end owes to who started it."""
        reply_to = execution.started.reply_to
        if reply_to is None or not isinstance(event, e.TERMINAL_EVENTS):
            return
        started = execution.started
        yield self._reply(
            reply_to,
            Reply(
                kind="FINISHED",
                execution_id=execution.execution_id,
                command_id=started.caused_by.command_id,
                correlation_id=started.correlation_id,
                time=event.time,
                status=execution.status,
                output=execution.output,
                error=execution.error,
                cause=execution.cause,
            ),
        )

    def dead_letter(self, record: Record, reason: str) -> Message:
        """Return the record as it came, with headers that say where from and why. Its value, then its key is cut
        where headers would take it over the log's limit."""
        headers: Headers = (
            ("asl-reason", reason.encode("utf-8", "replace")[:_REASON_BYTES]),
            ("asl-topic", record.topic.encode()),
            ("asl-partition", str(record.partition).encode()),
            ("asl-offset", str(record.offset).encode()),
        )
        key, value, room = record.key, record.value or b"", self._max_record_bytes - _REASON_BYTES - 1_000
        if key is not None and len(key) > room:
            headers += (("asl-truncated-key", str(len(key)).encode()),)
            key = key[:room]
        room -= len(key or b"")
        if len(value) > room:
            headers += (("asl-truncated", str(len(value)).encode()),)
            value = value[:room]
        return Message(topic=self._names.dead_letters, key=key, value=value, headers=headers)

    def _reply(self, topic: str, reply: Reply) -> Message:
        return Message(topic=topic, key=reply.execution_id.encode(), value=encode_reply(reply))


def _answer(command: c.AnyCommand, kind: str, now: Millis, refused: Refused | None = None) -> Reply:
    return Reply(
        kind="ACCEPTED" if kind == "ACCEPTED" else "REJECTED",
        execution_id=command.execution_id,
        command_id=command.command_id or "",
        correlation_id=command.correlation_id,
        time=now,
        reason=refused.reason if refused else None,
        detail=refused.detail[:_DETAIL_CHARACTERS] if refused else None,
    )
