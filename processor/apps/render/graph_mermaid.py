"""The graph in Mermaid's flowchart language, which many viewers of Markdown draw. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from processor.apps.render.graph import Edge, Scope, State
from processor.apps.render.graph_marks import MARKS, render_counts
from processor.apps.render.graph_visits import Visits

_PLAIN_TEXT: Final = re.compile(r"[\w .,:;!?=×✓✗·■▶…≤≥$@/()\[\]{}+*'-]")


def mermaid(graph: Scope, *, visits: Visits | None = None) -> str:
    """Return the graph as a flowchart. `visits` None: nothing was run, and nothing is coloured."""
    return "\n".join(_Mermaid(graph, visits).lines()) + "\n"


def quoted(text: str) -> str:
    """Return the text in quotes; what the language might take for its own is written as an entity code."""
    return '"' + "".join(c if _PLAIN_TEXT.fullmatch(c) else f"#{ord(c)};" for c in text) + '"'


class _Mermaid:
    def __init__(self, graph: Scope, visits: Visits | None) -> None:
        self._graph, self._visits = graph, visits
        self._ids = {state.name: f"s{number}" for number, state in enumerate(graph.walk())}

    def lines(self) -> Iterator[str]:
        yield "flowchart TD"
        yield "  start(( ))"
        yield from self._scope(self._graph, indent="  ")
        yield f"  start --> {self._ids[self._graph.first]}"
        if self._visits is not None:
            for outcome, mark in MARKS.items():
                yield f"  classDef {outcome} fill:{mark.fill},stroke:{mark.line},color:#16191f"
            for state in self._graph.walk():
                yield f"  class {self._ids[state.name]} {self._visits.of(state.name).outcome}"

    def _scope(self, scope: Scope, *, indent: str) -> Iterator[str]:
        for state in scope.states:
            yield from self._state(state, indent=indent)
        for edge in scope.edges:
            yield indent + self._edge(edge)

    def _state(self, state: State, *, indent: str) -> Iterator[str]:
        id, label = self._ids[state.name], self._label(state)
        if not state.scopes:
            yield f"{indent}{id}([{label}])" if state.type in ("Succeed", "Fail") else f"{indent}{id}[{label}]"
            return
        yield f"{indent}subgraph {id} [{label}]"
        for number, scope in enumerate(state.scopes):
            yield f"{indent}  subgraph {id}_{number} [{quoted(scope.label)}]"
            yield from self._scope(scope, indent=indent + "    ")
            yield f"{indent}  end"
        yield f"{indent}end"

    def _label(self, state: State) -> str:
        parts = [state.name, f"{state.type}: {state.detail}" if state.detail else state.type]
        if self._visits is not None and (visit := self._visits.of(state.name)).entered:
            mark, counts = MARKS[visit.outcome], render_counts(visit)
            parts.append(f"{mark.sign} {mark.word}" + (f", {counts}" if counts else ""))
        return '"' + "<br/>".join(quoted(part)[1:-1] for part in parts) + '"'

    def _edge(self, edge: Edge) -> str:
        arrow = "-.->" if edge.kind == "Catch" else "-->"
        label = f"|{quoted(edge.label)}|" if edge.label else ""
        return f"{self._ids[edge.source]} {arrow}{label} {self._ids[edge.target]}"
