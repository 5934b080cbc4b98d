"""An execution's description as lines for people."""

from __future__ import annotations

from processor.apps.executions import Description
from processor.apps.render.values import counted, render_time
from processor.model.ids import render_scope
from processor.model.json import render_json


def description_lines(description: Description) -> list[str]:
    """Return `name  value` lines; what does not apply is left out."""
    rows = [
        ("execution", description.execution_id),
        ("status", description.status),
        ("revision", description.revision),
        ("started", render_time(description.started_at)),
    ]
    if description.stopped_at is not None:
        rows.append(("stopped", render_time(description.stopped_at)))
    if description.redrive_count:
        times = counted(description.redrive_count, "time")
        rows.append(("redriven", f"{times}, last {render_time(description.redriven_at)}"))
    if description.status not in ("RUNNING", "SUCCEEDED"):  # for these the status says that it cannot be
        reason = f": {description.redrive_status_reason}" if description.redrive_status_reason else ""
        rows.append(("redrive", f"{description.redrive_status}{reason}"))
    if description.quarantined is not None:
        rows.append(("quarantined", description.quarantined))
    for active in description.active:
        scope = render_scope(active.scope)
        place = f"{active.state} [{scope}]" if scope else active.state
        waits = "" if active.token is None else f", token {active.token}"
        rows.append(("in", f"{place} since {render_time(active.entered_at)}{waits}"))
    rows.append(("input", render_json(description.input)))
    if description.status == "SUCCEEDED":
        rows.append(("output", render_json(description.output)))
    rows += [(name, text) for name, text in (("error", description.error), ("cause", description.cause)) if text]
    rows.append(("events", str(description.last_sequence + 1)))
    return [f"{name:<12}{value}" for name, value in rows]
