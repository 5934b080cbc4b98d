"""The graph of a definition: its states, where each may lead, what lies within a Parallel or a Map. Pure.

Read from the definition as written, for what a person wants to see of a Choice or a Catch is not in what it compiles
to. What an execution came to is laid over it in `graph_visits`; drawing is `graph_dot`'s, `graph_mermaid`'s and
`graph_text`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias, cast

from msgspec import Struct

from processor.model.definition import Workflow
from processor.model.events import StateType
from processor.model.json import Json, render_json

EdgeKind: TypeAlias = Literal["Next", "Choice", "Default", "Catch"]

MAX_LABEL: Final = 48
"""Characters of an edge's label; a longer one is cut."""


class Edge(Struct, frozen=True, kw_only=True):
    """A way from one state to another of the same scope. `label`: of a Choice its rule in short words, of a Catch its
    errors; `index`: which rule or catcher, None for Next and Default."""

    source: str
    target: str
    kind: EdgeKind
    label: str = ""
    index: int | None = None


class State(Struct, frozen=True, kw_only=True):
    """`detail`: what it asks for or waits for, in short. `ends`: its scope may end with it. `scopes`: a Parallel's
    branches, or the one scope that a Map runs for each item."""

    name: str
    type: StateType
    detail: str = ""
    ends: bool = False
    scopes: tuple[Scope, ...] = ()


class Scope(Struct, frozen=True, kw_only=True):
    """States in the order in which they are written, and all edges between them in the order of their sources."""

    label: str
    first: str
    states: tuple[State, ...]
    edges: tuple[Edge, ...] = ()

    def walk(self) -> Iterator[State]:
        """Yield every state, those of inner scopes behind the state they lie in."""
        for state in self.states:
            yield state
            for scope in state.scopes:
                yield from scope.walk()


def graph_of(workflow: Workflow) -> Scope:
    """Return the graph of a definition, the whole machine as one scope without a label."""
    # What compiled has these fields, of these types.
    return _scope(cast("dict[str, Json]", workflow.definition), label="")


def _scope(written: dict[str, Json], *, label: str) -> Scope:
    states = cast("dict[str, dict[str, Json]]", written["States"])
    return Scope(
        label=label,
        first=str(written["StartAt"]),
        states=tuple(_state(name, state) for name, state in states.items()),
        edges=tuple(edge for name, state in states.items() for edge in _edges(name, state)),
    )


def _state(name: str, written: dict[str, Json]) -> State:
    type = cast("StateType", written["Type"])
    return State(
        name=name,
        type=type,
        detail=_detail(type, written),
        ends=written.get("End") is True or type in ("Succeed", "Fail"),
        scopes=tuple(_scopes(type, written)),
    )


def _scopes(type: StateType, written: dict[str, Json]) -> Iterator[Scope]:
    if type == "Parallel":
        for index, branch in enumerate(cast("list[dict[str, Json]]", written["Branches"])):
            yield _scope(branch, label=f"branch {index}")
    elif type == "Map":
        inner = written.get("ItemProcessor", written.get("Iterator"))
        yield _scope(cast("dict[str, Json]", inner), label="each item")


def _edges(name: str, written: dict[str, Json]) -> Iterator[Edge]:
    if isinstance(target := written.get("Next"), str):
        yield Edge(source=name, target=target, kind="Next")
    for index, rule in enumerate(cast("list[dict[str, Json]]", written.get("Choices", []))):
        label = shorten(rule_in_words(rule))
        yield Edge(source=name, target=str(rule["Next"]), kind="Choice", label=label, index=index)
    if isinstance(target := written.get("Default"), str):
        yield Edge(source=name, target=target, kind="Default", label="Default")
    for index, catcher in enumerate(cast("list[dict[str, Json]]", written.get("Catch", []))):
        errors = ", ".join(map(str, cast("list[Json]", catcher["ErrorEquals"])))
        label = shorten(f"Catch {errors}")
        yield Edge(source=name, target=str(catcher["Next"]), kind="Catch", label=label, index=index)


# ---- in short words


def shorten(text: str, *, width: int = MAX_LABEL) -> str:
    """Return the text on one line, cut to `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _detail(type: StateType, written: dict[str, Json]) -> str:
    match type:
        case "Task":
            return shorten(_resource(str(written["Resource"]), written), width=32)
        case "Wait":
            return shorten(_wait(written), width=32)
        case "Fail":
            return shorten(str(written.get("Error", written.get("ErrorPath", ""))), width=32)
        case _:
            return ""


def _resource(resource: str, written: dict[str, Json]) -> str:
    """`function:charge` of a Lambda ARN is charge, a service integration what stands behind the last empty part."""
    arguments = written.get("Parameters", written.get("Arguments"))
    if resource.startswith("arn:aws:states:::lambda:invoke") and isinstance(arguments, dict):
        named = arguments.get("FunctionName", arguments.get("FunctionName.$"))
        return str(named).rpartition(":function:")[2]
    return re.split(r":::|:function:|:activity:", resource)[-1]


_WAITS: Final = (("Seconds", " s"), ("SecondsPath", " s"), ("Timestamp", ""), ("TimestampPath", ""))


def _wait(written: dict[str, Json]) -> str:
    return next(f"{_unwrapped(written[field])}{unit}" for field, unit in _WAITS if field in written)


_SIGNS: Final = {
    "Equals": "=",
    "LessThan": "<",
    "LessThanEquals": "≤",
    "GreaterThan": ">",
    "GreaterThanEquals": "≥",
    "Matches": "matches",
}
_COMPARISON: Final = re.compile(
    r"(?:String|Numeric|Boolean|Timestamp)(Equals|LessThanEquals|LessThan|GreaterThanEquals|GreaterThan|Matches)(?:Path)?"
)
_TESTS: Final = {
    "IsPresent": "present",
    "IsNull": "null",
    "IsString": "a string",
    "IsNumeric": "a number",
    "IsBoolean": "a boolean",
    "IsTimestamp": "a timestamp",
}


def rule_in_words(rule: Json) -> str:
    """Return a Choice rule as a person would say it: `$.total > 10 and $.vip is present`; JSONata as it stands."""
    if not isinstance(rule, dict):
        return render_json(rule)
    if "Condition" in rule:
        return _unwrapped(rule["Condition"])
    for field, word in (("And", " and "), ("Or", " or ")):
        if isinstance(parts := rule.get(field), list):
            return word.join(_part(part, inside=field) for part in parts)
    if "Not" in rule:
        return f"not {_part(rule['Not'], inside='Not')}"
    variable = str(rule.get("Variable"))
    for name, wanted in rule.items():
        if name in _TESTS:
            return f"{variable} {'is' if wanted is True else 'is not'} {_TESTS[name]}"
        if (found := _COMPARISON.fullmatch(name)) is not None:
            value = str(wanted) if name.endswith("Path") else render_json(wanted)
            return f"{variable} {_SIGNS[found[1]]} {value}"
    return variable


def _part(rule: Json, *, inside: str) -> str:
    """Brackets only where the sentence would mean something else without them."""
    joined = isinstance(rule, dict) and not {"And", "Or"}.isdisjoint(rule) and inside not in rule
    words = rule_in_words(rule)
    return f"({words})" if joined else words


def _unwrapped(value: Json) -> str:
    """`{% $x > 1 %}` is `$x > 1`."""
    text = value if isinstance(value, str) else render_json(value)
    if text.startswith("{%") and text.endswith("%}"):
        return text[2:-2].strip()
    return text
