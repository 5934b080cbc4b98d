"""Ends the open transaction of a dead owner: whoever takes a transactional.id aborts what was left open under it."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaException

from processor.adapters.kafka.clients import error_of
from processor.adapters.kafka.connection import Connection
from processor.adapters.kafka.faults import describe

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
"""A dead owner is fenced once for all its partitions; again only if that did not help."""
INIT_SECONDS = 10.0
ASK_SECONDS = 0.5


class Fencing:
    def __init__(self, connection: Connection, *, slot: str) -> None:
        self._connection, self._timing = connection, connection.timing
        self._own = connection.settings.transactional_id(slot)
        self._fenced: dict[str, float] = {}
        self._asked = float("-inf")

    def try_on(self, owner: str | None, *, blocked_since: float) -> bool:
        """Fence `owner` if it is neither this process nor a live member. Return whether it is fenced, now or lately."""
        if owner is None or owner == self._own:
            return False
        now = self._timing.now()
        if now - self._fenced.get(owner, float("-inf")) < AGAIN_SECONDS:
            return True
        if now - self._asked < ASK_SECONDS:
            return False
        self._asked = now
        if self.lives(owner):
            return False
        producer = self._connection.producer(self._connection.settings.transactional(owner))
        try:
            producer.init_transactions(INIT_SECONDS)
        except KafkaException as error:
            log.warning("fencing_failed", extra={"owner": owner, "reason": describe(error_of(error))})
            return False
        done = self._timing.now()
        self._fenced[owner] = done
        log.warning(
            "dead_owner_fenced",
            extra={"owner": owner, "blocked_seconds": round(done - blocked_since, 3), "seconds": round(done - now, 3)},
        )
        return True

    def lives(self, owner: str) -> bool:
        """Return whether a live member of the group, other than this process, has that slot. Members without static
        membership (KIP-848) are known by their client.id."""
        connection = self._connection
        if owner == self._own:
            return False
        members = connection.admin.members(connection.names.processor_group)
        return any(owner in (m.client_id, connection.settings.transactional_id(m.instance_id or "")) for m in members)
