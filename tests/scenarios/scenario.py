"""What a scenario is: data in YAML, and what its fields mean.

    machines:                    definitions that scenarios of the file name
      two branches: {StartAt: P, …}
    scenarios:
    - name: a branch that fails cuts its siblings
      source: the sentence of the documentation, or the recording, that it rests on
      machine: two branches      or a definition
      change: {/States/P/Retry: […]}   JSON pointers into the definition, and what to put there
      input: {n: 1}
      world:                     what happens outside, in this order
      - {complete: A, output: 1}
      - [{fail: B, error: E}, {fire: wait, of: W}]    a list within the list: independent of each other, in any order
      status: FAILED             then output, or error and cause, whole; left out means none

`source` names a place and says what stands there; test_scenarios.py has the form. It begins with the kind of evidence:
`ASL specification`, `Developer Guide`, `API reference`, `Recorded`, `Second-hand` (what another project says it
measured on AWS), `By analogy` (no evidence but the like), or `Design` (a promise of this project's own, about commands
that AWS does not have).
The histories, in `histories/<file>.yaml`, are written by `python -m tests.scenarios.record` and read by people.

In values, `!text 1000` stands for a text of that length, `!times [3, value]` for an array of so many, `!nested 10` for
arrays within arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import UNSET, Struct, UnsetType

FOLDER = Path(__file__).parent
Json = Any


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One command, or the passing of time. Exactly one of the verbs is given."""

    complete: str | None = None  # the state whose task is answered; `output`
    echo: str | None = None  # completed with the arguments it was given
    submit: str | None = None
    fail: str | None = None  # `error`, `cause`
    fail_and_retry: str | None = None  # fails it, and fires the retry that this sets: of itself, or of the state `of`
    heartbeat: str | None = None
    fire: Literal["wait", "retry", "timeout", "heartbeat", "execution"] | None = None  # a timer of the state `of`
    until: float | None = None  # fires every timer due by then (seconds since the start), in the order they are due
    stop: bool = False  # `error`, `cause`
    start: bool = False  # the same execution once more

    of: str = ""
    output: Json = None
    error: str | None = None
    cause: str | None = None
    worker: str | None = None
    scope: str | None = None  # dotted; left out: whichever was last
    attempt: int | None = None  # the how-many-eth TaskScheduled, or timer, of the state, from 0; left out: the last
    execution: str | None = None  # sent to this execution instead, with its token or timer
    at: float | None = None  # seconds since the start; left out: when the last event was, or the timer is due
    times: int = 1
    refused: str | None = None  # the reason it must be rejected with
    nothing: bool = False  # it must be accepted, and record nothing


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    source: str
    machine: str | dict[str, Json]
    change: dict[str, Json] = {}
    type: Literal["STANDARD", "EXPRESS"] = "STANDARD"
    quota: int | None = None  # of history events, where AWS's 25,000 would make a long test
    seed: str = ""
    input: Json = {}
    world: list[Step | list[Step]] = []
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    output: Json | UnsetType = UNSET
    error: str | None = None
    cause: str | None = None


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file."""

    sources: list[str] = []  # for anchors only
    machines: dict[str, dict[str, Json]] = {}
    scenarios: list[Scenario]


def load_tables() -> Iterator[tuple[str, Table]]:
    """Yield every file's name and what is in it."""
    for file in sorted(FOLDER.glob("*.yaml")):
        yield file.stem, msgspec.convert(yaml.load(file.read_text(), _Loader), Table)


def load_histories(stem: str) -> dict[str, list[str]]:
    """Return the recorded histories of a file's scenarios, by their names."""
    file = FOLDER / "histories" / f"{stem}.yaml"
    return yaml.safe_load(file.read_text()) if file.exists() else {}


def definition_of(table: Table, scenario: Scenario) -> dict[str, Json]:
    """Return the scenario's own definition: the machine it names, changed as it says."""
    named = table.machines[scenario.machine] if isinstance(scenario.machine, str) else scenario.machine
    definition: dict[str, Json] = msgspec.json.decode(msgspec.json.encode(named))
    for pointer, value in scenario.change.items():
        *parents, last = pointer.removeprefix("/").split("/")
        place: Json = definition
        for token in parents:
            place = place[int(token)] if isinstance(place, list) else place[token]
        place[int(last) if isinstance(place, list) else last] = value
    return definition


class _Loader(yaml.SafeLoader):
    pass


def _text(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    assert isinstance(node, yaml.ScalarNode)
    return "x" * int(loader.construct_scalar(node))


def _times(loader: yaml.SafeLoader, node: yaml.Node) -> list[Json]:
    assert isinstance(node, yaml.SequenceNode)
    count, value = loader.construct_sequence(node, deep=True)
    return [value] * int(count)


def _nested(loader: yaml.SafeLoader, node: yaml.Node) -> Json:
    assert isinstance(node, yaml.ScalarNode)
    value: Json = []
    for _ in range(int(loader.construct_scalar(node)) - 1):
        value = [value]
    return value


_Loader.add_constructor("!text", _text)
_Loader.add_constructor("!times", _times)
_Loader.add_constructor("!nested", _nested)
