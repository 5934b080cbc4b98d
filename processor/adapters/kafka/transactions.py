"""One transactional producer after another under one transactional.id, and the outcome table.

outcome of a transaction                  then
retriable, and a commit that timed out    the same call again
abortable                                 abort; new producer; ABORTED
expelled, fenced                          no producer until `renew`; FENCED
another process in this slot, no right    SlotTaken, NotAuthorized
unknown                                   new producer, whose init_transactions settles it; the committed
                                          metadata tells which: COMMITTED or ABORTED
not settled in time                       no producer until `renew`; UNSETTLED. All is taken over anew, which needs no
                                          comparison; whoever calls hears a signal meanwhile
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import assert_never

import orjson
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from processor.adapters.kafka.clients import GroupMetadata, Producer, error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.faults import Verdict, describe, judge
from processor.adapters.kafka.timing import backing_off
from processor.engine.ports import Message, Transaction
from processor.errors import SlotTaken

log = logging.getLogger(__name__)

CALL_SECONDS = 5.0
ABORT_SECONDS = 5.0
REPEAT_SECONDS = 30.0
"""How long one call is repeated before its outcome counts as unknown: three transaction timeouts. So long, too, the
settling of it is tried."""


class Outcome(Enum):
    COMMITTED = auto()
    ABORTED = auto()
    FENCED = auto()
    UNSETTLED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """The commit metadata: who committed an offset, in which of its transactions, how many owners have died before it,
    whether its own death would be one of what it tries, and whether it has given up the partition in an orderly way."""

    transactional_id: str
    process: str
    counter: int
    attempts: int = 0
    trying: bool = False
    left: bool = False

    def encode(self) -> str:
        return orjson.dumps(
            {
                "transactional_id": self.transactional_id,
                "process": self.process,
                "counter": self.counter,
                "attempts": self.attempts,
                "trying": self.trying,
                "left": self.left,
            }
        ).decode()


def decode_author(metadata: str | None) -> Author | None:
    """Return who is named; None where nobody is, or not in this way: offsets may be set by tools."""
    try:
        found = orjson.loads(metadata or "")
        return Author(
            transactional_id=str(found["transactional_id"]),
            process=str(found["process"]),
            counter=int(found["counter"]),
            attempts=int(found["attempts"]),
            trying=bool(found.get("trying")),  # this and the next are not told by the first releases
            left=bool(found.get("left")),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


class _Ended(Exception):
    """A call that will not be made again, by its row of the outcome table."""

    def __init__(self, verdict: Verdict, error: KafkaError) -> None:
        super().__init__(describe(error))
        self.verdict, self.error = verdict, error


class Transactions:
    """Writes transactions for one slot. `renew` before the first; `ready` tells whether there is a producer.

    `committed_metadata` reads the stable commit metadata of partitions of `commands`; it may raise KafkaException.
    `process` is random: the counter goes on across producers, so that the pair is never used twice.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        slot: str,
        process: str,
        batch_bytes: int,
        committed_metadata: Callable[[Sequence[int]], Mapping[int, str | None]],
    ) -> None:
        self._connection, self._slot, self._process = connection, slot, process
        self._committed_metadata, self._timing = committed_metadata, connection.timing
        self._commands = connection.names.commands
        self._transactional_id = connection.settings.transactional_id(slot)
        self._settings = connection.settings.transactional(self._transactional_id, batch_bytes=batch_bytes)
        self._events = connection.names.events
        self._counter = 0
        self._producer: Producer | None = None
        self.event_ends: dict[int, int] = {}

    @property
    def ready(self) -> bool:
        return self._producer is not None

    def author(self, *, attempts: int = 0) -> Author:
        """Return the next name to commit under; no two have the same process and counter."""
        self._counter += 1
        return Author(
            transactional_id=self._transactional_id, process=self._process, counter=self._counter, attempts=attempts
        )

    def renew(self, *, within_seconds: float) -> bool:
        """Make a producer and let it take the transactional.id: whoever had it is fenced, what it left open aborted.

        Return False where that took too long, or where another took the id meanwhile. Raises NotAuthorized.
        """
        return self._renew(within_seconds) is None

    def _renew(self, within_seconds: float) -> _Ended | None:
        self._producer = None
        producer = self._connection.producer(self._settings)
        try:
            self._repeat(lambda: producer.init_transactions(CALL_SECONDS), within_seconds=within_seconds)
        except _Ended as ended:
            log.warning(
                "producer_not_renewed", extra={"transactional_id": self._transactional_id, "reason": str(ended)}
            )
            self._raise_if_final(ended)
            return ended
        self._producer = producer
        return None

    def run(self, transaction: Transaction, *, group: GroupMetadata, left: bool = False) -> Outcome:
        """Commit all or nothing, with the group metadata of the last rebalance callback. `event_ends` then tells, per
        partition of events, the position after the last record written there, as far as brokers have said so. `left`:
        nothing follows in these partitions.

        FENCED and UNSETTLED leave no producer; ABORTED leaves a new one. Raises SlotTaken, NotAuthorized.
        """
        producer = self._producer
        assert producer is not None, "renew() comes first"
        author, attempts = replace(self.author(), trying=transaction.trying, left=left), transaction.attempts
        positions = [
            TopicPartition(self._commands, p, offset, replace(author, attempts=attempts.get(p, 0)).encode())
            for p, offset in transaction.offsets.items()
        ]
        try:
            self._once(producer.begin_transaction)
            # Before any record: a stale owner is refused before it has written, and a taker that asks for the stable
            # offset waits for everything that follows.
            self._repeat(lambda: producer.send_offsets_to_transaction(positions, group, CALL_SECONDS))
            self._produce(producer, transaction.messages)
            self._repeat(lambda: producer.commit_transaction(CALL_SECONDS))
        except _Ended as ended:
            return self._settle(ended, producer, offsets=transaction.offsets, author=author)
        return Outcome.COMMITTED

    def close(self) -> None:
        """Let go of the producer; no transaction is open between two calls."""
        self._producer = None

    # ---- calls

    def _produce(self, producer: Producer, messages: Sequence[Message]) -> None:
        produce, self.event_ends = producer.produce, {}
        # Of each partition's last only: a report costs more than a record.
        last = {m.partition: m for m in messages if m.topic == self._events}
        for m in messages:
            partition = -1 if m.partition is None else m.partition
            told = self._delivered if last.get(m.partition) is m else None
            while True:
                try:
                    produce(
                        m.topic,
                        m.value,
                        m.key,
                        partition,
                        on_delivery=told,
                        headers=list(m.headers) if m.headers else None,
                    )
                except BufferError:  # the client's queue is full: let it drain
                    producer.poll(0.05)
                except KafkaException as error:
                    verdict = judge(error_of(error))
                    # Nothing was decided: whatever refuses a record here ends in an abort.
                    raise _Ended(Verdict.ABORT if verdict is Verdict.UNKNOWN else verdict, error_of(error)) from error
                else:
                    break

    def _delivered(self, error: KafkaError | None, message: KafkaMessage) -> None:
        partition, offset = message.partition(), message.offset()
        if error is None and partition is not None and offset is not None:
            self.event_ends[partition] = offset + 1

    def _once(self, call: Callable[[], None]) -> None:
        try:
            call()
        except KafkaException as error:
            raise _Ended(judge(error_of(error)), error_of(error)) from error

    def _repeat(self, call: Callable[[], None], *, within_seconds: float = REPEAT_SECONDS) -> None:
        """Call until it is answered, or for so long that the answer counts as unknown."""
        try:
            try:
                call()
            except KafkaException as exception:
                if judge(error_of(exception)) is not Verdict.REPEAT:
                    raise
                again = backing_off(
                    self._timing,
                    retry=lambda error: judge(error_of(error)) is Verdict.REPEAT,
                    within_seconds=within_seconds,
                    event="transaction_call_repeated",
                )
                again(call)
        except KafkaException as exception:
            error, verdict = error_of(exception), judge(error_of(exception))
            raise _Ended(Verdict.UNKNOWN if verdict is Verdict.REPEAT else verdict, error) from exception

    # ---- the outcome table

    def _settle(self, ended: _Ended, producer: Producer, *, offsets: Mapping[int, int], author: Author) -> Outcome:
        log.warning(
            "transaction_failed",
            extra={"slot": self._slot, "outcome": ended.verdict.name, "reason": str(ended), "offsets": dict(offsets)},
        )
        self._producer = None
        self._raise_if_final(ended)
        match ended.verdict:
            case Verdict.ABORT:
                # Never used again after an abort: librdkafka ends transactions with protocol v1, where a record that
                # is late on the way may end in the producer's next transaction.
                return self._abort(producer)
            case Verdict.FENCED:
                return Outcome.FENCED
            case Verdict.UNKNOWN | Verdict.REPEAT:
                failed = self._renew(REPEAT_SECONDS)
                return self._compare(offsets, author) if failed is None else _without_producer(failed)
            case Verdict.SLOT_TAKEN | Verdict.NOT_AUTHORIZED:
                raise AssertionError("raised above")
            case _:
                assert_never(ended.verdict)

    def _abort(self, producer: Producer) -> Outcome:
        try:
            producer.abort_transaction(ABORT_SECONDS)
        except KafkaException as exception:
            error = error_of(exception)
            self._raise_if_final(_Ended(judge(error), error))
            if judge(error) is Verdict.FENCED:
                return Outcome.FENCED
            # Whatever else: the next init_transactions aborts what is left open.
            log.info("abort_left_to_next_producer", extra={"slot": self._slot, "reason": describe(error)})
        failed = self._renew(REPEAT_SECONDS)
        return Outcome.ABORTED if failed is None else _without_producer(failed)

    def _compare(self, offsets: Mapping[int, int], author: Author) -> Outcome:
        """Tell a committed transaction from an aborted one, now that it is settled.

        One partition that carries our name is enough, a transaction being atomic: another may have been taken over
        since and carry its taker's.
        """
        found: Mapping[int, str | None] = {}

        def read() -> None:
            nonlocal found
            found = self._committed_metadata(tuple(offsets))

        try:
            self._repeat(read)
        except _Ended as ended:
            self._raise_if_final(ended)
            self._producer = None
            return _without_producer(ended)
        authors = [decode_author(metadata) for metadata in found.values()]
        ours = (author.process, author.counter)
        committed = any(a is not None and (a.process, a.counter) == ours for a in authors)
        log.warning("unknown_outcome_settled", extra={"slot": self._slot, "committed": committed})
        return Outcome.COMMITTED if committed else Outcome.ABORTED

    def _raise_if_final(self, ended: _Ended) -> None:
        if ended.verdict is Verdict.SLOT_TAKEN:
            raise SlotTaken(slot=self._slot, reason=str(ended)) from ended
        if ended.verdict is Verdict.NOT_AUTHORIZED:
            raise self._connection.translate(ended.error) from ended


def _without_producer(ended: _Ended) -> Outcome:
    return Outcome.FENCED if ended.verdict is Verdict.FENCED else Outcome.UNSETTLED
