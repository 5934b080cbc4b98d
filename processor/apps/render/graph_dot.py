"""The graph in DOT, the language of Graphviz: a frame around each Parallel, Map and branch, colours by outcome. Pure.

A Parallel or a Map is a frame that holds a node of its own, from which its branches start, and a dot in which they
join, from which its own transitions leave; so they are drawn below what is within.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from processor.apps.render.graph import Edge, Scope, State
from processor.apps.render.graph_marks import MARKS, render_counts
from processor.apps.render.graph_visits import Visits

_FONT: Final = "Helvetica,Arial,sans-serif"
_TAKEN: Final = "#16191f"
_PLAIN: Final = "#879596"
TANGLED: Final = 1_500
"""From this span on lines are straight: curves around everything took 4 s at 2,100, 13 s at 4,300, and half a minute
at 3,400 with a label on each; straight ones 0.1 to 0.3 s."""
# What XML 1.0 cannot carry, and so no SVG.
_UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def dot(graph: Scope, *, visits: Visits | None = None, title: str = "") -> str:
    """Return the graph as a DOT text. `visits` None: nothing was run, and nothing is coloured."""
    return "\n".join(_Dot(graph, visits).lines(title)) + "\n"


def span(scope: Scope) -> int:
    """Return over how many states the transitions lead, all together: a chain of n states has n - 1."""
    places = {state.name: place for place, state in enumerate(scope.states)}
    own = sum(abs(places[edge.source] - places[edge.target]) for edge in scope.edges)
    return own + sum(span(inner) for state in scope.states for inner in state.scopes)


def quoted(text: str) -> str:
    """Return the text as a DOT string that shows exactly that text: no escape, no entity in it means anything."""
    text = _UNWRITABLE.sub("\ufffd", text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r", "").replace("\n", "\\n") + '"'


class _Dot:
    def __init__(self, graph: Scope, visits: Visits | None) -> None:
        self._graph, self._visits = graph, visits
        # Names are any text; ids are not.
        self._ids = {state.name: f"s{number}" for number, state in enumerate(graph.walk())}
        self._containers = {state.name for state in graph.walk() if state.scopes}

    def lines(self, title: str) -> Iterator[str]:
        yield "digraph {"
        yield f'  graph [compound=true, rankdir=TB, nodesep=0.35, ranksep=0.45, fontname="{_FONT}", fontsize=11]'
        yield f'  node [shape=box, style="rounded,filled", fontname="{_FONT}", fontsize=12, margin="0.18,0.08"]'
        yield f'  edge [fontname="{_FONT}", fontsize=10, color="{_PLAIN}", fontcolor="{_PLAIN}", arrowsize=0.7]'
        if span(self._graph) > TANGLED:
            yield "  graph [splines=line, nslimit=0.1]"
        if title:
            yield f"  label={quoted(title)}; labelloc=t"
        yield '  start [shape=circle, label="", width=0.18, style=filled, fillcolor="#545b64", color="#545b64"]'
        yield from self._scope(self._graph, indent="  ")
        taken = self._visits is not None and self._visits.of(self._graph.first).entered > 0
        yield f"  start -> {self._into(self._graph.first)} [{_line(taken=taken)}{self._head(self._graph.first)}]"
        yield "}"

    def _scope(self, scope: Scope, *, indent: str) -> Iterator[str]:
        for state in scope.states:
            yield from self._state(state, indent=indent)
        for edge in scope.edges:
            yield indent + self._edge(edge)

    def _state(self, state: State, *, indent: str) -> Iterator[str]:
        id = self._ids[state.name]
        if not state.scopes:
            yield f"{indent}{id} [{self._box(state)}]"
            return
        line = self._mark_line(state)
        yield f"{indent}subgraph cluster_{id} {{"
        yield f'{indent}  style=rounded; color="{line}"; label=""'
        yield f"{indent}  {id} [{self._box(state)}]"
        yield f'{indent}  {id}_end [shape=point, width=0.08, color="{line}"]'
        for number, scope in enumerate(state.scopes):
            yield f"{indent}  subgraph cluster_{id}_{number} {{"
            yield f'{indent}    style="rounded,dashed"; color="{_PLAIN}"; label={quoted(scope.label)}; labeljust=l'
            yield from self._scope(scope, indent=indent + "    ")
            yield f"{indent}  }}"
            taken = self._visits is not None and self._visits.of(scope.first).entered > 0
            yield f"{indent}  {id} -> {self._into(scope.first)} [{_line(taken=taken)}{self._head(scope.first)}]"
            for inner in scope.states:
                if inner.ends and inner.type != "Fail":
                    yield f"{indent}  {self._out_of(inner.name)} -> {id}_end [arrowhead=none, {_line(taken=False)}]"
        yield f"{indent}}}"

    def _box(self, state: State) -> str:
        kind = f"{state.type}: {state.detail}" if state.detail else state.type
        lines = [state.name, kind]
        if self._visits is None:
            return f'label={quoted(chr(10).join(lines))}, fillcolor="#f2f3f3", color="#545b64"'
        visit = self._visits.of(state.name)
        mark = MARKS[visit.outcome]
        if visit.entered:
            counts = render_counts(visit)
            lines.append(f"{mark.sign} {mark.word}" + (f", {counts}" if counts else ""))
        tip = quoted(f"{state.name}: {mark.word}")
        look = f'fillcolor="{mark.fill}", color="{mark.line}", class="{visit.outcome}"'
        return f"label={quoted(chr(10).join(lines))}, {look}, tooltip={tip}"

    def _edge(self, edge: Edge) -> str:
        catcher = edge.index if edge.kind == "Catch" else None
        taken = self._visits is not None and self._visits.ways.get((edge.source, edge.target, catcher), 0) > 0
        attributes = [_line(taken=taken)]
        if edge.label:
            attributes.append(f"label={quoted(edge.label)}")
        if edge.kind == "Catch":
            attributes.append("style=dashed")
        tail = f", ltail=cluster_{self._ids[edge.source]}" if edge.source in self._containers else ""
        ways = f"{self._out_of(edge.source)} -> {self._into(edge.target)}"
        return f"{ways} [{', '.join(attributes)}{tail}{self._head(edge.target)}]"

    def _into(self, name: str) -> str:
        return self._ids[name]

    def _out_of(self, name: str) -> str:
        return f"{self._ids[name]}_end" if name in self._containers else self._ids[name]

    def _head(self, name: str) -> str:
        return f", lhead=cluster_{self._ids[name]}" if name in self._containers else ""

    def _mark_line(self, state: State) -> str:
        return "#545b64" if self._visits is None else MARKS[self._visits.of(state.name).outcome].line


def _line(*, taken: bool) -> str:
    return f'color="{_TAKEN}", fontcolor="{_TAKEN}", penwidth=2' if taken else f'color="{_PLAIN}"'
