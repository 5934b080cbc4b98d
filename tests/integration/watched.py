"""Asks roles of a fleet how they stand, as an orchestrator and Prometheus do."""

from __future__ import annotations

import http.client
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.fleet import Fleet, Role

WITHIN_SECONDS = 60.0


def port_of(role: Role) -> int | None:
    """Return where it listens, once it has said so."""
    for line in role.lines():
        if line["event"] == "health_listens":
            port: int = line["port"]
            return port
    return None


class Watched:
    """A role that was started with --health-port 0."""

    def __init__(self, fleet: Fleet, role: Role) -> None:
        self.role, self._fleet = role, fleet
        self.port = fleet.wait(lambda: port_of(role), seconds=WITHIN_SECONDS, what=f"{role.name} listens")

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    @property
    def ready(self) -> bool:
        return self.get("/health/ready")[0] == http.HTTPStatus.OK

    def figures(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return every sample of this name, by its labels."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = (sample for family in families for sample in family.samples)
        return {frozenset(sample.labels.items()): sample.value for sample in samples if sample.name == name}

    def figure(self, name: str, **labels: str) -> float | None:
        return self.figures(name).get(frozenset(labels.items()))

    def total(self, name: str) -> float:
        return sum(self.figures(name).values())

    def sees(self, condition: Callable[[], bool], what: str, *, seconds: float = WITHIN_SECONDS) -> None:
        self._fleet.wait(condition, seconds=seconds, what=what)
