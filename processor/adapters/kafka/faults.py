"""What an error of the Kafka client means, as the outcome table of docs/architecture.md has it."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, TypeAlias

from confluent_kafka import KafkaError

from processor.errors import AslError, LogUnavailable, MessageTooLarge, TopicsUnfit

NOT_AUTHORIZED = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError._AUTHENTICATION,
    )
)
# Another holds the epoch of this transactional.id, or the coordinator aborted and bumped it; or the group has
# expelled the member. In all of them what this process believes about its partitions may be over.
FENCED = frozenset(
    (
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_TXN_STATE,
    )
)
ABORTABLE = frozenset(
    (
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.TRANSACTION_ABORTABLE,
    )
)
TOO_LARGE = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
TIMED_OUT = frozenset((KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT))
# For a moment after a topic's creation or a change of leaders, what the client knows and what brokers know differ.
SETTLING = frozenset(
    (
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
    )
)
# What a broker answers where an ACL is missing, by the kind of what it protects.
_REFUSING: Final = {
    "topic": KafkaError.TOPIC_AUTHORIZATION_FAILED,
    "group": KafkaError.GROUP_AUTHORIZATION_FAILED,
    "transactional.id": KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
Protected: TypeAlias = Literal["topic", "group", "transactional.id"]
UNKNOWN_TOPIC = frozenset((KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION))


class Verdict(Enum):
    REPEAT = auto()  # the same call
    ABORT = auto()  # abort; new producer; seek back
    FENCED = auto()  # no new producer before a poll has shown that this process is still a member
    SLOT_TAKEN = auto()  # exit
    NOT_AUTHORIZED = auto()  # exit
    UNKNOWN = auto()  # new producer; compare the committed metadata with what was sent


def judge(error: KafkaError) -> Verdict:
    """Return the row of the outcome table. Codes come before flags: librdkafka calls an expelled member abortable."""
    code = error.code()
    if code == KafkaError.FENCED_INSTANCE_ID:
        return Verdict.SLOT_TAKEN
    if code in NOT_AUTHORIZED:
        return Verdict.NOT_AUTHORIZED
    if code in FENCED:
        return Verdict.FENCED
    if code in ABORTABLE or error.txn_requires_abort():
        return Verdict.ABORT
    if error.retriable() or code in TIMED_OUT:
        return Verdict.REPEAT
    return Verdict.UNKNOWN


def is_passing(error: KafkaError) -> bool:
    """Return whether asking again later may help, outside any transaction."""
    return error.code() not in NOT_AUTHORIZED | UNKNOWN_TOPIC and not error.fatal()


def translate(error: KafkaError, *, address: str) -> AslError:
    """Return the project's own exception for one that ends what was asked for, and is no refusal."""
    if error.code() in UNKNOWN_TOPIC:
        return TopicsUnfit([f"{error.str()}; asl topics create makes what is missing"])
    if error.code() in TOO_LARGE:
        return MessageTooLarge(address=address, reason=describe(error))
    return LogUnavailable(address=address, reason=describe(error))


class _Named(KafkaError):
    """One that says which right is missing."""


def lacking(error: KafkaError, operation: str, kind: Protected, name: str) -> KafkaError:
    """Return the error with the right that was missing, if that is what it says: brokers and librdkafka do not name it.
    One that names a right already is left as it is."""
    if error.code() != _REFUSING[kind] or isinstance(error, _Named):
        return error
    return _Named(error.code(), f"it lacks {operation} on {kind} {name}")


def describe(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
