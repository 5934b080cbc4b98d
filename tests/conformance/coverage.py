"""docs/asl-coverage.md: every name of the language, with the recorded cases and the tests that use it.

`make docs` writes it: it runs the shared cases and the tests of the interpreter, and notes what each of them uses
(`uses.py`). The names are those of this project's models and grammars (`language.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import pytest

from tests.conformance.__main__ import Counts, judge_all
from tests.conformance.language import Name, all_names
from tests.conformance.runner import required_dir, run_executions
from tests.conformance.test_executions import KNOWN
from tests.conformance.test_states import run_test_states
from tests.conformance.uses import OwnTests, Uses, noting

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "asl-coverage.md"
TESTS = ("tests/interpreter", "tests/scenarios", "-k", "not 100000")
"""Without those of a definition 100,000 levels deep: they take as long as all the others, and use nothing."""

NOWHERE = {
    "TestState.answer.inspectionData.request": "an HTTP Task's, and nobody here calls HTTP endpoints",
    "TestState.answer.inspectionData.response": "likewise",
    "TestState.answer.inspectionData.afterItemBatcher": "never told: no recording shows one",
}
"""How the names begin that neither a case nor a test uses, and why."""

OWN_CODES = frozenset(("INLINE_MAP", "TOO_DEEPLY_NESTED"))
NO_HISTORY = "no history was recorded: its task is given what the execution's own end shows of it"
CHILDREN = "the children of a distributed Map are not in their parent's history: their tasks give what they were given"
NO_MOCK = "the Task was not mocked and ran outside: it is given the result that the answer shows"


def main() -> None:
    folder = required_dir()
    cases, tests = Uses(), Uses()
    with noting(cases):
        kinds, failures = judge_all(folder, watch=cases.during)
    with noting(tests):
        ended = pytest.main(["-q", "-p", "no:cacheprovider", *TESTS], plugins=[OwnTests(tests)])
    if ended != pytest.ExitCode.OK:
        sys.exit("tests fail: what they use says nothing")
    for id in failures:
        del cases.by_id[id]
    DOCUMENT.write_text("\n".join(render(kinds, failures, made_up(folder), cases=cases, tests=tests)) + "\n")
    print(DOCUMENT.relative_to(ROOT))


def made_up(folder: Path) -> dict[str, str]:
    """Return the cases in which an answer of the outside world is made up, and why."""
    executions = run_executions(folder)
    distributed = [id for id in executions.made_up if "get_execution_history" in id]
    return {
        **{id: CHILDREN if id in distributed else NO_HISTORY for id in executions.made_up},
        **dict.fromkeys(run_test_states(folder).made_up, NO_MOCK),
    }


def render(
    kinds: Mapping[str, Counts], failures: Iterable[str], made_up: Mapping[str, str], *, cases: Uses, tests: Uses
) -> Iterator[str]:
    yield "# What of the Amazon States Language is covered"
    yield ""
    yield (
        "Written by `make docs`, which runs everything that is counted here. *recorded*: how many cases of AWS's own "
        "answers use the name and are wholly right; *tests*: how many tests under `tests/interpreter` and "
        "`tests/scenarios` use it. A field is used where its state does its work, an operator or a function where it "
        "is evaluated, a code where a fault is found: a definition that is only parsed uses no field. The example is "
        "the case or the test that uses the fewest other names."
    )
    yield ""
    yield "| kind of recorded case | cases | right |"
    yield "|---|---|---|"
    for kind, counts in kinds.items():
        levels = ", ".join(f"{name} {count}" for name, count in counts.items() if name != "cases")
        yield f"| {kind} | {counts['cases']} | {levels} |"
    yield from _listed("Not right, each with its reason:", {id: KNOWN[_short(id)] for id in failures})
    yield from _listed(
        "Right, but with an answer of the outside world that is made up, as the recording does not show it:", made_up
    )
    recorded, own = _by_name(cases), _by_name(tests)
    for name in recorded:
        if name.name in OWN_CODES:  # AWS says nothing of it, whatever was recorded of such a definition
            recorded[name] = []
    for chapter, members in groupby(all_names(), key=lambda name: name.chapter):
        yield from ("", f"## {chapter}")
        for section, names in groupby(members, key=lambda name: name.section):
            yield from ("", f"### {section}") if section else ()
            yield from ("", "| name | recorded | for example | tests | for example |", "|---|---|---|---|---|")
            for name in names:
                yield row(name, recorded.get(name, []), own.get(name, []))


def row(name: Name, recorded: list[str], tests: list[str]) -> str:
    reason = next((why for begins, why in NOWHERE.items() if ".".join(name).startswith(begins)), "")
    case = f"`{_short(recorded[0])}`" if recorded else "–"
    test = f"`{_test(tests[0])}`" if tests else reason or "–"
    return f"| `{name.name}` | {len(recorded)} | {case} | {len(tests)} | {test} |"


def _listed(title: str, reasons: Mapping[str, str]) -> Iterator[str]:
    yield from ("", title, "")
    yield from (f"- `{_short(id)}`: {reason}" for id, reason in sorted(reasons.items()))


def _short(id: str) -> str:
    return id.rpartition("::")[2]


def _test(id: str) -> str:
    """A scenario goes by its own name, any other test by its function's."""
    function, _, parameters = id.partition("/")[2].partition("[")
    if not function.startswith("scenarios/"):
        return function
    file, _, name = parameters.rstrip("]").partition(": ")
    return f"scenarios/{file}.yaml: {name}"


def _by_name(uses: Uses) -> dict[Name, list[str]]:
    """Return who uses each name, those that use the fewest others first."""
    found: dict[Name, list[str]] = {}
    for id, names in sorted(uses.by_id.items(), key=lambda used: (len(used[1]), used[0])):
        for name in names:
            found.setdefault(name, []).append(id)
    return found


if __name__ == "__main__":
    main()
