"""The graph as SVG, laid out and drawn by Graphviz, through pygraphviz, whose wheels hold it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from processor.apps.render.graph import Scope
from processor.apps.render.graph_dot import dot
from processor.apps.render.graph_visits import Visits
from processor.errors import DrawingFailed, InvalidSettings

MOST_SECONDS = 60.0
_PROGRAM = Path(__file__).with_name("graphviz_process.py")


def svg(graph: Scope, *, visits: Visits | None = None, title: str = "") -> bytes:
    """Return the drawing as an SVG document. Each state is a group of the class of its outcome, with a tooltip.

    Widths of texts come of the fonts of the machine it is drawn on. Raises InvalidSettings where pygraphviz is not
    installed, DrawingFailed where Graphviz fails. It runs in a process of its own: in this one, a drawing that it dies
    of would end the caller without a word (docs/decisions/0021).
    """
    if find_spec("pygraphviz") is None:
        raise InvalidSettings(
            setting="--format svg",
            rule="needs pygraphviz, which is not installed here",
            example="pip install 'asl-processor[graph]', or --format text, mermaid or dot",
        )
    written = dot(graph, visits=visits, title=title).encode()
    # -P: the program's folder is no place to import from.
    command = [sys.executable, "-P", str(_PROGRAM)]
    try:
        ended = subprocess.run(command, input=written, capture_output=True, check=False, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise DrawingFailed(reason=f"it has not ended in {MOST_SECONDS:g} s") from None
    if ended.returncode < 0:
        raise DrawingFailed(reason=f"it ended with signal {-ended.returncode}")
    if ended.returncode > 0:
        # Before its last words come warnings of its font library about the machine's configuration.
        said = ended.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
        raise DrawingFailed(reason=f"it ended with code {ended.returncode}: {said[-1]}")
    return ended.stdout
