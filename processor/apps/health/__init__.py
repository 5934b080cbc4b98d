"""How a role is watched over: what it tells, and where (docs/operations.md)."""

from processor.apps.health.fleet import FleetHealth
from processor.apps.health.roles import JanitorMetrics, TimersMetrics, WorkerMetrics
from processor.apps.health.server import HealthServer, application, listen
from processor.apps.health.surveyor import Surveyed, Surveyor

__all__ = [
    "FleetHealth",
    "HealthServer",
    "JanitorMetrics",
    "Surveyed",
    "Surveyor",
    "TimersMetrics",
    "WorkerMetrics",
    "application",
    "listen",
]
