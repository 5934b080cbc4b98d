"""Runs a role in this process, or a supervisor of processors, and answers meanwhile how it stands."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import socket

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from processor.apps.roles import Role, StopFlag
    from processor.apps.settings import Settings
    from processor.apps.supervisor import Process
    from processor.engine.ports import Log

    MakeFromLog: TypeAlias = Callable[[Log, Settings], Role]

_log = logging.getLogger("processor.roles")

STDIN = 0


class Health(Protocol):
    """How a role, or a supervisor's workers, stand."""

    @property
    def live(self) -> bool: ...
    @property
    def ready(self) -> bool: ...


class Metrics(Health, Protocol):
    """As adapters.metrics.Watch and its kinds: a Collector too."""

    def collect(self) -> Iterable[Metric]: ...

    def begin(self) -> None: ...


def run(
    name: str,
    make: MakeFromLog,
    settings: Settings,
    *,
    as_json: bool,
    metrics: Metrics,
    supervised: int | None = None,
    **labels: str,
) -> None:
    """Run a role until it is told to stop. Its samples carry the labels.

    `supervised`: the descriptor of a socket to answer at, given by a supervisor that ends when standard input does.
    """
    from processor.adapters.allocator import return_large_blocks
    from processor.adapters.metrics import registry_of
    from processor.apps.journal import log_to_stderr
    from processor.apps.roles import run_role, stopped_by_signals

    return_large_blocks()
    log_to_stderr(as_json=as_json)
    address = settings.required_log()

    def made() -> Role:
        metrics.begin()
        return _Opened(make, settings)

    with stopped_by_signals() as stop, _answering(metrics, registry_of(metrics, **labels), settings, supervised):
        if supervised is not None:
            threading.Thread(target=_stop_with_supervisor, args=(stop,), name="supervised", daemon=True).start()
        fields = {"role": name, "pid": os.getpid(), "address": address, "slot": settings.own_slot}
        _log.info("role_started", extra=fields)
        run_role(name, made, stop)


def supervise(settings: Settings, file: Path | None, *, as_json: bool) -> None:
    """Run a processor in each of the slots until told to stop. `file`: of the settings, where one was named."""
    from prometheus_client import CollectorRegistry

    from processor.apps.health import FleetHealth, listen
    from processor.apps.journal import log_to_stderr
    from processor.apps.roles import stopped_by_signals
    from processor.apps.supervisor import Supervisor, start_process
    from processor.engine.encoding import choose_write_format

    log_to_stderr(as_json=as_json)
    choose_write_format(settings.write_format)  # what no worker could do is refused here
    command = [sys.executable, "-m", "processor.apps.cli", "processor", "--log", settings.required_log()]
    command += ["--prefix", settings.prefix, *(["--json"] if as_json else [])]
    command += [] if file is None else ["--settings", str(file)]
    command += [] if settings.write_format is None else ["--write-format", str(settings.write_format)]
    command += [] if settings.health_port is None else ["--health-port", str(settings.health_port)]

    def start(slot: str) -> tuple[Process, int]:
        # The socket is made here, so that its port is known, and goes with the process: nobody answers for a dead one.
        with listen("127.0.0.1", 0) as listening:
            own = ["--slot", slot, "--supervised", str(listening.fileno())]
            return start_process([*command, *own], keep=[listening.fileno()]), listening.getsockname()[1]

    supervisor = Supervisor(settings.slots, start, grace_seconds=settings.grace_seconds)
    health, registry = FleetHealth(supervisor), CollectorRegistry()
    registry.register(health)
    with stopped_by_signals() as stop, _answering(health, registry, settings):
        _log.info("supervisor_started", extra={"pid": os.getpid(), "slots": list(settings.slots)})
        supervisor.run(stop)
        _log.info("supervisor_stopped")


def _stop_with_supervisor(stop: StopFlag) -> None:
    # Not sys.stdin: its lock, held by a thread that waits, is fatal to an interpreter that ends meanwhile.
    while os.read(STDIN, 1_000):
        pass
    stop.set()


@contextmanager
def _answering(
    health: Health, registry: CollectorRegistry, settings: Settings, supervised: int | None = None
) -> Iterator[None]:
    from processor.apps.health import HealthServer, application

    listening = _listening(settings, supervised)
    if listening is None:
        yield
        return
    host, port = listening.getsockname()[:2]
    answer = application(registry, live=lambda: health.live, ready=lambda: health.ready)
    with HealthServer(listening, answer):
        _log.info("health_listens", extra={"host": host, "port": port})
        yield


def _listening(settings: Settings, supervised: int | None) -> socket.socket | None:
    import socket

    from processor.apps.health import listen

    if supervised is not None:
        return socket.socket(fileno=supervised)
    return None if settings.health_port is None else listen(settings.health_host, settings.health_port)


def _refuse_migrated(log: Log) -> None:
    from processor.engine.topics_setup import refuse_migrated

    reader = log.reader()
    try:
        refuse_migrated(reader, log.names)
    finally:
        reader.close()


class _Opened:
    """A role together with its log, made and closed with it: a log that could not be reached is opened anew."""

    def __init__(self, make: MakeFromLog, settings: Settings) -> None:
        from processor.apps.logs import open_log

        self._log = open_log(settings)
        try:
            _refuse_migrated(self._log)
            self._role = make(self._log, settings)
        except BaseException:
            self._log.close()
            raise

    def run(self, stop: Callable[[], bool]) -> None:
        self._role.run(stop)

    def close(self) -> None:
        try:
            self._role.close()
        finally:
            self._log.close()
