"""A processor's membership: one subscribed consumer, one transactional producer, one thread that restores.

A partition's way:  owned (membership) → taken → restored (restore) → open → lost. Commands flow only while it is
open; whatever carries an older assignment number is dropped.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka.clients import Consumer, error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.convert import record_of
from processor.adapters.kafka.faults import (
    ABORTABLE,
    FENCED,
    NOT_AUTHORIZED,
    UNKNOWN_TOPIC,
    describe,
    is_passing,
)
from processor.adapters.kafka.membership import Membership
from processor.adapters.kafka.restore import Restorer, Result, Stable
from processor.adapters.kafka.timing import backing_off
from processor.adapters.kafka.transactions import Outcome, Transactions
from processor.engine.ports import (
    AllRestored,
    CommandArrived,
    Committed,
    Delivery,
    PartitionLost,
    PartitionTaken,
    RecordsRestored,
    Restorable,
    Transaction,
)
from processor.engine.staging import record_bytes
from processor.errors import AslError, SlotTaken, TopicsUnfit

log = logging.getLogger(__name__)

FENCED_TWICE_SECONDS = 60.0
ASK_SECONDS = 0.2
STRANGER_SECONDS = 3.0  # until then it may be this process, whose client has joined again and not heard of it yet
RESULTS_A_POLL = 10  # chunks of restored events
# How long the client's poll may wait at a time: it returns for messages only, so that a rebalance it served, or a
# chunk restored meanwhile, would wait with it.
BUSY_SECONDS = 0.01
IDLE_SECONDS = 0.1
RENEW_SECONDS = 5.0
CALL_SECONDS = 5.0
LEAVE_SECONDS = 3.0
OPEN_SECONDS = 30.0  # a stop is heard only between two calls of the inbox


@dataclass(slots=True, kw_only=True)
class Holding:
    """A partition taken. `stable` is set and `restored` filled on its way; `base` is set once it is open. `attempts`:
    what was committed last."""

    assignment: int
    stable: Stable | None = None
    attempts: int = 0
    named: bool = False
    restored: set[Restorable] = field(default_factory=set)
    base: int | None = None  # the next command not yet committed; set when opened
    next: int = 0  # the next command to be delivered

    @property
    def committed(self) -> int | None:
        """What is committed under this process's own name, None where nothing is."""
        if self.base is None and self.named and self.stable is not None:
            return self.stable.offset
        return self.base


class KafkaInbox:
    """Implements ports.Inbox. Not thread-safe: one thread polls and commits.

    `close` alone does not leave the group where membership is static: a process started again in the slot within the
    session timeout has its partitions back at once, another one takes them over after it. `leave` does.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        slot: str,
        consumer: Consumer,
        transactions: Transactions,
        restorer: Restorer,
        max_record_bytes: int,
    ) -> None:
        self._connection, self._slot = connection, slot
        self._names, self._timing = connection.names, connection.timing
        self._consumer, self._transactions, self._restorer = consumer, transactions, restorer
        self._max_record_bytes = max_record_bytes
        self._membership = Membership(consumer, topic=connection.names.commands, slot=slot)
        self._held: dict[int, Holding] = {}
        self._assignments = 0
        self._halted = False  # no commands are fetched
        self._subscribed = self._closed = False
        self._fenced: tuple[str, float] | None = None  # the last time: as which member, and when
        self._asked_at = float("-inf")
        self._stranger: tuple[str, float] | None = None  # another member in this slot, and when it was seen first

    @property
    def max_record_bytes(self) -> int:
        return self._max_record_bytes

    @property
    def settled(self) -> bool:
        held = self._transactions.ready and self._membership.rightful == self._held.keys()
        return self._membership.member != "" and held

    # ---- poll

    def poll(self, *, timeout_seconds: float, max_commands: int | None) -> Sequence[Delivery]:
        deadline = self._timing.now() + timeout_seconds
        deliveries: list[Delivery] = []
        self._halt(max_commands is None)
        while True:
            # Before joining: what an earlier process left open in this slot is aborted, and it is fenced.
            if not self._subscribed:
                self._join()
            left = max(0.0, deadline - self._timing.now())
            if self._subscribed:
                messages = self._collect(left, max_commands or 0)
                self._lose(deliveries)
                self._ask_again()
                self._take(deliveries)
                self._take_results(deliveries)
                self._deliver(messages, deliveries)
            self._connection.raise_refusal()
            if deliveries or self._timing.now() >= deadline:
                return deliveries

    def _halt(self, halted: bool) -> None:
        if halted == self._halted:
            return
        self._halted = halted
        if halted:
            self._membership.leave(self._open)
        else:
            for partition in self._open:
                self._fetch(partition, self._held[partition])

    def _join(self) -> None:
        if self._transactions.renew(within_seconds=RENEW_SECONDS):
            self._membership.subscribe()
            self._subscribed = True
        else:
            self._timing.sleep(ASK_SECONDS)

    def _collect(self, timeout: float, limit: int) -> list[KafkaMessage]:
        """(1) One poll, then what is there. `consume` with a timeout would wait for all of `limit`."""
        settled = (
            self._transactions.ready
            and self._membership.member
            and all("closed" in h.restored for h in self._held.values())
        )
        first = self._consumer.poll(min(timeout, IDLE_SECONDS if settled else BUSY_SECONDS))
        if first is None:
            return []
        return [first, *self._consumer.consume(limit - 1, 0)] if limit > 1 else [first]

    def _deliver(self, messages: Sequence[KafkaMessage], deliveries: list[Delivery]) -> None:
        for message in messages:
            error = message.error()
            if error is not None:
                self._fault(error, message)
                continue
            holding = self._held.get(-1 if (partition := message.partition()) is None else partition)
            if holding is None or holding.base is None or self._halted:
                continue  # of a partition no longer owned, or of an older assignment, or on its way when it was halted
            record = record_of(message)
            if record.offset >= holding.next:
                holding.next = record.offset + 1
                deliveries.append(CommandArrived(record=record))

    def _lose(self, deliveries: list[Delivery]) -> None:
        lost = self._membership.take_lost()
        if not self._transactions.ready:  # fenced: all is taken over anew
            self._membership.leave(self._held)
            lost += sorted(self._held)
        for partition in lost:
            if (holding := self._held.pop(partition, None)) is not None:
                self._restorer.drop(partition, holding.assignment)
                deliveries.append(PartitionLost(partition=partition))

    def _take(self, deliveries: list[Delivery]) -> None:
        if not self._transactions.ready:
            return
        for partition in sorted(self._membership.rightful - self._held.keys()):
            self._assignments += 1
            self._held[partition] = Holding(assignment=self._assignments)
            self._restorer.take(partition, self._assignments)
            deliveries.append(PartitionTaken(partition=partition, assignment=self._assignments))

    def _take_results(self, deliveries: list[Delivery]) -> None:
        for result in self._restorer.results(RESULTS_A_POLL):
            if isinstance(result, Exception):
                raise result
            holding = self._current(result)
            if holding is None:
                continue  # tagged with an older assignment
            match result:
                case Stable():
                    holding.stable, holding.attempts = result, result.attempts
                case RecordsRestored():
                    deliveries.append(result)
                case AllRestored(of=of):
                    holding.restored.add(of)
                    deliveries.append(result)
        self._name_offsets()

    def _current(self, result: Result) -> Holding | None:
        assert not isinstance(result, Exception)
        holding = self._held.get(result.partition)
        return holding if holding is not None and holding.assignment == result.assignment else None

    def _name_offsets(self) -> None:
        """Takeover, step 2: commit the stable offsets again under our name, outside any transaction."""
        waiting = {p: h for p, h in self._held.items() if h.stable is not None and not h.named}
        offsets = []
        for partition, holding in waiting.items():
            if holding.stable is not None and holding.stable.offset is not None:
                metadata = self._transactions.author(attempts=holding.stable.attempts).encode()
                offsets.append(TopicPartition(self._names.commands, partition, holding.stable.offset, metadata))
        if offsets and not self._commit_names(offsets):
            return  # again at the next poll, if they are still ours
        for partition, holding in waiting.items():
            holding.named = True
            self._restorer.named(partition, holding.assignment)

    def _commit_names(self, offsets: list[TopicPartition]) -> bool:
        # The client commits with its metadata of now. Asked just before and after, the member id tells whether that
        # is still what the last callback told of; if not, the next callback says that everything was lost.
        if not self._membership.unchanged():
            return False
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as exception:
            return self._not_named(error_of(exception))
        for answer in answers:
            if answer.error is not None:
                return self._not_named(answer.error)
        return self._membership.unchanged()

    def _not_named(self, error: KafkaError) -> bool:
        if error.code() == KafkaError.FENCED_INSTANCE_ID:
            raise SlotTaken(slot=self._slot, reason=describe(error), doubtful=True)
        if error.code() not in FENCED | ABORTABLE and not is_passing(error):
            raise self._connection.translate(error)
        log.info("takeover_not_named_yet", extra={"slot": self._slot, "reason": describe(error)})
        return False

    # ---- open, commit

    def restore_events(self, *, partition: int, assignment: int, start: int) -> None:
        self._restorer.read_events(partition, assignment, start)

    def open(self, *, partition: int, assignment: int, fallback_offset: int) -> int:
        holding = self._held.get(partition)
        if (
            holding is None
            or holding.assignment != assignment
            or "events" not in holding.restored
            or holding.stable is None
        ):
            return fallback_offset
        if holding.base is None:
            offset = holding.stable.offset
            holding.base = holding.next = self._first_offset(partition, fallback_offset) if offset is None else offset
            if offset is None:
                # So that the next owner learns of this one's death; where it is refused, the next poll tells why.
                name = self._transactions.author().encode()
                self._commit_names([TopicPartition(self._names.commands, partition, holding.base, name)])
            self._fetch(partition, holding)
        return holding.base

    def _first_offset(self, partition: int, fallback: int) -> int:
        """Return where to begin without a committed offset: not before what is left of the topic."""
        place = (self._names.commands, partition)
        asking = backing_off(
            self._timing, retry=lambda e: is_passing(error_of(e)), within_seconds=OPEN_SECONDS, event="log_unavailable"
        )
        try:
            start = asking(self._connection.admin.starts, [place])[place]
        except KafkaException as exception:
            raise self._connection.translate(exception) from exception
        if 0 < fallback < start:
            fields = {"partition": partition, "wanted": fallback, "first_left": start}
            log.error("commands_deleted_before_applied", extra=fields)
        return max(fallback, start)

    def _fetch(self, partition: int, holding: Holding) -> None:
        # The beginning by its name: what stands there may have been deleted since it was asked for.
        if not self._halted:
            self._membership.fetch(partition, offset=holding.next or OFFSET_BEGINNING)

    def commit(self, transaction: Transaction) -> Committed | None:
        group = self._membership.metadata
        if group is None or not self._transactions.ready or not self._fits(transaction):
            fields = {"slot": self._slot, "member": self._membership.member, "offsets": dict(transaction.offsets)}
            log.warning("transaction_not_begun", extra=fields | {"open": sorted(self._open)})
            self._seek_back()
            return None
        match self._transactions.run(transaction, group=group):
            case Outcome.COMMITTED:
                for partition, offset in transaction.offsets.items():
                    self._held[partition].base = offset
                    self._held[partition].attempts = transaction.attempts.get(partition, 0)
                return Committed(ends=self._transactions.event_ends)
            case Outcome.ABORTED:
                self._seek_back()
            case Outcome.FENCED:
                self._note_fenced()
            case Outcome.UNSETTLED:
                log.warning("transaction_unsettled", extra={"slot": self._slot, "partitions": sorted(self._held)})
        return None

    @property
    def _open(self) -> set[int]:
        return {p for p, holding in self._held.items() if holding.base is not None}

    def _fits(self, transaction: Transaction) -> bool:
        """Return whether what is written is for partitions that are open here, and no record is too large."""
        if not transaction.offsets or not transaction.offsets.keys() <= self._open:
            return False
        return all(record_bytes(message) <= self._max_record_bytes for message in transaction.messages)

    def _seek_back(self) -> None:
        for partition, holding in self._held.items():
            if holding.base is not None and holding.next != holding.base:
                holding.next = holding.base
                self._fetch(partition, holding)

    # ---- fenced

    def _note_fenced(self) -> None:
        """Everything is to be taken over anew, once a poll has shown that this process is still a member.

        Who is stopped for longer than its session is fenced by whoever takes over, and is another member after that;
        who is fenced twice as the same member is not.
        """
        now, member = self._timing.now(), self._membership.member
        if self._fenced is not None and self._fenced[0] == member and now - self._fenced[1] < FENCED_TWICE_SECONDS:
            reason = "fenced twice in a minute: two processes share this transactional.id"
            raise SlotTaken(slot=self._slot, reason=reason)
        self._fenced = member, now
        log.warning("fenced", extra={"slot": self._slot, "partitions": sorted(self._held)})

    def _ask_again(self) -> None:
        """After a poll: a new producer, if the group has this process as a member; it would fence another's."""
        now = self._timing.now()
        if self._transactions.ready or now - self._asked_at < ASK_SECONDS:
            return
        self._asked_at = now
        try:
            members = self._connection.admin.members(self._names.processor_group)
        except KafkaException as exception:
            if not is_passing(error_of(exception)):
                raise self._connection.translate(exception) from exception
            return
        mine = {self._membership.member, self._consumer.memberid()}
        others = [m.member_id for m in members if m.instance_id == self._slot and m.member_id not in mine]
        if not others or self._stranger is None or self._stranger[0] != others[0]:
            self._stranger = (others[0], now) if others else None
        elif now - self._stranger[1] >= STRANGER_SECONDS:
            raise SlotTaken(slot=self._slot, reason=f"the group has member {others[0]} in it", doubtful=True)
        if self._membership.unchanged() and any(m.member_id == self._membership.member for m in members):
            self._transactions.renew(within_seconds=RENEW_SECONDS)

    def _fault(self, error: KafkaError, message: KafkaMessage) -> None:
        """What the consumer could not do by itself."""
        code = error.code()
        # A consumer's fatal error comes as _FATAL, without its flag; which one it was stands in its text alone.
        fatal = code == KafkaError._FATAL or error.fatal()
        fenced = fatal and ("Static consumer fenced" in error.str() or "FENCED_INSTANCE_ID" in error.str())
        if fenced or code in (KafkaError.FENCED_INSTANCE_ID, KafkaError.UNRELEASED_INSTANCE_ID):
            raise SlotTaken(slot=self._slot, reason=describe(error), doubtful=True)
        if code in NOT_AUTHORIZED:
            raise self._connection.translate(error)
        if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            where = f"{message.topic() or self._names.commands}[{message.partition()}]"
            raise TopicsUnfit([f"{where}: the committed offset is not in the topic: {error.str()}"])
        if code in UNKNOWN_TOPIC:
            raise TopicsUnfit([f"{self._names.commands}: {error.str()}"])
        if fatal:
            raise self._connection.translate(error)
        if code != KafkaError._PARTITION_EOF:
            log.warning("consumer_fault", extra={"slot": self._slot, "reason": describe(error)})

    def leave(self) -> None:
        member = self._membership.member
        if not member:
            return
        self._say_left()
        self._transactions.close()
        self._membership.unsubscribe()
        deadline = self._timing.now() + LEAVE_SECONDS
        while self._timing.now() < deadline:
            self._consumer.poll(BUSY_SECONDS)
            try:
                members = self._connection.admin.members(self._names.processor_group)
            except KafkaException as exception:
                log.info("leaving_not_seen", extra={"slot": self._slot, "reason": str(exception)})
                return
            if all(m.member_id != member for m in members):
                log.info("left", extra={"slot": self._slot})
                return
        log.warning("not_left", extra={"slot": self._slot})

    def _say_left(self) -> None:
        """So that the next owner does not take this one for dead. In a transaction: an offset that is committed outside
        is only as good as the client's membership of that moment."""
        group = self._membership.metadata
        offsets = {p: offset for p, holding in self._held.items() if (offset := holding.committed) is not None}
        if group is None or not self._transactions.ready or not offsets:
            return
        attempts = {partition: self._held[partition].attempts for partition in offsets}
        with contextlib.suppress(AslError):  # the transaction's own lines tell; the next owner then counts a death
            self._transactions.run(Transaction(offsets=offsets, messages=(), attempts=attempts), group=group, left=True)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._restorer.stop()
        self._transactions.close()
        self._consumer.close()


def committed_metadata(consumer: Consumer, commands: str) -> Callable[[Sequence[int]], Mapping[int, str | None]]:
    """Return what reads the stable commit metadata of partitions; waits while a transaction is pending there."""

    def read(partitions: Sequence[int]) -> Mapping[int, str | None]:
        found = consumer.committed([TopicPartition(commands, p) for p in partitions], CALL_SECONDS)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        return {place.partition: place.metadata for place in found}

    return read
