"""Runs a Worker on a log: its share of the tasks index, read as a table.

A record is a task, its tombstone says that it is resolved. A partition is read from the lowest offset that was
unresolved when its last owner committed, up to what stood there when it was taken; what then has no tombstone is
run, and from there on everything that arrives. A task is run again only by another process, or by Retry under a new
token: the workflow's timeouts are the interpreter's. An index is only an index: a record in it that is no task is
logged, counted and skipped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from processor.apps.worker.executor import Executor, Result, Run
from processor.apps.worker.sdk import TaskContext, Worker
from processor.apps.worker.sender import Sender, Sent
from processor.engine.encoding import decode_task
from processor.engine.ports import (
    CaughtUp,
    Clock,
    FeedDelivery,
    Log,
    PartitionLost,
    PartitionTaken,
    Record,
    RecordArrived,
)
from processor.errors import DecodingFailed, InvalidCommand, UnknownSchema
from processor.model.commands import HeartbeatTask, SubmitTask
from processor.model.ids import Millis, parse_execution_id, parse_task_token
from processor.model.records import Task

DEFAULT_GRACE_SECONDS: Final = 30.0
COMMIT_EVERY_MS: Final = 1_000
_MAX_POLL_SECONDS: Final = 0.5  # how long a stop waits at most
_CLOSING_POLL_SECONDS: Final = 0.05
_ANSWERED_KEPT: Final = 100_000  # tokens answered whose tombstone goes to another owner are not kept for ever
_HEARTBEATS_PER_INTERVAL: Final = 3

_log = logging.getLogger("processor.worker")


class WorkerStanding(Struct, frozen=True, kw_only=True):
    """`ready`: the group has said what is this member's, and all of it has been read. `running`: functions under way
    or waiting for their turn, and results not yet sent; `unresolved`: tasks without a result, other services' too."""

    ready: bool
    counts: Mapping[str, int]
    running: int
    unresolved: int


TellWorker: TypeAlias = Callable[[Callable[[], WorkerStanding]], None]
"""Called after every step; asks for the standing when it wants to know."""


class _Partition:
    """`unresolved`: token → offset, in the order of offsets; other services' tasks too, for a later release of this
    service may have a function for them."""

    def __init__(self) -> None:
        self.caught_up = False
        self.unresolved: OrderedDict[str, int] = OrderedDict()
        self.waiting: dict[str, Task] = {}  # ours, read and not started
        self.position: int | None = None
        self.committed: int | None = None

    def lowest_unresolved(self) -> int | None:
        return next(iter(self.unresolved.values())) if self.unresolved else self.position


class WorkerRunner:
    """One member of the group `<prefix>worker.<service>`."""

    def __init__(
        self,
        log: Log,
        worker: Worker,
        clock: Clock,
        *,
        grace_seconds: float = DEFAULT_GRACE_SECONDS,
        tell: TellWorker | None = None,
    ) -> None:
        """Join the group. Raises LogUnavailable, NotAuthorized, TopicsUnfit as the log's ports do.

        `grace_seconds`: how long `close` waits for functions that still run.
        """
        self._worker, self._clock, self._grace_seconds, self._tell = worker, clock, grace_seconds, tell
        self.counts: Counter[str] = Counter()
        self._partitions: dict[int, _Partition] = {}
        self._runs: dict[str, Run] = {}
        self._beats: dict[str, Millis] = {}  # token → when its next automatic heartbeat is due
        self._answered: OrderedDict[str, None] = OrderedDict()
        # Written by functions' and sender's threads under `_changed`, read by step and drain.
        self._changed = threading.Condition()
        self._finished_runs: deque[Run] = deque()
        self._sent_tokens: deque[str] = deque()
        self._open_answers = 0
        self._commit_due = Millis(0)
        topic = log.names.commands
        self._feed = log.feed(log.names.tasks, group=f"{log.names.prefix}worker.{worker.name}", from_beginning=False)
        self._sender = Sender(log.outbox, topic=topic, sent=self._on_sent)
        self._executor = Executor(concurrency=worker.concurrency, finished=self._on_finished, name=worker.name)

    def step(self, timeout_seconds: float) -> None:
        """Take in what arrives, waiting at most `timeout_seconds`; start what is to be run. Never waits for functions.

        Raises what sending results raised for good (NotAuthorized, TopicsUnfit).
        """
        if self._sender.failure is not None:
            raise self._sender.failure
        self._advance(timeout_seconds, starting=True)
        if self._tell is not None:
            self._tell(self.standing)

    def standing(self) -> WorkerStanding:
        partitions = self._partitions.values()
        return WorkerStanding(
            ready=self._feed.settled and all(p.caught_up for p in partitions),
            counts=dict(self.counts),
            running=self._open_answers,
            unresolved=sum(len(p.unresolved) for p in partitions),
        )

    def run(self, stop: Callable[[], bool]) -> None:
        """Step until `stop()`; it is asked at least twice a second."""
        while not stop():
            self.step(_MAX_POLL_SECONDS)

    def drain(self, *, timeout_seconds: float) -> bool:
        """Wait until nothing runs and every result is durable; return whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout=timeout_seconds)

    def close(self) -> None:
        """Start nothing more, wait for what runs, send its results, leave the group. What has not ended within the
        grace is abandoned: the partition's next owner runs it again."""
        deadline = time.monotonic() + self._grace_seconds
        for run in list(self._runs.values()):
            if not run.started:
                run.cancel()
        # Polling goes on, or the group would give the running tasks to others.
        while not self._is_idle() and time.monotonic() < deadline and self._sender.failure is None:
            self._advance(_CLOSING_POLL_SECONDS, starting=False)
        if not self._is_idle():
            _log.warning("runs_abandoned", extra={"count": len(self._runs)})
        self._executor.close()
        self._sender.close(timeout_seconds=5.0)
        self._settle()
        self._commit(at_once=True)
        self._feed.close()

    def _advance(self, timeout_seconds: float, *, starting: bool) -> None:
        for delivery in self._feed.poll(timeout_seconds=self._patience(timeout_seconds)):
            self._apply(delivery)
        self._settle()
        for partition in self._partitions.values():
            if starting and partition.caught_up and partition.waiting:
                self._start(partition)
        self._beat()
        self._commit()

    # ---- the table

    def _apply(self, delivery: FeedDelivery) -> None:
        match delivery:
            case PartitionTaken(partition=number):
                self._partitions[number] = _Partition()
            case RecordArrived(record=record):
                if (partition := self._partitions.get(record.partition)) is not None:
                    self._take(partition, record)
            case CaughtUp(partition=number):
                self._partitions[number].caught_up = True
                waiting = len(self._partitions[number].waiting)
                _log.info("partition_read", extra={"partition": number, "waiting": waiting})
            case PartitionLost(partition=number):
                # What runs goes on: the first result of a token counts, whoever gives it.
                self._partitions.pop(number, None)

    def _take(self, partition: _Partition, record: Record) -> None:
        partition.position = record.offset + 1
        try:
            token = _token_of(record)
            task = None if record.value is None else _task_of(record.value, token)
        except (UnicodeDecodeError, InvalidCommand, DecodingFailed) as fault:
            self.counts["skipped"] += 1
            fields = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            _log.error("task_skipped", extra=fields | {"reason": str(fault)})
            if isinstance(fault, UnknownSchema):  # a newer release wrote it, and will find it there
                partition.unresolved[(record.key or b"").decode()] = record.offset
            return
        partition.unresolved.pop(token, None)
        if task is None:
            partition.waiting.pop(token, None)
            self._answered.pop(token, None)
            if (run := self._runs.get(token)) is not None:
                run.cancel()
            return
        partition.unresolved[token] = record.offset
        if self._worker.registration_for(task) is not None:
            partition.waiting[token] = task

    def _start(self, partition: _Partition) -> None:
        for token, task in partition.waiting.items():
            registration = self._worker.registration_for(task)
            if registration is None or token in self._runs or token in self._answered:
                continue
            context = TaskContext(task, send=self._sender.put, worker=self._worker.name)
            run = Run(task, registration, context, issuer=self._worker.name)
            self._runs[token] = run
            if task.kind == "ACTIVITY":
                context.heartbeat()  # AWS's activities start when a worker polls them: the first heartbeat says so
            if registration.heartbeat and task.heartbeat_seconds is not None:
                self._beats[token] = self._next_beat(task.heartbeat_seconds)
            with self._changed:
                self._open_answers += 1
            self._executor.start(run)
        partition.waiting.clear()

    def _commit(self, *, at_once: bool = False) -> None:
        """The next owner begins at the lowest offset that is neither resolved nor answered."""
        now = self._clock.now()
        if now < self._commit_due and not at_once:
            return
        self._commit_due = Millis(now + COMMIT_EVERY_MS)
        for number, partition in self._partitions.items():
            offset = partition.lowest_unresolved()
            # Before all was read, the table may lack what the last owner left behind.
            if partition.caught_up and offset is not None and offset != partition.committed:
                self._feed.commit(partition=number, offset=offset)
                partition.committed = offset

    # ---- what other threads report

    def _on_finished(self, run: Run, result: Result | None) -> None:
        if run.context.cancelled:
            result = None  # it would only be rejected
        with self._changed:
            self._finished_runs.append(run)
            if result is None:
                self._open_answers -= 1
                self._changed.notify_all()
        if result is not None:
            self._sender.put(result)

    def _on_sent(self, command: Sent) -> None:
        if isinstance(command, HeartbeatTask) or self._is_page(command):
            return
        with self._changed:
            self._sent_tokens.append(command.token)
            self._open_answers -= 1
            self._changed.notify_all()

    def _is_page(self, command: Sent) -> bool:
        """Whether it is one page of several: an ItemReader's function goes on after it."""
        run = self._runs.get(command.token)
        return isinstance(command, SubmitTask) and run is not None and run.task.kind == "ITEM_READER"

    def _is_idle(self) -> bool:
        return self._open_answers == 0

    def _settle(self) -> None:
        with self._changed:
            sent, finished = list(self._sent_tokens), list(self._finished_runs)
            self._sent_tokens.clear()
            self._finished_runs.clear()
        for run in finished:
            self._beats.pop(run.task.token, None)
            if run.context.cancelled:
                self._runs.pop(run.task.token, None)
        for token in sent:
            answered = self._runs.pop(token, None)
            if answered is None or answered.context.cancelled:
                continue  # its tombstone has come already
            self._answered[token] = None
            for partition in self._partitions.values():
                partition.unresolved.pop(token, None)
        while len(self._answered) > _ANSWERED_KEPT:
            self._answered.popitem(last=False)

    # ---- automatic heartbeats

    def _next_beat(self, heartbeat_seconds: int) -> Millis:
        return Millis(self._clock.now() + heartbeat_seconds * 1000 // _HEARTBEATS_PER_INTERVAL)

    def _beat(self) -> None:
        now = self._clock.now()
        for token, due in list(self._beats.items()):
            run = self._runs.get(token)
            if due <= now and run is not None and run.task.heartbeat_seconds is not None:
                self._beats[token] = self._next_beat(run.task.heartbeat_seconds)
                # One that waits for its turn is not yet worked on: its HeartbeatSeconds may well pass.
                if run.started:
                    run.context.heartbeat()

    def _patience(self, timeout_seconds: float) -> float:
        due = min(self._beats.values(), default=None)
        return timeout_seconds if due is None else min(timeout_seconds, max(0.0, (due - self._clock.now()) / 1000))


def _token_of(record: Record) -> str:
    token = (record.key or b"").decode()
    parse_execution_id(parse_task_token(token)[0])
    return token


def _task_of(value: bytes, token: str) -> Task:
    task = decode_task(value)
    if (task.token, task.execution_id) != (token, parse_task_token(token)[0]):
        raise InvalidCommand(where="token", rule=f"must be the record's key, {token}", value=task.token)
    return task
