"""Events as JSON objects and as lines of a table."""

from __future__ import annotations

from processor.apps.render.values import counted, render_short, render_time, struct_json
from processor.model import events as e
from processor.model.ids import render_scope
from processor.model.json import Json


def event_json(event: e.AnyEvent) -> dict[str, Json]:
    """Return {"event": its name, envelope and fields as the Avro schema names them}."""
    return {"event": type(event).__name__, **struct_json(event)}


def render_place(event: e.AnyEvent) -> str:
    """Return where it happened: the state, with the scope it runs in where that is not the top."""
    scope = render_scope(event.scope)
    return f"{event.state} [{scope}]" if scope else event.state


def render_cause(cause: e.Cause) -> str:
    return f"{cause.type} by {cause.issuer}" if cause.issuer else cause.type


def render_details(event: e.AnyEvent) -> str:
    """Return what is worth telling of an event besides its name and place, on one line."""
    match event:
        case e.ExecutionStarted():
            return f"revision {event.revision}, input {render_short(event.input)}"
        case e.ExecutionRedriven():
            return f"revision {event.revision}, redrive {event.redrive_count}"
        case e.ExecutionSucceeded():
            return render_short(event.output)
        case e.StateExited():
            caught = "" if event.catcher is None else f"caught by Catch[{event.catcher}], "
            return f"{caught}next {event.next}" if event.next else f"{caught}end"
        case e.TaskScheduled():
            service = f"{event.resource_type}:" if event.resource_type else ""
            again = f", attempt {event.attempt + 1}" if event.attempt else ""
            return f"{service}{event.resource}{again}"
        case e.TaskSucceeded() | e.TaskSubmitted():
            return render_short(event.output)
        case e.RetryScheduled():
            return f"retry {event.attempt} at {render_time(event.due)} after {event.error}"
        case e.WaitStarted():
            return f"until {render_time(event.due)}"
        case e.ParallelStarted():
            return counted(len(event.first), "branch", plural="branches")
        case e.MapStarted():
            # Where an ItemReader brings them, there are none yet; the event does not tell.
            items = (
                "no items yet" if event.mode == "DISTRIBUTED" and not event.length else counted(event.length, "item")
            )
            return f"{items}, at most {event.max_concurrency} at a time"
        case e.ExecutionQuarantined(reason=reason):
            return reason
        case e.TaskTimedOut():
            return "heartbeat missed" if event.heartbeat else event.error
        case (
            e.ExecutionFailed() | e.ExecutionTimedOut() | e.ExecutionAborted() | e.EvaluationFailed()
            | e.TaskFailed() | e.ParallelFailed() | e.MapFailed() | e.MapIterationFailed() | e.MapRunFailed()
        ):  # fmt: skip
            return render_failure(event.error, event.cause)
        case _:
            return ""


def render_failure(error: str | None, cause: str | None, *, width: int = 160) -> str:
    text = ": ".join(part for part in (error, cause) if part)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
