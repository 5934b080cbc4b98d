"""How outcomes are shown, the same in every format: a colour, a sign, a word, and counts where there is more to say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from processor.apps.render.graph_visits import Outcome, Visit
from processor.apps.render.values import counted


class Mark(Struct, frozen=True, kw_only=True):
    """`fill` and `line` are colours of a drawing, `style` is the terminal's."""

    word: str
    sign: str
    fill: str
    line: str
    style: str


# The colours follow those of AWS's console: green, red, orange, blue. A sign besides, for who sees no colours.
MARKS: Final[Mapping[Outcome, Mark]] = MappingProxyType({
    "SUCCEEDED": Mark(word="succeeded", sign="✓", fill="#d5f0d8", line="#1d8102", style="green"),
    "FAILED": Mark(word="failed", sign="✗", fill="#fad4d0", line="#d13212", style="red"),
    "CAUGHT": Mark(word="caught", sign="!", fill="#ffe4c0", line="#c86500", style="yellow"),
    "IN_PROGRESS": Mark(word="in progress", sign="▶", fill="#d3e6fb", line="#0073bb", style="blue"),
    "ABORTED": Mark(word="aborted", sign="■", fill="#e3e3e3", line="#687078", style="magenta"),
    "NOT_ENTERED": Mark(word="not entered", sign="·", fill="#ffffff", line="#aab7b8", style="dim"),
})  # fmt: skip


def render_counts(visit: Visit) -> str:
    """Return what the colour does not tell: `2 of 3 items, 1 failed`, `entered 4×, 1 failed`, `2 retries`; or nothing.
    Items that an ItemReader is still to bring are not told.

    Only counts that are not 0 are told, and of a state entered once no count that its outcome tells.
    """
    parts: list[str] = []
    if visit.iterations is not None:
        done = visit.iterations
        if done.length is not None:
            parts.append(f"{done.succeeded} of {counted(done.length, 'item')}")
        parts += [f"{n} {word}" for n, word in ((done.failed, "failed"), (done.aborted, "aborted")) if n]
        running = done.started - done.succeeded - done.failed - done.aborted
        if running and visit.active:
            parts.append(f"{running} in progress")
    if visit.entered > 1:
        parts.append(f"entered {visit.entered}×")
        told = ((visit.failed, "failed"), (visit.caught, "caught"), (visit.aborted, "aborted"))
        parts += [f"{n} {word}" for n, word in told if n and n < visit.entered]
        if visit.active and visit.active < visit.entered:
            parts.append(f"{visit.active} in progress")
    if visit.retried:
        parts.append(counted(visit.retried, "retry", plural="retries"))
    return ", ".join(parts)
