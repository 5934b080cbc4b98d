"""The graph in each format: whole texts of a small one; in SVG, what Graphviz made of it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor import parse
from processor.apps.render import graph_svg
from processor.apps.render.graph import Scope, graph_of
from processor.apps.render.graph_dot import TANGLED, dot, span
from processor.apps.render.graph_json import graph_json
from processor.apps.render.graph_marks import MARKS, render_counts
from processor.apps.render.graph_mermaid import mermaid
from processor.apps.render.graph_svg import svg
from processor.apps.render.graph_text import render_text
from processor.apps.render.graph_visits import Iterations, Visit, Visits
from processor.errors import DrawingFailed, InvalidSettings

SVG = "{http://www.w3.org/2000/svg}"
SMALL: dict[str, Any] = {
    "StartAt": "Try",
    "States": {
        "Try": {
            "Type": "Task",
            "Resource": "work",
            "Catch": [{"ErrorEquals": ["E"], "Next": "Each"}],
            "Next": "Each",
        },
        "Each": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "Hold", "States": {"Hold": {"Type": "Wait", "Seconds": 1, "End": True}}},
            "Next": "Broken",
        },
        "Broken": {"Type": "Fail", "Error": "B"},
    },
}
VISITS = Visits(
    states={
        "Try": Visit(entered=1, caught=1, retried=2),
        "Each": Visit(entered=1, succeeded=1, iterations=Iterations(length=3, started=3, succeeded=3)),
        "Hold": Visit(entered=3, succeeded=3),
        "Broken": Visit(entered=1, failed=1),
    },
    ways={("Try", "Each", 0): 1, ("Each", "Broken", None): 1},
)


def small() -> Scope:
    return graph_of(parse(SMALL))


def test_as_text_it_is_a_tree() -> None:
    assert render_text(small(), title="small").splitlines() == [
        "small",
        "├── Try  Task: work",
        "│   ├── → Each",
        "│   └── Catch E → Each",
        "├── Each  Map",
        "│   ├── each item",
        "│   │   └── Hold  Wait: 1 s",
        "│   └── → Broken",
        "└── Broken  Fail: B",
    ]


def test_as_text_it_shows_what_was_visited_and_which_ways_were_taken() -> None:
    assert render_text(small(), visits=VISITS, title="small").splitlines() == [
        "small",
        "├── ! Try  Task: work  caught, 2 retries",
        "│   ├── → Each",
        "│   └── Catch E ⇒ Each",
        "├── ✓ Each  Map  succeeded, 3 of 3 items",
        "│   ├── each item",
        "│   │   └── ✓ Hold  Wait: 1 s  succeeded, entered 3×",
        "│   └── ⇒ Broken",
        "└── ✗ Broken  Fail: B  failed",
    ]


def test_states_stand_as_they_are_reached_and_a_loop_ends() -> None:
    choices = [{"Variable": "$.a", "IsNull": True, "Next": "A"}]
    states: dict[str, Any] = {
        "C": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Choice", "Choices": choices, "Default": "E"},
        "D": {"Type": "Pass", "Next": "C"},
        "A": {"Type": "Pass", "Next": "D"},
        "E": {"Type": "Succeed"},
    }
    lines = render_text(graph_of(parse({"StartAt": "A", "States": states}))).splitlines()
    assert [re.split(r"\W+", line)[1] for line in lines if line[0] in "├└"] == ["A", "D", "C", "B", "E"]


def test_as_mermaid_it_is_a_flowchart() -> None:
    assert mermaid(small()).splitlines() == [
        "flowchart TD",
        "  start(( ))",
        '  s0["Try<br/>Task: work"]',
        '  subgraph s1 ["Each<br/>Map"]',
        '    subgraph s1_0 ["each item"]',
        '      s2["Hold<br/>Wait: 1 s"]',
        "    end",
        "  end",
        '  s3(["Broken<br/>Fail: B"])',
        "  s0 --> s1",
        '  s0 -.->|"Catch E"| s1',
        "  s1 --> s3",
        "  start --> s0",
    ]


def test_as_mermaid_each_state_has_the_class_of_its_outcome() -> None:
    lines = mermaid(small(), visits=VISITS).splitlines()
    assert [line.split() for line in lines if line.startswith("  class ")] == [
        ["class", "s0", "CAUGHT"],
        ["class", "s1", "SUCCEEDED"],
        ["class", "s2", "SUCCEEDED"],
        ["class", "s3", "FAILED"],
    ]
    assert '  s0["Try<br/>Task: work<br/>! caught, 2 retries"]' in lines
    assert {line.split()[1] for line in lines if line.startswith("  classDef")} == set(MARKS)


def test_in_mermaid_no_name_is_taken_for_the_language() -> None:
    name = 'end"]; <b>%%{x}`#1'
    written: Any = {"StartAt": name, "States": {name: {"Type": "Succeed"}}}
    told = "end#34;]; #60;b#62;#37;#37;{x}#96;#35;1"
    assert f'  s0(["{told}<br/>Succeed"])' in mermaid(graph_of(parse(written))).splitlines()


def drawn(graph: Scope, visits: Visits | None = None, title: str = "") -> ElementTree.Element:
    return ElementTree.fromstring(svg(graph, visits=visits, title=title))


def texts(element: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in element.iter(f"{SVG}text")]


def nodes(picture: ElementTree.Element) -> dict[str, tuple[str, ...]]:
    """(class, texts) of each drawn state, by the id it has in DOT."""
    found = {}
    for group in picture.iter(f"{SVG}g"):
        kind, _, outcome = group.get("class", "").partition(" ")
        title = group.findtext(f"{SVG}title", "")
        if kind == "node" and re.fullmatch(r"s\d+", title):
            found[title] = (outcome, *texts(group))
    return found


def test_in_svg_each_state_has_its_texts_and_the_class_of_its_outcome() -> None:
    picture = drawn(small(), VISITS, title="small")
    assert nodes(picture) == {
        "s0": ("CAUGHT", "Try", "Task: work", "! caught, 2 retries"),
        "s1": ("SUCCEEDED", "Each", "Map", "✓ succeeded, 3 of 3 items"),
        "s2": ("SUCCEEDED", "Hold", "Wait: 1 s", "✓ succeeded, entered 3×"),
        "s3": ("FAILED", "Broken", "Fail: B", "✗ failed"),
    }
    assert {"small", "each item", "Catch E"} <= set(texts(picture))


def test_in_svg_a_map_is_a_frame_and_what_runs_for_each_item_another_within() -> None:
    picture = drawn(small())
    frames = [g.findtext(f"{SVG}title") for g in picture.iter(f"{SVG}g") if g.get("class") == "cluster"]
    assert frames == ["cluster_s1", "cluster_s1_0"]
    assert nodes(picture)["s0"] == ("", "Try", "Task: work")


def test_in_svg_every_transition_is_drawn_between_its_states() -> None:
    ways = [g.findtext(f"{SVG}title") for g in drawn(small()).iter(f"{SVG}g") if g.get("class") == "edge"]
    assert sorted(map(str, ways)) == [
        "s0->s1", "s0->s1", "s1->s2", "s1_end->s3", "s2->s1_end", "start->s0",
    ]  # fmt: skip


def test_in_svg_only_ways_that_were_taken_are_thick() -> None:
    thick = [
        group.findtext(f"{SVG}title")
        for group in drawn(small(), VISITS).iter(f"{SVG}g")
        if group.get("class") == "edge" and any(path.get("stroke-width") == "2" for path in group.iter(f"{SVG}path"))
    ]
    assert sorted(map(str, thick)) == ["s0->s1", "s1->s2", "s1_end->s3", "start->s0"]


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('&<>"\\{}|;#\n'), min_size=1, max_size=80))
def test_in_svg_any_name_is_drawn_as_it_is(name: str) -> None:
    written: Any = {"StartAt": name, "States": {name: {"Type": "Succeed"}}}
    picture = drawn(graph_of(parse(written)))
    shown = "".join(nodes(picture)["s0"])
    writable = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", name) + "Succeed"
    assert "".join(shown.split()) == "".join(writable.split())


def test_a_tangle_of_a_hundred_states_is_drawn_in_straight_lines_within_seconds() -> None:
    names = [f"S{number}" for number in range(100)]
    chain: dict[str, Any] = {
        name: {
            "Type": "Choice",
            "Choices": [{"Variable": "$.a", "NumericEquals": n, "Next": names[(n * 7) % 100]}],
            "Default": names[n + 1],
        }
        for n, name in enumerate(names[:-1])
    }
    graph = graph_of(parse({"StartAt": "S0", "States": {**chain, "S99": {"Type": "Succeed"}}}))
    assert span(graph) == 99 + sum(abs((n * 7) % 100 - n) for n in range(99)) > TANGLED
    assert "  graph [splines=line, nslimit=0.1]" in dot(graph).splitlines()
    began = os.times().children_user
    picture = drawn(graph)
    assert os.times().children_user - began < 10
    assert len(nodes(picture)) == 100


def test_drawing_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    svg(small())
    assert capfd.readouterr() == ("", "")


def test_without_graphviz_svg_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_svg, "find_spec", lambda _: None)
    with pytest.raises(InvalidSettings, match=r"needs pygraphviz.*pip install 'asl-processor\[graph\]'"):
        svg(small())


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.kill(os.getpid(), 11)", "it ended with signal 11"),
        ("import time; time.sleep(60)", "it has not ended in 2 s"),
        ("import os; print('a warning of fonts'); raise SystemExit('no layout')", "it ended with code 1: no layout"),
    ],
)
def test_where_graphviz_dies_the_caller_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, reason: str
) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text(program)
    monkeypatch.setattr(graph_svg, "_PROGRAM", dying)
    monkeypatch.setattr(graph_svg, "MOST_SECONDS", 2.0 if "sleep" in program else 60.0)
    with pytest.raises(DrawingFailed) as told:
        svg(small())
    assert told.value.reason == reason


def test_as_dot_it_begins_and_ends_as_graphviz_reads_it() -> None:
    lines = dot(small(), title='a "title"\\').splitlines()
    assert (lines[0], lines[-1]) == ("digraph {", "}")
    assert '  label="a \\"title\\"\\\\"; labelloc=t' in lines
    assert '  s0 -> s1 [color="#879596", label="Catch E", style=dashed, lhead=cluster_s1]' in lines


def test_as_json_it_has_the_graph_and_the_visits() -> None:
    plain = graph_json(small())
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["first"], [state["name"] for state in plain["states"]]) == (  # type: ignore[union-attr,index,call-overload]
        "Try", ["Try", "Each", "Broken"],
    )  # fmt: skip
    told: Any = graph_json(small(), visits=VISITS)
    assert told["visits"]["Broken"] == {
        "entered": 1, "succeeded": 0, "caught": 0, "failed": 1, "aborted": 0, "retried": 0, "iterations": None,
        "active": 0, "outcome": "FAILED",
    }  # fmt: skip
    assert told["ways"] == [
        {"source": "Try", "target": "Each", "catcher": 0, "times": 1},
        {"source": "Each", "target": "Broken", "catcher": None, "times": 1},
    ]


@pytest.mark.parametrize(
    ("visit", "counts"),
    [
        (Visit(entered=1, succeeded=1), ""),
        (Visit(entered=1, failed=1, retried=1), "1 retry"),
        (Visit(entered=3, succeeded=1, failed=1, caught=1), "entered 3×, 1 failed, 1 caught"),
        (Visit(entered=3, succeeded=1, aborted=1), "entered 3×, 1 aborted, 1 in progress"),
        (Visit(entered=2), "entered 2×"),
        (
            Visit(entered=1, iterations=Iterations(length=9, started=5, succeeded=1, failed=1, aborted=1)),
            "1 of 9 items, 1 failed, 1 aborted, 2 in progress",
        ),
        (
            Visit(entered=1, caught=1, iterations=Iterations(length=4, started=4, failed=2, aborted=2)),
            "0 of 4 items, 2 failed, 2 aborted",
        ),
        (Visit(entered=1, succeeded=1, iterations=Iterations(length=1, started=1, succeeded=1)), "1 of 1 item"),
        (Visit(entered=1, iterations=Iterations(length=None)), ""),
    ],
)
def test_counts_tell_what_the_outcome_does_not(visit: Visit, counts: str) -> None:
    assert render_counts(visit) == counts


REPOSITORY = Path(__file__).parents[2]


def test_the_order_example_is_drawn() -> None:
    graph = graph_of(parse(json.loads((REPOSITORY / "examples/order/order.asl.json").read_text())))
    assert {shown[1] for shown in nodes(drawn(graph)).values()} == {state.name for state in graph.walk()}
