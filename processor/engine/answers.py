"""What is told besides events: replies to who asked, rejections, dead letters."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection

from processor.engine.encoding import encode_rejection, encode_reply
from processor.engine.ports import Clock, Headers, Message, Reader, Record
from processor.engine.staging import Staged, record_bytes
from processor.engine.topics import TopicNames
from processor.errors import NotAuthorized
from processor.interpreter.refused import Refused
from processor.model import commands as c
from processor.model.execution import Execution
from processor.model.ids import Millis
from processor.model.records import Rejection, Reply

log = logging.getLogger(__name__)

_RECHECK_MS = 10_000
_REASON_BYTES = 1_000
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")  # what brokers take for a topic's; they fail at others
_DETAIL_CHARACTERS = 1_000  # it may quote a token, and those come in any length


class Answers:
    """`max_record_bytes` bounds dead letters, which carry what they are about, and replies. `origins`: prefixes that
    the topics were carried over from; replies asked for there go to the topics here.

    A reply is a courtesy: one that cannot be delivered is dropped and counted, and holds up nothing.
    """

    def __init__(
        self,
        *,
        names: TopicNames,
        reader: Reader,
        clock: Clock,
        max_record_bytes: int,
        origins: Collection[str] = (),
    ) -> None:
        self._names = names
        self._reader = reader
        self._clock = clock
        self._max_record_bytes, self._origins = max_record_bytes, origins
        self._known: dict[str, tuple[bool, Millis]] = {}  # whether it was there, and when that was asked

    def refuse_reply_topic(self, command: c.AnyCommand) -> Refused | None:
        """Return why `reply_to` cannot be used: a topic that is not there would fail every transaction that writes
        to it, and any other than one for replies would let anyone write there with the processor's rights."""
        topic = command.reply_to and self._names.reply_topic(command.reply_to, self._origins)
        if topic is None or topic == self._names.replies:
            return None
        if not self._is_for_replies(topic):
            allowed = f"{self._names.replies} is, and topics named {self._names.replies}.…"
            return Refused("ReplyTopicRefused", f"{topic[:249]!r} is not for replies; {allowed}")
        if not self._exists(topic):
            return Refused("ReplyTopicRefused", f"there is no topic {topic[:249]!r}")
        return None

    def forget(self) -> None:
        """Ask anew which topics there are: a transaction that was not committed may have named one that is gone."""
        self._known.clear()

    def _is_for_replies(self, topic: str) -> bool:
        own = self._names.replies
        return topic == own or (topic.startswith(own + ".") and _NAME.fullmatch(topic) is not None)

    def _exists(self, topic: str) -> bool:
        """An answer is believed for a while: topics are deleted, too."""
        if topic == self._names.replies:  # without it no processor starts
            return True
        now = self._clock.now()
        known, asked_at = self._known.get(topic, (False, None))
        if asked_at is not None and 0 <= now - asked_at < _RECHECK_MS:
            return known
        if len(self._known) > 10_000:  # names come from commands: bounded, whatever is sent
            self._known.clear()
        self._known[topic] = self._is_there(topic), now
        return self._known[topic][0]

    def _is_there(self, topic: str) -> bool:
        try:
            return self._reader.partitions(topic) is not None
        except NotAuthorized:  # not ours to see: whoever named it must not end the processor
            return False

    def accepted(self, command: c.AnyCommand, *, now: Millis) -> Staged:
        return self._reply(command.reply_to, _answer(command, "ACCEPTED", now))

    def rejected(self, record: Record, command: c.AnyCommand, refused: Refused, *, now: Millis) -> Staged:
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
        told = Message(topic=self._names.rejections, key=key, value=encode_rejection(rejection))
        staged = Staged(messages=[told], counts=("rejected",))
        if refused.reason != "ReplyTopicRefused":
            staged.also(self._reply(command.reply_to, _answer(command, "REJECTED", now, refused)))
        return staged

    def finished(self, execution: Execution) -> Staged:
        """Return the reply that an ended execution owes to who started it."""
        started = execution.started
        return self._reply(
            started.reply_to,
            Reply(
                kind="FINISHED",
                execution_id=execution.execution_id,
                command_id=started.caused_by.command_id,
                correlation_id=started.correlation_id,
                time=execution.time,
                status=execution.status,
                output=execution.output,
                error=execution.error,
                cause=execution.cause,
            ),
        )

    def _reply(self, topic: str | None, reply: Reply) -> Staged:
        if topic is None:
            return Staged()
        topic = self._names.reply_topic(topic, self._origins)
        if self._is_for_replies(topic) and self._exists(topic):
            message = Message(topic=topic, key=reply.execution_id.encode(), value=encode_reply(reply))
            if record_bytes(message) <= self._max_record_bytes:
                return Staged(messages=[message])
        log.warning("reply_lost", extra={"execution_id": reply.execution_id, "kind": reply.kind})
        return Staged(counts=("lost_replies",))

    def dead_letter(self, record: Record, reason: str) -> Message:
        """Return the record as it came, its own headers too, with headers that say where from and why. What does not
        fit into a record of the log is left out: its own headers, then the end of its value, then of its key."""
        headers: Headers = (
            ("asl-reason", reason.encode("utf-8", "replace")[:_REASON_BYTES]),
            ("asl-topic", record.topic.encode()),
            ("asl-partition", str(record.partition).encode()),
            ("asl-offset", str(record.offset).encode()),
        )
        whole = Message(
            topic=self._names.dead_letters, key=record.key, value=record.value, headers=(*headers, *record.headers)
        )
        if record_bytes(whole) <= self._max_record_bytes:
            return whole
        key, value, room = record.key, record.value, self._max_record_bytes - _REASON_BYTES - 1_000
        if key is not None and len(key) > room:
            headers += (("asl-truncated-key", str(len(key)).encode()),)
            key = key[:room]
        room -= len(key or b"")
        if value is not None and len(value) > room:
            headers += (("asl-truncated", str(len(value)).encode()),)
            value = value[:room]
        return Message(topic=self._names.dead_letters, key=key, value=value, headers=headers)


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
