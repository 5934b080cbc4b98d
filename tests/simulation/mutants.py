"""What a broken rule would look like: each takes one rule of the commit cycle or the takeover away.

The first sixteen are those of a formal model of the protocol, which found each harmful or a nuisance over all
interleavings (docs/decisions/0030); the others are sabotage that no check may miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias
from unittest.mock import patch

from confluent_kafka import TopicPartition
from msgspec.structs import replace

from processor.adapters.kafka.clients import GroupMetadata
from processor.adapters.kafka.fencing import Fencing
from processor.adapters.kafka.inbox import KafkaInbox
from processor.adapters.kafka.membership import Membership
from processor.adapters.kafka.restore import Restorer
from processor.adapters.kafka.settings import ClientSettings
from processor.adapters.kafka.transactions import Outcome, Transactions
from processor.engine.coverage import Coverage
from processor.engine.partitions import Partition
from processor.engine.ports import Committed
from processor.engine.processor import Processor
from processor.engine.restoring import Restoring
from processor.interpreter import decide as decide_module
from processor.model.execution import Pending
from tests.simulation.broker import Broker
from tests.simulation.clients import SimulatedAdmin, SimulatedConsumer, SimulatedProducer

Mutant: TypeAlias = Callable[[ExitStack], None]


def metadata_now(stack: ExitStack) -> None:
    """The group metadata of now, not of the last callback."""

    def now(self: Membership) -> GroupMetadata | None:
        return self._consumer.consumer_group_metadata() if self._member else None

    stack.enter_context(patch.object(Membership, "metadata", property(now)))


def no_member_check(stack: ExitStack) -> None:
    """A changed member id means nothing."""
    real = Membership._on_assign

    def on_assign(self: Membership, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._member = consumer.memberid() or ""
        real(self, consumer, partitions)

    stack.enter_context(patch.object(Membership, "_on_assign", on_assign))
    stack.enter_context(patch.object(Membership, "unchanged", lambda self: bool(self.member)))


def side_topics_to_their_stable_end(stack: ExitStack) -> None:
    """Snapshots and closed are read to what is stable, not to the high watermark."""
    _ends(stack, ("snapshots", "closed"))


def restore_to_the_stable_end(stack: ExitStack) -> None:
    """Events are read to what is stable, not to the high watermark."""
    _ends(stack, ("events",))


def _ends(stack: ExitStack, suffixes: tuple[str, ...]) -> None:
    real = SimulatedAdmin.ends

    def ends(self: SimulatedAdmin, places: Any, *, committed: bool) -> Any:
        places = list(places)
        stable = real(self, places, committed=True)
        return {
            place: stable[place] if place[0].endswith(suffixes) else end
            for place, end in real(self, places, committed=committed).items()
        }

    stack.enter_context(patch.object(SimulatedAdmin, "ends", ends))


def offset_of_the_last_event(stack: ExitStack) -> None:
    """Without a committed offset: behind the last command that events name, though others waited."""
    stack.enter_context(patch.object(Restoring, "first_command", property(lambda self: self.next_command)))


def what_events_name_again(stack: ExitStack) -> None:
    """A command that comes again is applied, though events name it."""
    stack.enter_context(patch.object(Partition, "dealt_with", lambda self, record: False))


def counter_unique_per_slot_only(stack: ExitStack) -> None:
    """The commit metadata names the slot, not the process; no taker names itself, none is fenced."""
    real = KafkaInbox.__init__

    def init(self: KafkaInbox, connection: Any, *, transactions: Transactions, slot: str, **more: Any) -> None:
        transactions._process = slot
        real(self, connection, transactions=transactions, slot=slot, **more)

    stack.enter_context(patch.object(KafkaInbox, "__init__", init))
    stack.enter_context(patch.object(KafkaInbox, "_commit_names", lambda self, offsets: True))
    stack.enter_context(patch.object(Fencing, "try_on", lambda self, owner, *, blocked_since: False))


def fence_whoever_is_named(stack: ExitStack) -> None:
    """A blocked taker fences whom the metadata names, member or not."""
    stack.enter_context(patch.object(Fencing, "lives", lambda self, owner: False))


def new_producer_without_asking(stack: ExitStack) -> None:
    """Fenced, it takes the transactional.id again at once."""

    def again(self: KafkaInbox) -> None:
        if not self._transactions.ready:
            self._transactions.renew(within_seconds=5.0)

    stack.enter_context(patch.object(KafkaInbox, "_ask_again", again))


def restore_not_tagged(stack: ExitStack) -> None:
    """What a restore gives counts for whatever assignment there is."""

    def current(self: KafkaInbox, result: Any) -> Any:
        return self._held.get(result.partition)

    def restored(self: Processor, result: Any) -> None:
        partition = self._partitions.get(result.partition)
        real(self, result if partition is None else replace_assignment(result, partition.assignment))

    real = Processor._restore
    stack.enter_context(patch.object(KafkaInbox, "_current", current))
    stack.enter_context(patch.object(Processor, "_restore", restored))


def replace_assignment(result: Any, assignment: int) -> Any:
    return replace(result, assignment=assignment)


def revoked_inside_a_transaction(stack: ExitStack) -> None:
    """It polls between begin and commit, and takes the metadata of then."""
    metadata_now(stack)
    real, commit = SimulatedProducer.send_offsets_to_transaction, KafkaInbox.commit
    consumers: dict[str, Any] = {}  # by process

    def committing(self: KafkaInbox, transaction: Any) -> Committed | None:
        consumer: Any = self._consumer
        consumers[consumer.process.name] = consumer
        return commit(self, transaction)

    def send(producer: SimulatedProducer, positions: Any, group_metadata: Any, timeout: float) -> None:
        consumer = consumers[producer._clients.process.name]
        if consumer._group_moves():
            consumer._serve_rebalance()
            consumer._scheduler.wait(0.3)
        real(producer, positions, consumer.consumer_group_metadata(), timeout)

    stack.enter_context(patch.object(SimulatedProducer, "send_offsets_to_transaction", send))
    stack.enter_context(patch.object(KafkaInbox, "commit", committing))


def unstable_offset(stack: ExitStack) -> None:
    """The committed offset is read without waiting for a pending one."""
    real = SimulatedConsumer.committed

    def committed(self: SimulatedConsumer, partitions: Any, timeout: float) -> Any:
        self._committed, was = False, self._committed
        try:
            return real(self, partitions, timeout)
        finally:
            self._committed = was

    stack.enter_context(patch.object(SimulatedConsumer, "committed", committed))


def offsets_after_the_transaction(stack: ExitStack) -> None:
    """Offsets are committed by the consumer, once the transaction is."""
    commit = KafkaInbox.commit

    def committing(self: KafkaInbox, transaction: Any) -> Committed | None:
        committed = commit(self, transaction)
        if committed is not None:
            name = self._transactions.author().encode()
            self._commit_names(
                [TopicPartition(self._names.commands, p, o, name) for p, o in transaction.offsets.items()]
            )
        return committed

    stack.enter_context(patch.object(SimulatedProducer, "send_offsets_to_transaction", lambda *_: None))
    stack.enter_context(patch.object(KafkaInbox, "commit", committing))


def old_epochs_accepted(stack: ExitStack) -> None:
    """Brokers take what an older producer of the same transactional.id writes."""
    real = Broker.__init__

    def init(self: Broker, *arguments: Any, **more: Any) -> None:
        real(self, *arguments, **more)
        self.rules.old_epochs_accepted = True

    stack.enter_context(patch.object(Broker, "__init__", init))


def continuation_without_offsets(stack: ExitStack) -> None:
    """A transaction that takes no command further sends no offset."""
    real = SimulatedProducer.send_offsets_to_transaction

    def send(self: SimulatedProducer, positions: Any, group_metadata: Any, timeout: float) -> None:
        standing = self._broker.group.offsets
        if any(standing.get(p.partition, (-1,))[0] != p.offset for p in positions):
            real(self, positions, group_metadata, timeout)

    stack.enter_context(patch.object(SimulatedProducer, "send_offsets_to_transaction", send))


def fold_before_commit(stack: ExitStack) -> None:
    """The overlay becomes state before it is known to be committed."""
    commit, fold = Processor._commit, Processor._fold

    def early(self: Processor, overlay: Any, *, now: Any) -> None:
        ends = {n: self._partitions[n].coverage.end for n in overlay.offsets}
        fold(self, overlay, Committed(ends=ends), now=now)
        commit(self, overlay, now=now)

    stack.enter_context(patch.object(Processor, "_commit", early))
    stack.enter_context(patch.object(Processor, "_fold", lambda *_, **__: None))


def watermark_before_offset(stack: ExitStack) -> None:
    """The high watermarks are asked for before the committed offset."""
    ask = Restorer._ask_stable
    early: dict[int, Any] = {}

    def ask_stable(self: Restorer, takes: Sequence[Any], seconds: float) -> bool:
        fresh = [take for take in takes if id(take) not in early]
        places = [(topic, take.partition) for take in fresh for topic in self._topics.values()]
        ends = self._connection.admin.ends(places, committed=False) if places else {}
        for take in fresh:
            early[id(take)] = (take, {of: ends[topic, take.partition] for of, topic in self._topics.items()})
        return ask(self, takes, seconds)

    def watermarks(self: Restorer, takes: Sequence[Any]) -> None:
        for take in takes:
            take.ends = early[id(take)][1]
            self._begin(take, "snapshots")

    stack.enter_context(patch.object(Restorer, "_ask_stable", ask_stable))
    stack.enter_context(patch.object(Restorer, "_read_watermarks", watermarks))


def design_as_written(stack: ExitStack) -> None:
    """An earlier page of the design: metadata of now, no member check, fenced ones do not ask, takers do not name."""
    metadata_now(stack)
    no_member_check(stack)
    new_producer_without_asking(stack)
    fence_whoever_is_named(stack)
    stack.enter_context(patch.object(KafkaInbox, "_commit_names", lambda self, offsets: True))


def producer_reused_after_abort(stack: ExitStack) -> None:
    """No new producer after an abort."""

    def abort(self: Transactions, producer: Any) -> Outcome:
        producer.abort_transaction(5.0)
        self._producer = producer
        return Outcome.ABORTED

    stack.enter_context(patch.object(Transactions, "_abort", abort))


def token_check_off(stack: ExitStack) -> None:
    """A completion counts for whatever task is pending in its scope."""
    real = decide_module._answer

    def answer(execution: Any, command: Any) -> Any:
        id, rest, _ = command.token.rsplit("#", 2)
        for scope in execution.scopes.values():
            if isinstance(scope.phase, Pending):
                command = replace(command, token=f"{id}#{rest}#{scope.phase.sequence}")
        return real(execution, command)

    stack.enter_context(patch.object(decide_module, "_answer", answer))


def checkpoint_ahead_of_snapshots(stack: ExitStack) -> None:
    """A checkpoint says that all is covered, whatever was snapshotted."""
    stack.enter_context(patch.object(Coverage, "covered_without", lambda self, count: self.end))


def read_uncommitted_restore(stack: ExitStack) -> None:
    """What is restored includes what was aborted."""
    real = ClientSettings.loner

    def loner(self: ClientSettings, group: str, *, committed: bool = True) -> Any:
        return real(self, group, committed=committed) | {"isolation.level": "read_uncommitted"}

    stack.enter_context(patch.object(ClientSettings, "loner", loner))


MUTANTS: tuple[Mutant, ...] = (
    metadata_now,
    no_member_check,
    side_topics_to_their_stable_end,
    counter_unique_per_slot_only,
    fence_whoever_is_named,
    new_producer_without_asking,
    restore_not_tagged,
    revoked_inside_a_transaction,
    restore_to_the_stable_end,
    unstable_offset,
    offsets_after_the_transaction,
    old_epochs_accepted,
    continuation_without_offsets,
    fold_before_commit,
    watermark_before_offset,
    design_as_written,
    producer_reused_after_abort,
    token_check_off,
    checkpoint_ahead_of_snapshots,
    read_uncommitted_restore,
    offset_of_the_last_event,
    what_events_name_again,
)


@contextmanager
def broken_by(mutant: Mutant) -> Iterator[None]:
    with ExitStack() as stack:
        mutant(stack)
        yield
