"""What every part of one role shares: how clients are made, time, and the errors that no call returns."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException

from processor.adapters.kafka.clients import Admin, Clients, Consumer, Producer, Settings, error_of
from processor.adapters.kafka.faults import NOT_AUTHORIZED, describe, lacking, translate
from processor.adapters.kafka.settings import ClientSettings
from processor.adapters.kafka.timing import Timing
from processor.engine.topics import TopicNames
from processor.errors import AslError, NotAuthorized

log = logging.getLogger(__name__)


class Refusals:
    """Hears of errors that no call returns, and keeps the last refusal of credentials.

    All roles of a log share its admin client: what that one hears counts for each.
    """

    def __init__(self, *, heard_elsewhere: Refusals | None = None) -> None:
        self._heard: KafkaError | None = None
        self._elsewhere = heard_elsewhere

    @property
    def latest(self) -> KafkaError | None:
        return self._heard or (self._elsewhere.latest if self._elsewhere is not None else None)

    def __call__(self, error: KafkaError) -> None:
        if error.code() in NOT_AUTHORIZED:
            self._heard = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            log.warning("brokers_out_of_reach", extra={"reason": describe(error)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One role's: `role` is who is named when it is refused, "processor 0"; `group` and `transactional_id` are what it
    is refused of."""

    role: str
    group: str = ""
    transactional_id: str = ""
    address: str
    settings: ClientSettings
    clients: Clients
    admin: Admin
    timing: Timing
    refusals: Refusals = field(default_factory=Refusals)

    @property
    def names(self) -> TopicNames:
        return self.settings.names

    def consumer(self, settings: Settings) -> Consumer:
        return self.clients.consumer(settings, on_error=self.refusals)

    def producer(self, settings: Settings) -> Producer:
        return self.clients.producer(settings, on_error=self.refusals)

    def translate(self, exception: KafkaException | KafkaError) -> AslError:
        """Return the project's own exception. A request that no broker answers for want of the right credentials only
        times out; the refusal that was heard says more."""
        error = self.refusals.latest or (exception if isinstance(exception, KafkaError) else error_of(exception))
        return self._refused(error) if error.code() in NOT_AUTHORIZED else translate(error, address=self.address)

    def raise_refusal(self) -> None:
        if self.refusals.latest is not None:
            raise self._refused(self.refusals.latest)

    def _refused(self, error: KafkaError) -> NotAuthorized:
        error = lacking(error, "READ", "group", self.group)
        error = lacking(error, "WRITE", "transactional.id", self.transactional_id)
        return NotAuthorized(role=self.role, reason=describe(error))
