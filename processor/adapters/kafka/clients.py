"""Every call of the Kafka client that this adapter makes, as narrow protocols, and the factory of the real ones.

Consumer and Producer have confluent-kafka's own names, so that its classes satisfy them as they are; what arrives
and leaves are its plain data classes, which a simulated broker can make too. Admin is blocking and small.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock, Thread, Timer
from typing import Any, Literal, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar, cast

import confluent_kafka
from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there, but not exported to type checkers
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from processor.adapters.kafka.faults import Protected, lacking
from processor.adapters.kafka.quiet import library_logger
from processor.errors import InvalidSettings

Settings: TypeAlias = dict[str, str | int | bool]
OnError: TypeAlias = Callable[[KafkaError], None]
OnRebalance: TypeAlias = Callable[["Consumer", list[TopicPartition]], None]
OnDelivery: TypeAlias = Callable[[KafkaError | None, Message], None]
GroupMetadata: TypeAlias = object
"""Opaque: made by the subscribed consumer, handed to the producer."""

Place: TypeAlias = tuple[str, int]
"""Topic and partition."""

T = TypeVar("T")
P = ParamSpec("P")

REQUEST_SECONDS = 5.0
"""How long one question to the cluster may take before it counts as unanswered."""
COORDINATOR_SECONDS = 3_600.0
"""How long librdkafka may go on with one to a group's coordinator: the most that it takes. See ConfluentAdmin."""
COORDINATORS = "__consumer_offsets"
"""The topic whose leaders are the groups' coordinators."""
LEADERS_SECONDS = 1.0
"""How long the question for leaders may take, and for how long its answer is good."""
BOOTSTRAP_TRIES = 4
MOST_UNANSWERED = 6
"""Questions to coordinators: with so many under way a new client is made every RENEW_SECONDS only. Each has threads."""
RENEW_SECONDS = 30.0
NOT_COORDINATOR_SECONDS = 5.0
"""How soon after one client was made for that reason the next may be."""
IN_FLIGHT_SECONDS = 60.0
"""Within this all is answered that a client was asked when it was replaced, but for questions to coordinators."""
LATE_SECONDS = 1.0
"""How long past its timeout a call may return, before it counts as one that never will."""


class Consumer(Protocol):
    def subscribe(
        self, topics: list[str], *, on_assign: OnRebalance, on_revoke: OnRebalance, on_lost: OnRebalance
    ) -> None: ...
    def unsubscribe(self) -> None: ...
    def poll(self, timeout: float) -> Message | None: ...
    def consume(self, num_messages: int, timeout: float) -> list[Message]: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_assign(self, partitions: list[TopicPartition]) -> None: ...
    def incremental_unassign(self, partitions: list[TopicPartition]) -> None: ...
    def seek(self, partition: TopicPartition) -> None: ...
    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]: ...
    def commit(
        self, *, offsets: list[TopicPartition], asynchronous: Literal[True, False]
    ) -> list[TopicPartition] | None: ...
    def consumer_group_metadata(self) -> GroupMetadata: ...
    def memberid(self) -> str | None: ...
    def list_topics(self, topic: str, timeout: float) -> object: ...
    def close(self) -> None: ...


class Producer(Protocol):
    def init_transactions(self, timeout: float) -> None: ...
    def begin_transaction(self) -> None: ...
    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: GroupMetadata, timeout: float
    ) -> None: ...
    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        *,
        on_delivery: OnDelivery | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None: ...
    def commit_transaction(self, timeout: float) -> None: ...
    def abort_transaction(self, timeout: float) -> None: ...
    def poll(self, timeout: float) -> int: ...
    def flush(self, timeout: float) -> int: ...


class Member(NamedTuple):
    member_id: str
    instance_id: str | None
    client_id: str


class TopicState(NamedTuple):
    """`led`: every partition has a leader, so that it can be read and written. `allowed`: what this client may do with
    it, by the names that ACLs have for it; None where the broker does not tell."""

    partitions: int
    replication: int
    led: bool = True
    allowed: frozenset[str] | None = None


class NewTopicSettings(NamedTuple):
    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Admin(Protocol):
    """Blocking; raises KafkaException. A group's offsets are asked of a consumer: librdkafka 2.16's admin client ends
    the process with a segmentation fault where a broker answers that it is not the coordinator (docs/decisions/0039).
    """

    def brokers(self) -> int: ...
    def topics(self, names: Iterable[str]) -> Mapping[str, TopicState]:
        """Those that exist; asking creates none."""

    def configs(self, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]: ...
    def create(self, topics: Sequence[NewTopicSettings]) -> Sequence[str]:
        """Return the names of those that were not there before."""

    def starts(self, places: Iterable[Place]) -> Mapping[Place, int]:
        """The first offset that is left in each."""

    def ends(self, places: Iterable[Place], *, committed: bool) -> Mapping[Place, int]:
        """The last stable offset of each, or else the high watermark."""

    def members(self, group: str) -> Sequence[Member]: ...
    def groups(self) -> Sequence[str]: ...


class Clients(Protocol):
    """Makes clients. `on_error` hears of what no call returns: brokers out of reach, refused credentials."""

    def consumer(self, settings: Settings, *, on_error: OnError) -> Consumer: ...
    def producer(self, settings: Settings, *, on_error: OnError) -> Producer: ...
    def admin(self, settings: Settings, *, on_error: OnError) -> Admin: ...


class ConfluentClients:
    """The real ones."""

    def consumer(self, settings: Settings, *, on_error: OnError) -> Consumer:
        return cast(Consumer, _make(confluent_kafka.Consumer, settings, on_error))

    def producer(self, settings: Settings, *, on_error: OnError) -> Producer:
        return cast(Producer, _make(ConfluentProducer, settings, on_error))

    def admin(self, settings: Settings, *, on_error: OnError) -> Admin:
        return ConfluentAdmin(lambda: _make(AdminClient, settings, on_error))


def _make(kind: Callable[[dict[str, Any]], T], settings: Settings, on_error: OnError) -> T:
    try:
        return kind({**settings, "error_cb": on_error, "logger": library_logger()})
    except KafkaException as exception:
        # Nothing is connected yet: only a property, or a file that one names, can be wrong.
        raise InvalidSettings(
            setting="kafka properties",
            rule=f"must be librdkafka's ({error_of(exception).str()})",
            example="security.protocol=SSL",
        ) from exception


_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the library's
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library's


class ConfluentProducer(confluent_kafka.Producer):
    """librdkafka's, which would wait for a group coordinator that it has decommissioned without heeding the timeout
    (docs/decisions/0039): that call then ends here in an error after which this producer is of no more use."""

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: Any, timeout: float = REQUEST_SECONDS
    ) -> None:
        send = super().send_offsets_to_transaction
        within(lambda: send(positions, group_metadata, timeout), seconds=timeout + LATE_SECONDS)


def within(call: Callable[[], None], *, seconds: float) -> None:
    """Raise what `call` raises. Where it takes longer, raise KafkaException with _FAIL, and leave it to its thread."""
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            call()
        except BaseException as raised:  # whatever it is, is the caller's
            ended.put(raised)
        else:
            ended.put(None)

    Thread(target=run, name="call-that-may-not-return", daemon=True).start()
    try:
        raised = ended.get(timeout=seconds)
    except queue.Empty:
        raise KafkaException(KafkaError(KafkaError._FAIL, f"the call has not returned in {seconds:g} s")) from None
    if raised is not None:
        raise raised


def _past_bootstrap(ask: Callable[P, T]) -> Callable[P, T]:
    """Ask again where librdkafka has just let go of the handle that it asked: that of a bootstrap server, of which it
    knows by now which broker it is."""

    @functools.wraps(ask)
    def asking(*of: P.args, **named: P.kwargs) -> T:
        for _ in range(BOOTSTRAP_TRIES - 1):
            try:
                return ask(*of, **named)
            except KafkaException as exception:
                if error_of(exception).code() != KafkaError._DESTROY_BROKER:
                    raise
        return ask(*of, **named)

    return asking


class ConfluentAdmin:
    """Where a question to a group's coordinator is not answered in time, or by one that is none any more, the next is
    asked by a new client: an old one may go on asking the coordinator that it once knew. And that client is held for as
    long as its question is under way, whose own timeout is beyond that: librdkafka ends the process where a coordinator
    is found for a question that it has given up, and may where a client ends that looks for one (docs/decisions/0039).
    Several threads may ask at once.
    """

    def __init__(
        self,
        make: Callable[[], AdminClient],
        *,
        now: Callable[[], float] = time.monotonic,
        in_flight_seconds: float = IN_FLIGHT_SECONDS,
    ) -> None:
        self._make, self._client, self._now, self._in_flight_seconds = make, make(), now, in_flight_seconds
        self._leaders_good_until: dict[str, float] = {}  # by topic
        self._lock = Lock()  # for which client is asked, and what is below
        self._unanswered: list[Future[Any]] = []  # by coordinators, of any client
        self._stuck: Future[Any] | None = None  # of the present client
        self._renewed_at = float("-inf")

    @_past_bootstrap
    def brokers(self) -> int:
        self._client.poll(0)  # its log lines and errors wait for this
        return len(self._result(self._client.describe_cluster(request_timeout=REQUEST_SECONDS)).nodes)

    @_past_bootstrap
    def topics(self, names: Iterable[str]) -> Mapping[str, TopicState]:
        self._client.poll(0)
        answers = self._client.describe_topics(
            TopicCollection(list(names)), request_timeout=REQUEST_SECONDS, include_authorized_operations=True
        )
        found = {}
        for name, answer in answers.items():
            try:
                topic = self._result(answer)
            except KafkaException as error:
                code = error_of(error).code()
                if code != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise _named(error, "DESCRIBE", "topic", name) from error
            else:
                partitions, may = topic.partitions, topic.authorized_operations
                found[name] = TopicState(
                    partitions=len(partitions),
                    replication=min(len(p.replicas) for p in partitions),
                    led=all(p.leader is not None for p in partitions),
                    allowed=None if may is None else frozenset(operation.name for operation in may),
                )
        return found

    @_past_bootstrap
    def configs(self, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        self._client.poll(0)
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._client.describe_configs(resources, request_timeout=REQUEST_SECONDS)
        found = {}
        for resource, answer in answers.items():
            try:
                found[resource.name] = {key: entry.value for key, entry in self._result(answer).items()}
            except KafkaException as error:
                raise _named(error, "DESCRIBE_CONFIGS", "topic", resource.name) from error
        return found

    def create(self, topics: Sequence[NewTopicSettings]) -> Sequence[str]:
        self._client.poll(0)
        wanted = [NewTopic(t.name, t.partitions, t.replication, config=dict(t.config)) for t in topics]
        # The operation timeout waits until the new topics stand on all brokers.
        answers = self._client.create_topics(wanted, request_timeout=30.0, operation_timeout=20.0)
        created = []
        for name, answer in answers.items():
            try:
                self._result(answer)
            except KafkaException as error:
                if error_of(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise _named(error, "CREATE", "topic", name) from error
            else:
                created.append(name)
        return created

    def starts(self, places: Iterable[Place]) -> Mapping[Place, int]:
        return self._offsets(places, _EARLIEST, IsolationLevel.READ_UNCOMMITTED)

    def ends(self, places: Iterable[Place], *, committed: bool) -> Mapping[Place, int]:
        isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(places, _LATEST, isolation)

    def members(self, group: str) -> Sequence[Member]:
        try:
            members = self._of_coordinator(
                lambda client: client.describe_consumer_groups([group], request_timeout=COORDINATOR_SECONDS)[group]
            ).members
        except KafkaException as error:
            if error_of(error).code() == KafkaError.GROUP_ID_NOT_FOUND:
                return ()
            raise _named(error, "DESCRIBE", "group", group) from error
        return [Member(m.member_id, m.group_instance_id, m.client_id) for m in members]

    @_past_bootstrap
    def groups(self) -> Sequence[str]:
        self._client.poll(0)
        answer = self._result(self._client.list_consumer_groups(request_timeout=REQUEST_SECONDS))
        if answer.errors:
            raise answer.errors[0]
        return sorted(group.group_id for group in answer.valid)

    def _of_coordinator(self, ask: Callable[[AdminClient], Future[Any]]) -> Any:
        client = self._for_coordinators()
        client.poll(0)
        future = ask(client)
        held = [client]  # by the future, which librdkafka holds
        future.add_done_callback(lambda _: _let_go(held))
        try:
            return future.result(timeout=REQUEST_SECONDS)
        except TimeoutError:
            with self._lock:
                self._unanswered.append(future)
                if self._client is client:
                    self._stuck = future
            client.poll(0)
            raise _no_coordinator() from None
        except KafkaException as exception:
            client.poll(0)
            # It would go on asking that one.
            if error_of(exception).code() == KafkaError.NOT_COORDINATOR:
                self._renew(client, not_within_seconds=NOT_COORDINATOR_SECONDS)
            raise

    def _for_coordinators(self) -> AdminClient:
        with self._lock:
            self._unanswered = [future for future in self._unanswered if not future.done()]
            client, stuck, many = self._client, self._stuck, len(self._unanswered) >= MOST_UNANSWERED
        if stuck is None or stuck.done():
            return client
        # Where nobody answers at all there is nothing that a new client could do better.
        client.list_topics(COORDINATORS, timeout=LEADERS_SECONDS)
        if not self._renew(client, not_within_seconds=RENEW_SECONDS if many else 0.0):
            try:
                stuck.exception(timeout=REQUEST_SECONDS)
            except TimeoutError:
                raise _no_coordinator() from None
        return self._client

    def _renew(self, client: AdminClient, *, not_within_seconds: float) -> bool:
        """Have a new client asked instead of this one, if that has not been done, nor for another one so shortly ago;
        return whether it has."""
        with self._lock:
            if self._client is not client:
                return True
            if self._now() - self._renewed_at < not_within_seconds:
                return False
            self._client, self._stuck, self._renewed_at = self._make(), None, self._now()
        self._leaders_good_until.clear()
        _let_go([client], after_seconds=self._in_flight_seconds)  # others may be asking it
        return True

    def _result(self, future: Future[T]) -> T:
        # The request has its own timeout; a future that outlives it by far would be the client's fault.
        try:
            return future.result(timeout=REQUEST_SECONDS + 60)
        except KafkaException:
            self._client.poll(0)  # why there was no answer is told to `on_error`, and only here
            raise

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec, isolation: IsolationLevel) -> Mapping[Place, int]:
        self._client.poll(0)
        wanted = {TopicPartition(topic, partition): spec for topic, partition in places}
        for topic in {place.topic for place in wanted}:
            self._learn_leaders(topic)
        answers = self._client.list_offsets(wanted, isolation_level=isolation, request_timeout=REQUEST_SECONDS)
        found = {}
        for place, answer in answers.items():
            try:
                offset = self._result(answer).offset
            except KafkaException as error:
                self._leaders_good_until.pop(place.topic, None)
                if error_of(error).code() == KafkaError._NOENT:  # of a topic that is not there, or is not to be seen
                    self.topics([place.topic])
                raise _named(error, "DESCRIBE", "topic", place.topic) from error
            if offset < 0:
                self._leaders_good_until.pop(place.topic, None)
                # So does librdkafka 2.16 answer where the leader did not, and without an error: taken for an end, a
                # partition would be restored as if it were empty.
                raise KafkaException(_no_leader(place))
            found[place.topic, place.partition] = offset
        return found

    def _learn_leaders(self, topic: str) -> None:
        """The client goes on asking the leaders that it once knew: a dead one costs REQUEST_SECONDS, and one that came
        back refuses the old epoch for minutes. Where nobody answers, it is tried with those all the same."""
        if self._now() < self._leaders_good_until.get(topic, 0.0):
            return
        with contextlib.suppress(KafkaException):
            self._client.list_topics(topic, timeout=LEADERS_SECONDS)
            self._leaders_good_until[topic] = self._now() + LEADERS_SECONDS


def _let_go(held: list[AdminClient], *, after_seconds: float = 0.0) -> None:
    """In a thread: where that was the last reference, the client's end waits for its connections."""
    letting_go = Timer(after_seconds, held.clear)
    letting_go.name, letting_go.daemon = "client-let-go", True
    letting_go.start()


def _no_coordinator() -> KafkaException:
    text = f"the coordinator has not answered in {REQUEST_SECONDS:g} s"
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, text))


def _no_leader(place: TopicPartition) -> KafkaError:
    return KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"no answer of the leader of {place.topic}[{place.partition}]")


def _named(exception: KafkaException, operation: str, kind: Protected, name: str) -> KafkaException:
    return KafkaException(lacking(error_of(exception), operation, kind, name))


def error_of(exception: KafkaException) -> KafkaError:
    """Return the error that the client wraps."""
    error: KafkaError = exception.args[0]
    return error
