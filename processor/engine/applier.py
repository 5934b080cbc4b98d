"""One command → what it stages: decode, find the execution, decide and evolve until quiet or out of budget."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import chain, islice

from msgspec.structs import replace

from processor.engine.answers import Answers
from processor.engine.closing import closed_value
from processor.engine.definitions import Definitions
from processor.engine.encoding import (
    content_type_of,
    decode_closed,
    decode_command,
    encode_events,
)
from processor.engine.index import Index
from processor.engine.partitions import Partition
from processor.engine.ports import Clock, Entropy, Message, Record
from processor.engine.purging import purge
from processor.engine.redriving import left_open, reopening
from processor.engine.staging import Overlay, Staged, record_bytes
from processor.engine.topics import TopicNames, partition_of
from processor.errors import DecodingFailed, InvalidDefinition, NotInWriteFormat, SandboxUnavailable
from processor.interpreter.decide import Nothing, decide, timer_due
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.interpreter import cause_of, first_event, input_hash, steps
from processor.interpreter.refused import Refused
from processor.model import commands as c
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Execution
from processor.model.ids import Millis, parse_timer_id
from processor.model.records import ClosedExecution, Timer

log = logging.getLogger(__name__)

SLICE_EVENTS = 1_000
"""How many events one execution may give in one transaction before others get their turn."""


SLICE_MS = 50
"""How long such a turn may take: an event with expressions in it may cost as much as a thousand without."""


class RecordTooLarge(Exception):
    """An encoded record is over what the log takes; nothing was produced."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"a record of {topic} takes {size} bytes, {limit} are allowed")


class OwnersDied(Exception):
    """What is quarantined was not seen to fail: the process never came back to tell."""

    def __init__(self, deaths: int, what: str) -> None:
        super().__init__(f"the process has died {deaths} times before {what} was done")


class Applier:
    def __init__(
        self,
        *,
        names: TopicNames,
        partitions: int,
        definitions: Definitions,
        answers: Answers,
        clock: Clock,
        entropy: Entropy,
        max_record_bytes: int,
        slice_events: int = SLICE_EVENTS,
    ) -> None:
        self._names = names
        self._partitions = partitions
        self._definitions = definitions
        self._answers = answers
        self._clock = clock
        self._entropy = entropy
        self._max_record_bytes = max_record_bytes
        self._slice_events = slice_events
        self._index = Index(names)

    def apply(self, record: Record, partition: Partition, overlay: Overlay) -> Staged | None:
        """Return what a command stages; None where that depends on whether an execution is closed, and it is not known
        yet which are. Never raises for what the command holds: bytes that do not decode are dead letters, commands
        that cannot apply rejections, an interpreter that raises a quarantine. Raises HistoryBroken for what is held of
        its execution."""
        try:
            staged = self._applied(record, partition, overlay)
            return None if staged is None else self._completed(staged, partition)
        except (RecordTooLarge, NotInWriteFormat) as fault:  # a log may deliver, compressed, more than it takes
            return self._dead_letter(record, str(fault))

    def _applied(self, record: Record, partition: Partition, overlay: Overlay) -> Staged | None:
        try:
            command = decode_command(record.value or b"", content_type=content_type_of(record.headers))
        except DecodingFailed as fault:
            return self._dead_letter(record, fault.reason)
        if record.key != command.execution_id.encode():
            return self._dead_letter(record, f"the key is not the execution id {command.execution_id}")
        if partition_of(record.key, self._partitions) != record.partition:
            rerouted = Message(topic=self._names.commands, key=record.key, value=record.value, headers=record.headers)
            return Staged(messages=[rerouted], counts=("misrouted",))
        if command.command_id is None:
            command = replace(command, command_id=f"{record.partition}/{record.offset}")
        refused = self._answers.refuse_reply_topic(command)
        if refused is not None:
            return self._refuse(record, command, refused)
        id = command.execution_id
        held = _held(id, partition, overlay)
        if not partition.knows_closed and (held is None or isinstance(command, c.PurgeExecution)):
            return None
        try:
            return self._apply_to(record, command, held, partition, overlay)
        except RecordTooLarge as fault:  # even the command's own event
            return self._refuse(record, command, Refused("InputTooLarge", str(fault)))
        except NotInWriteFormat as fault:
            return self._refuse(record, command, Refused("NotSupported", str(fault)))

    def go_on(self, execution: Execution, partition: Partition) -> Staged:
        """Return what a slice of a runnable execution stages: a quarantine, where that cannot be written."""
        try:
            staged = self._completed(self._staged(execution, None, partition), partition)
        except (RecordTooLarge, NotInWriteFormat) as fault:  # what its end leaves
            staged = self._quarantined(execution, None, partition, fault)
        staged.counts += ("slices",)
        return staged

    def bury(self, record: Record, partition: Partition, *, deaths: int) -> Staged:
        """Return what a command comes to that the partition's owners have died of: a dead letter, to be sent again one
        day, and a quarantine of its execution. Neither decodes it nor decides anything. Raises as `apply`."""
        fault = OwnersDied(deaths, f"command {record.partition}/{record.offset}")
        buried = self._dead_letter(record, str(fault))
        held = partition.find((record.key or b"").decode(errors="replace"))
        if not isinstance(held, Execution) or held.quarantined is not None:
            return buried
        staged = self._quarantined(replace(held, time=max(self._clock.now(), held.time)), None, partition, fault)
        staged.also(buried)
        return staged

    def hold(self, execution: Execution, partition: Partition) -> Staged:
        """Return the quarantine of a runnable execution that the partition's owners have died of."""
        return self._quarantined(execution, None, partition, OwnersDied(partition.attempts, "a slice"))

    def _completed(self, staged: Staged, partition: Partition) -> Staged:
        """Whatever an execution's end comes of, what it leaves is added here; and every record is measured that
        stands beside the events and their index."""
        execution = staged.execution
        if execution is not None and execution.closed:
            staged.also(self._answers.finished(execution))
            staged.closed = closed_value(execution, max_record_bytes=self._max_record_bytes)
            key = execution.execution_id.encode()
            left = Message(topic=self._names.closed, key=key, value=staged.closed, partition=partition.number)
            staged.messages.append(left)
        return self._checked(staged)

    # ---- commands

    def _apply_to(
        self,
        record: Record,
        command: c.AnyCommand,
        held: Execution | ClosedExecution | None,
        partition: Partition,
        overlay: Overlay,
    ) -> Staged:
        now = self._clock.now()
        cause = cause_of(command, offset=record.offset)
        if isinstance(command, c.StartExecution):
            return self._start(record, command, held, partition, now=now, cause=cause)
        match held:
            case None:
                refused = Refused("UnknownExecution", f"{command.execution_id} was never started here")
                return self._refuse(record, command, refused)
            case ClosedExecution() | Execution(closed=True) if isinstance(command, c.RedriveExecution):
                return self._redrive(record, command, held, partition, overlay, now=now, cause=cause)
            case ClosedExecution() | Execution(closed=True) if isinstance(command, c.PurgeExecution):
                return self._purge(record, command, held, partition, overlay)
            case ClosedExecution():
                return self._refuse(record, command, _after_end(command, held.status))
            case Execution() if held.closed:
                return self._refuse(record, command, _after_end(command, held.status))
            case Execution():
                pass
        now = max(now, held.time)
        try:
            decision = decide(held, command, now=now, cause=cause)
        except Exception as fault:  # a bug of ours must stop one execution, not the partition
            return self._quarantined(replace(held, time=now, caused_by=cause), None, partition, fault)
        match decision:
            case Refused():
                return self._refuse(record, command, decision)
            case Nothing():
                return self._nothing(command, held, partition, now=now)
            case event:
                staged = self._staged(held, event, partition)
        staged.also(self._answers.accepted(command, now=now))
        staged.counts += ("applied",)
        return staged

    def _start(
        self,
        record: Record,
        command: c.StartExecution,
        held: Execution | ClosedExecution | None,
        partition: Partition,
        *,
        now: Millis,
        cause: e.Cause,
    ) -> Staged:
        if held is not None:
            return self._start_again(record, command, held, now=now)
        machine = command.execution_id.partition(":")[0]
        if command.revision is None:
            self._definitions.refresh()  # "latest" is resolved here, once
        revision = self._definitions.latest(machine) if command.revision is None else command.revision
        try:
            workflow = self._definitions.to_start(machine, revision) if revision is not None else None
        except InvalidDefinition as fault:
            return self._refuse(record, command, Refused("InvalidDefinition", str(fault)[:1000]))
        if workflow is None:
            named = command.revision is not None
            detail = f"no revision {command.revision} of {machine}" if named else f"{machine} is not deployed"
            return self._refuse(record, command, Refused("DefinitionNotFound", detail))
        started = first_event(workflow, command, now=now, seed=self._entropy.seed(), cause=cause)
        if isinstance(started, Refused):
            return self._refuse(record, command, started)
        staged = self._staged(None, started, partition, workflow=workflow)
        staged.also(self._answers.accepted(command, now=now))
        staged.counts += ("started",)
        return staged

    def _redrive(
        self,
        record: Record,
        command: c.RedriveExecution,
        held: Execution | ClosedExecution,
        partition: Partition,
        overlay: Overlay,
        *,
        now: Millis,
        cause: e.Cause,
    ) -> Staged:
        found = reopening(command, held, definitions=self._definitions, now=now, cause=cause)
        if isinstance(found, Refused):
            return self._refuse(record, command, found)
        staged = self._staged(found.before, found.event, partition)
        left = left_open(
            command.execution_id,
            found.state,
            standing=_standing_chunks(command.execution_id, partition, overlay),
            names=self._names,
            partition=partition.number,
            max_record_bytes=self._max_record_bytes,
        )
        staged.chunks = left.chunks
        staged.also(left)
        staged.also(self._answers.accepted(command, now=now))
        staged.counts += ("redriven",)
        return staged

    def _purge(
        self,
        record: Record,
        command: c.PurgeExecution,
        held: Execution | ClosedExecution,
        partition: Partition,
        overlay: Overlay,
    ) -> Staged:
        if isinstance(held, Execution):
            held = decode_closed(closed_value(held, max_record_bytes=self._max_record_bytes))
        chunks = _standing_chunks(command.execution_id, partition, overlay)
        staged = purge(command, held, chunks=chunks, names=self._names, partition=partition.number)
        if isinstance(staged, Refused):
            return self._refuse(record, command, staged)
        if staged.closed is None:
            staged.also(self._answers.accepted(command, now=self._clock.now()))
        return staged

    def _start_again(
        self, record: Record, command: c.StartExecution, held: Execution | ClosedExecution, *, now: Millis
    ) -> Staged:
        """The same start is idempotent while the execution runs, as AWS has it; its id stays taken afterwards."""
        if isinstance(held, Execution) and not held.closed:
            same = input_hash(held.started.input, held.started.context)
            if same == input_hash(command.input, command.context):
                staged = Staged(counts=("repeated_starts",))
                staged.also(self._answers.accepted(command, now=now))
                return staged
            detail = f"{command.execution_id} runs with another input"
        else:
            detail = f"{command.execution_id} has ended as {held.status}"
        return self._refuse(record, command, Refused("ExecutionAlreadyExists", detail))

    def _nothing(self, command: c.AnyCommand, held: Execution, partition: Partition, *, now: Millis) -> Staged:
        """A heartbeat's timer that fired too early is set again, from the last heartbeat."""
        accepted = self._answers.accepted(command, now=now)
        if not isinstance(command, c.FireTimer):
            accepted.counts += ("applied",)
            return accepted
        due = timer_due(held, command.timer_id)
        execution_id, scope, sequence, kind = parse_timer_id(command.timer_id)
        assert due is not None
        timer = Timer(
            timer_id=command.timer_id,
            execution_id=execution_id,
            scope=scope,
            sequence=sequence,
            kind=kind,
            due=due,
            state=held.scopes[scope].state,
        )
        rearmed = self._index.timer_record(timer, partition=partition.number)
        staged = Staged(messages=[rearmed], counts=("rearmed_timers",))
        staged.also(accepted)
        return staged

    # ---- events

    def _staged(
        self,
        before: Execution | None,
        own: e.AnyEvent | None,
        partition: Partition,
        *,
        workflow: Workflow | None = None,
    ) -> Staged:
        """Stage the command's own event and what follows; if the interpreter raises, or what it gave cannot be
        written, the own event and a quarantine. Without a sandbox the own event alone: it goes on from there."""
        try:
            after = _after(before, own, workflow)
            first = () if own is None else ((own, after),)
            try:
                return self._written(before, chain(first, steps(after, max_events=self._slice_events)), partition)
            except SandboxUnavailable as fault:  # which says nothing of the execution: it stays runnable
                log.warning("sandbox_unavailable", extra={"execution_id": after.execution_id, "reason": fault.reason})
                staged = self._written(before, first, partition)
                staged.counts += ("sandbox_unavailable",)
                return staged
        except Exception as fault:  # a bug of ours must stop one execution, not the partition
            return self._quarantined(before, own, partition, fault, workflow=workflow)

    def _quarantined(
        self,
        before: Execution | None,
        own: e.AnyEvent | None,
        partition: Partition,
        fault: Exception,
        *,
        workflow: Workflow | None = None,
    ) -> Staged:
        try:
            after = _after(before, own, workflow)
        except Exception:  # nobody could fold that event: it must not be written
            if before is None:
                raise
            own, after = None, before
        log.error(
            "execution_quarantined",
            extra={"execution_id": after.execution_id, "sequence": after.sequence},
            exc_info=fault,
        )
        quarantine = e.ExecutionQuarantined(
            execution_id=after.execution_id,
            sequence=after.sequence,
            time=after.time,
            caused_by=after.caused_by,
            reason=f"{type(fault).__name__}: {fault}"[:500],
        )
        first = () if own is None else ((own, after),)
        staged = self._written(before, (*first, (quarantine, evolve(after, quarantine))), partition)
        staged.counts += ("quarantined",)
        return staged

    def _written(
        self, before: Execution | None, trail: Iterable[tuple[e.AnyEvent, Execution]], partition: Partition
    ) -> Staged:
        """Encode the events and the index they lead to. Raises RecordTooLarge."""
        events: list[e.AnyEvent] = []
        messages: list[Message] = []
        execution, until = before, self._clock.now() + SLICE_MS
        for event, after in trail:
            events.append(event)
            messages += self._index.changes(execution, event, after, partition=partition.number)
            execution = after
            if self._clock.now() >= until:
                break  # it stays runnable; what it gives is the same however it is sliced
        batches = [
            Message(topic=self._names.events, key=b.key, value=b.value, headers=b.headers, partition=partition.number)
            for b in encode_events(events)
        ]
        return self._checked(Staged(execution=execution, messages=[*batches, *messages], events=len(events)))

    def _checked(self, staged: Staged) -> Staged:
        for message in islice(staged.messages, staged.measured, None):
            size = record_bytes(message)
            if size > self._max_record_bytes:
                raise RecordTooLarge(message.topic, size, self._max_record_bytes)
            staged.bytes += size
        staged.measured = len(staged.messages)
        return staged

    # ---- refusals

    def _refuse(self, record: Record, command: c.AnyCommand, refused: Refused) -> Staged:
        """A stale FireTimer is only counted, and its index record removed again so that it fires no more; everything
        else is told in the rejections topic, and to who asked for replies. So is a FireTimer that was refused before
        its timer was looked for: that may be pending."""
        if isinstance(command, c.FireTimer) and refused.reason not in (
            "InvalidCommand",
            "ReplyTopicRefused",
            "NotSupported",
        ):
            if refused.reason == "ExecutionQuarantined":
                return Staged(counts=("timers_in_quarantine",))
            tombstone = self._index.timer_tombstone(command.timer_id, partition=record.partition)
            return Staged(messages=[tombstone], counts=("stale_timers",))
        log.warning(
            "command_rejected",
            extra={
                "execution_id": command.execution_id,
                "type": type(command).__name__,
                "reason": refused.reason,
                "partition": record.partition,
                "offset": record.offset,
            },
        )
        return self._answers.rejected(record, command, refused, now=self._clock.now())

    def _dead_letter(self, record: Record, reason: str) -> Staged:
        log.warning("dead_letter", extra={"partition": record.partition, "offset": record.offset})
        return Staged(messages=[self._answers.dead_letter(record, reason)], counts=("dead_letters",))


def _held(id: str, partition: Partition, overlay: Overlay) -> Execution | ClosedExecution | None:
    held = overlay.execution(partition.number, id)
    if held is not None:
        return held
    purged = overlay.purged.get(partition.number, {})
    if id not in purged:
        return partition.find(id)
    left = purged[id]
    return None if left is None else decode_closed(left)


def _standing_chunks(id: str, partition: Partition, overlay: Overlay) -> int:
    """Return how many chunks an execution's snapshot has at most, with what this transaction writes."""
    return max(overlay.chunks.get(id, 0), partition.coverage.chunks.get(id, 0))


def _after(before: Execution | None, own: e.AnyEvent | None, workflow: Workflow | None) -> Execution:
    """The execution after the command's own event, which may be its first."""
    if before is None:
        assert isinstance(own, e.ExecutionStarted)
        assert workflow is not None
        return begin(workflow, own)
    return before if own is None else evolve(before, own)


def _after_end(command: c.AnyCommand, status: str) -> Refused:
    detail = f"{command.execution_id} has ended as {status}"
    match command:
        case c.CompleteTask() | c.FailTask() | c.SubmitTask() | c.HeartbeatTask():
            return Refused("TaskNotPending", detail)
        case c.FireTimer():
            return Refused("TimerNotPending", detail)
        case _:
            return Refused("ExecutionEnded", detail)
