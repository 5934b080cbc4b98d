"""Every role in this process, on one log: what `asl run` and `asl dev` are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from processor.adapters.clock import OsEntropy, SystemClock
from processor.adapters.jsonata_sandbox import ProcessSandbox
from processor.apps.roles import Roles
from processor.apps.timers import TimerService
from processor.apps.worker import TaskContext, Worker, WorkerRunner
from processor.apps.worker.executor import Result, Run
from processor.engine.index import task_of
from processor.engine.ports import Entropy, Log, Reader, Record
from processor.engine.processor import Processor
from processor.model.commands import HeartbeatTask, SubmitTask
from processor.model.events import TaskScheduled


def start_roles(
    roles: Roles,
    log: Log,
    workers: Sequence[Worker],
    *,
    slot: str,
    grace_seconds: float,
    entropy: Entropy | None = None,
) -> None:
    """Start a processor, a timer service and the workers, a thread each; `roles.close` ends them. `entropy` None: the
    system's."""
    clock = SystemClock()
    roles.start(
        "processor",
        lambda: Processor(log=log, clock=clock, entropy=entropy or OsEntropy(), slot=slot, sandbox=ProcessSandbox()),
    )
    roles.start("timers", lambda: TimerService(log, clock))
    for worker in workers:
        _start_worker(roles, log, worker, grace_seconds)


def _start_worker(roles: Roles, log: Log, worker: Worker, grace_seconds: float) -> None:
    roles.start(f"worker-{worker.name}", lambda: WorkerRunner(log, worker, SystemClock(), grace_seconds=grace_seconds))


def has_function_for(event: TaskScheduled, workers: Sequence[Worker]) -> bool:
    return any(worker.registration_for(event) is not None for worker in workers)


def call_worker(
    event: TaskScheduled, workers: Sequence[Worker]
) -> tuple[HeartbeatTask | SubmitTask | Result, ...] | None:
    """Call the task's function here and now; return the commands that a worker would send for it, None where no worker
    has a function for it.

    Pages that it submits come before its result. Heartbeats that it sends go nowhere: whoever calls it so has a clock
    that stands still meanwhile.
    """
    task = task_of(event)
    for worker in workers:
        registration = worker.registration_for(task)
        if registration is None:
            continue
        sent: list[HeartbeatTask | SubmitTask] = []
        context = TaskContext(task, send=sent.append, worker=worker.name)
        run = Run(task, registration, context, issuer=worker.name)
        result = asyncio.run(run.call_async()) if registration.is_async else run.call()
        commands = *(command for command in sent if isinstance(command, SubmitTask)), result
        if task.kind != "ACTIVITY":
            return commands
        # AWS's activities start when a worker polls them: the first heartbeat says so.
        return HeartbeatTask.of(event, worker=worker.name), *commands
    return None


class Tail:
    """What is written to a topic, all partitions, from now on."""

    def __init__(self, reader: Reader, topic: str) -> None:
        self._reader, self._topic = reader, topic
        self._next = {p: reader.end(topic, p) for p in range(reader.partitions(topic) or 0)}

    def read(self) -> list[Record]:
        """Return what has come since the last call, in order within a partition."""
        records: list[Record] = []
        for partition, start in self._next.items():
            for record in self._reader.read(self._topic, partition, start=start):
                self._next[partition] = record.offset + 1
                records.append(record)
        return records
