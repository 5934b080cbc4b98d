"""The graph as JSON, for other tools: what the other formats are drawn from."""

from __future__ import annotations

from processor.apps.render.graph import Scope
from processor.apps.render.graph_visits import Visit, Visits
from processor.apps.render.values import struct_json
from processor.model.json import Json


def graph_json(graph: Scope, *, visits: Visits | None = None) -> dict[str, Json]:
    """Return the graph's fields as they are called in `graph`; of what was run `visits` by state, with `outcome` and
    `active`, and `ways` with how often each was taken."""
    told: dict[str, Json] = struct_json(graph)
    if visits is None:
        return told
    states: dict[str, Json] = {name: _visit_json(visit) for name, visit in visits.states.items()}
    ways: list[Json] = [
        {"source": source, "target": target, "catcher": catcher, "times": times}
        for (source, target, catcher), times in visits.ways.items()
    ]
    return {**told, "visits": states, "ways": ways}


def _visit_json(visit: Visit) -> dict[str, Json]:
    told = {**struct_json(visit), "active": visit.active, "outcome": visit.outcome}
    del told["last"]  # the outcome tells it
    return told
