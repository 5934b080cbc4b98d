"""Builds of the processor that lack one rule each, for `python -m tests.chaos --sabotage NAME`: the run has to show it.

Most are those of the simulation (tests/simulation/mutants.py); where that one changes the simulated broker, here is the
same for the real client.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final
from unittest.mock import patch

from confluent_kafka import TopicPartition

from processor.adapters.kafka.clients import ConfluentAdmin, ConfluentProducer, Place
from tests.simulation import mutants
from tests.simulation.mutants import Mutant


def restore_to_the_stable_end(stack: ExitStack) -> None:
    real = ConfluentAdmin.ends

    def ends(self: ConfluentAdmin, places: Iterable[Place], *, committed: bool) -> Mapping[Place, int]:
        return real(self, places, committed=True)

    stack.enter_context(patch.object(ConfluentAdmin, "ends", ends))


def continuation_without_offsets(stack: ExitStack) -> None:
    real = ConfluentProducer.send_offsets_to_transaction
    sent: dict[int, int] = {}  # by partition, where the last transaction got to

    def send(self: ConfluentProducer, positions: Sequence[TopicPartition], group_metadata: Any, timeout: float) -> None:
        further = {p.partition: p.offset for p in positions if sent.get(p.partition) != p.offset}
        if further:
            real(self, list(positions), group_metadata, timeout)
            sent.update(further)

    stack.enter_context(patch.object(ConfluentProducer, "send_offsets_to_transaction", send))


SABOTAGE: Final[Mapping[str, Mutant]] = {
    mutant.__name__: mutant
    for mutant in (
        restore_to_the_stable_end,
        mutants.metadata_now,
        mutants.producer_reused_after_abort,
        mutants.fold_before_commit,
        continuation_without_offsets,
        mutants.token_check_off,
        mutants.checkpoint_ahead_of_snapshots,
        mutants.read_uncommitted_restore,
    )
}
NONE: Final = "none"


@contextlib.contextmanager
def sabotaged(name: str) -> Iterator[None]:
    """`name`: of SABOTAGE, or NONE."""
    with ExitStack() as stack:
        if name != NONE:
            SABOTAGE[name](stack)
        yield
