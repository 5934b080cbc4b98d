"""The graph for a terminal: a tree of scopes and states, each state with where it may lead."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Final

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from processor.apps.render.graph import Edge, Scope, State
from processor.apps.render.graph_marks import MARKS, render_counts
from processor.apps.render.graph_visits import Visits

_WIDTH: Final = 160  # columns of a file


def text_tree(graph: Scope, *, visits: Visits | None = None, title: str = "") -> Tree:
    """Return the graph as a tree, states as they are reached from the first. `visits` None: nothing was run.

    A way that was taken has a double arrow; where that was several times, with how often.
    """
    root = Tree(Text(title or "state machine", style="bold"), guide_style="dim")
    _add(root, graph, visits)
    return root


def render_text(graph: Scope, *, visits: Visits | None = None, title: str = "") -> str:
    """Return the tree as lines without colours."""
    page = Console(file=StringIO(), width=_WIDTH, highlight=False, color_system=None)
    with page.capture() as captured:
        page.print(text_tree(graph, visits=visits, title=title))
    return captured.get()


def in_reach(scope: Scope) -> Iterator[State]:
    """Yield the scope's states as they are reached from its first, the usual way before rules, Default and catchers."""
    states = {state.name: state for state in scope.states}
    ways: dict[str, list[str]] = {}
    for edge in scope.edges:
        ways.setdefault(edge.source, []).append(edge.target)
    waiting, seen = [scope.first], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield states[name]
            waiting += reversed(ways.get(name, []))


def _add(tree: Tree, scope: Scope, visits: Visits | None) -> None:
    ways: dict[str, list[Edge]] = {}
    for edge in scope.edges:
        ways.setdefault(edge.source, []).append(edge)
    for state in in_reach(scope):
        leads = ways.get(state.name, [])
        line = _head(state, visits)
        if len(leads) == 1 and leads[0].kind == "Next" and not state.scopes:
            branch = tree.add(line.append("  ").append(_way(leads[0], visits)))
            continue
        branch = tree.add(line)
        for inner in state.scopes:
            _add(branch.add(Text(inner.label, style="italic")), inner, visits)
        for edge in leads:
            branch.add(_way(edge, visits))


def _head(state: State, visits: Visits | None) -> Text:
    kind = f"{state.type}: {state.detail}" if state.detail else state.type
    if visits is None:
        return Text.assemble((state.name, "bold"), f"  {kind}")
    visit = visits.of(state.name)
    mark = MARKS[visit.outcome]
    line = Text.assemble((f"{mark.sign} ", mark.style), (state.name, f"bold {mark.style}"), (f"  {kind}", "dim"))
    if visit.entered:
        counts = render_counts(visit)
        line.append(f"  {mark.word}" + (f", {counts}" if counts else ""), style=mark.style)
    return line


def _way(edge: Edge, visits: Visits | None) -> Text:
    label = f"{edge.label} " if edge.label else ""
    catcher = edge.index if edge.kind == "Catch" else None
    taken = 0 if visits is None else visits.ways.get((edge.source, edge.target, catcher), 0)
    times = f" ({taken}×)" if taken > 1 else ""
    return Text(f"{label}{'⇒' if taken else '→'} {edge.target}{times}", style="" if taken else "dim")
