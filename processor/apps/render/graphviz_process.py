"""The process of `graph_svg.py`: DOT from its standard input, SVG to its standard output."""

from __future__ import annotations

import os
import sys


def main() -> None:
    from pygraphviz import AGraph, agraph

    # Where it dies it is in freeing what it has drawn, which the end of the process does as well.
    agraph.gv.gvFreeLayout = lambda *_: None
    drawing = AGraph(string=sys.stdin.buffer.read().decode())
    sys.stdout.buffer.write(drawing.draw(format="svg", prog="dot"))
    sys.stdout.buffer.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
