"""The graph as SVG, laid out and drawn by Graphviz, through pygraphviz, whose wheels hold it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from processor.apps.render.graph import Scope
from processor.apps.render.graph_dot import dot
from processor.apps.render.graph_visits import Visits
from processor.errors import InvalidSettings


def svg(graph: Scope, *, visits: Visits | None = None, title: str = "") -> bytes:
    """Return the drawing as an SVG document. Each state is a group of the class of its outcome, with a tooltip.

    Widths of texts come of the fonts of the machine it is drawn on. Raises InvalidSettings where pygraphviz is not
    installed.
    """
    try:
        from pygraphviz import AGraph
    except ImportError:
        raise InvalidSettings(
            setting="--format svg",
            rule="needs pygraphviz, which is not installed here",
            example="pip install 'asl-processor[graph]', or --format text, mermaid or dot",
        ) from None
    with _quiet():
        drawing = AGraph(string=dot(graph, visits=visits, title=title))
        return cast("bytes", drawing.draw(format="svg", prog="dot"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Its font library writes warnings about the machine's configuration to the process's own standard error; what was
    written is passed on where drawing failed."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            written.seek(0)
            os.write(2, written.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
