"""What the workers of a supervisor tell, as one: each answers at a local port of its own, and is asked when somebody
asks the supervisor. A worker's samples carry its slot as the label `worker`."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from processor.adapters.metrics import counter, gauge
from processor.apps.health.server import LIVE, METRICS, READY
from processor.apps.supervisor import Supervisor, Worker

ASK_SECONDS: Final = 2.0
DEAD_SECONDS: Final = 60.0
"""A supervisor that has not looked after its workers for so long is not alive."""


class FleetHealth:
    """Implements Prometheus's Collector."""

    def __init__(self, supervisor: Supervisor, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._supervisor, self._monotonic = supervisor, monotonic

    @property
    def ready(self) -> bool:
        """Every worker is."""
        return all(answer is not None and answer[0] == http.HTTPStatus.OK for answer in self._ask(READY))

    @property
    def live(self) -> bool:
        """No worker says that it is not: one that does not answer is being started, or will be."""
        tended = self._monotonic() - self._supervisor.tended_at < DEAD_SECONDS
        return tended and all(answer is None or answer[0] == http.HTTPStatus.OK for answer in self._ask(LIVE))

    def collect(self) -> Iterator[Metric]:
        workers = self._supervisor.workers
        yield gauge(
            "asl_worker_up", "Whether the worker's process runs.", ["worker"], {(w.slot,): w.up for w in workers}
        )
        restarts = {(w.slot,): w.restarts for w in workers}
        yield counter("asl_worker_restarts", "How often the worker's process ended by itself.", ["worker"], restarts)
        families: dict[str, Metric] = {}
        for answer in self._ask(METRICS):
            if answer is None:
                continue
            for family in text_string_to_metric_families(answer[1].decode()):
                if (known := families.get(family.name)) is None:
                    families[family.name] = family
                else:
                    known.samples += family.samples
        yield from families.values()

    def _ask(self, path: str) -> list[tuple[int, bytes] | None]:
        workers = self._supervisor.workers
        with ThreadPoolExecutor(len(workers)) as pool:
            return list(pool.map(lambda worker: ask(worker, path), workers))


def ask(worker: Worker, path: str) -> tuple[int, bytes] | None:
    """Return the status and body of the worker's answer; None where it gives none in time."""
    if worker.port is None:
        return None
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
