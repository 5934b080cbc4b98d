"""What mutmut found, as it left it in mutants/, and equivalent.toml, which says of survivors why they are none.

mutmut is imported where it is needed: what is made of its results is tested without it.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

FOLDER = Path("mutants")
EQUIVALENT = Path(__file__).with_name("equivalent.toml")

UNREACHABLE = "assert_never("
"""What stands there is never reached: the type checker has proved it."""

Status: TypeAlias = Literal["killed", "timeout", "survived", "equivalent", "not run"]

Change: TypeAlias = tuple[str, str, str]
"""The function, as `module.function`, what was removed from it and what was added. Numbers of mutants move with every
change of a function; this does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    name: str
    status: Status
    change: Change | None = None  # of a killed one only where equivalent.toml has entries for its function


def mutants() -> list[Mutant]:
    """Return all mutants of the last run."""
    equivalent = set(reasons())
    return [mutant for meta in sorted(FOLDER.rglob("*.py.meta")) for mutant in _of_module(meta, equivalent)]


def reasons() -> dict[Change, str]:
    """Return the entries of equivalent.toml. Raises ValueError for one without a reason, or given twice."""
    entries: dict[Change, str] = {}
    for function, listed in tomllib.loads(EQUIVALENT.read_text()).items():
        for entry in listed:
            change = (function, _plain(entry["removed"]), _plain(entry["added"]))
            if not entry["reason"].strip() or change in entries:
                raise ValueError(f"{EQUIVALENT.name}: without a reason, or twice: {change}")
            entries[change] = entry["reason"]
    return entries


def faults_of(found: Iterable[Mutant]) -> list[str]:
    """Return where equivalent.toml does not say what was found."""
    seen = {mutant.change: mutant.status for mutant in found if mutant.change is not None}
    faults = []
    for change in reasons():
        status = seen.get(change)
        if status != "equivalent":
            what = "is no mutant" if status is None else f"was listed as equivalent, and is {status}"
            faults.append(f"{EQUIVALENT.name}: {' | '.join(change)}: {what}")
    return faults


def rendered(mutant: Mutant) -> str:
    """Return the mutant's change for people."""
    if mutant.change is None:
        return f"{mutant.status}: {mutant.name}"
    function, removed, added = mutant.change
    return f"{mutant.status}: {function} ({mutant.name})\n    - {removed}\n    + {added}"


def table(found: Iterable[Mutant]) -> str:
    """Return the counts of each module, and both ratios: of all mutants, and of those that are not equivalent."""
    modules: dict[str, Counter[Status]] = {}
    for mutant in found:
        modules.setdefault(_module_of(mutant.name), Counter())[mutant.status] += 1
    modules["all"] = sum(modules.values(), Counter())
    head = f"{'module':<24}{'mutants':>8}{'killed':>8}{'timeout':>8}{'survived':>9}{'equivalent':>11}{'not run':>8}"
    lines = [f"{head}{'of all':>8}{'of rest':>8}"]
    for module, counted in modules.items():
        total, killed = counted.total(), counted["killed"] + counted["timeout"]
        rest = total - counted["equivalent"]
        counts = f"{total:>8}{counted['killed']:>8}{counted['timeout']:>8}{counted['survived']:>9}"
        counts += f"{counted['equivalent']:>11}{counted['not run']:>8}"
        lines.append(f"{module:<24}{counts}{killed / total:>8.1%}{killed / (rest or 1):>8.1%}")
    return "\n".join(lines)


def _of_module(meta: Path, equivalent: set[Change]) -> Iterator[Mutant]:
    source = meta.relative_to(FOLDER).with_suffix("")
    judged = {function for function, _, _ in equivalent}
    for name, code in json.loads(meta.read_bytes())["exit_code_by_key"].items():
        status = _status(code)
        if status == "killed" and _function_of(name) not in judged:
            yield Mutant(name=name, status=status)
            continue
        change = _change(name, source)
        # One that changes nothing is not killed by its tests taking too long: the machine was busy.
        if status in ("survived", "timeout") and (change in equivalent or UNREACHABLE in " ".join(change[1:])):
            status = "equivalent"
        yield Mutant(name=name, status=status, change=change)


def _status(code: int | None) -> Status:
    """Return what the exit status of a mutant's tests says. Tests that crash the process have noticed."""
    from mutmut.stats import status_by_exit_code

    match status_by_exit_code[code]:
        case "killed" | "segfault":
            return "killed"
        case "timeout":
            return "timeout"
        case "survived" | "no tests" | "suspicious":
            return "survived"
        case _:
            return "not run"


def _change(name: str, source: Path) -> Change:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(name, path=source).splitlines()[2:]
    removed = " ".join(line[1:] for line in lines if line.startswith("-"))
    added = " ".join(line[1:] for line in lines if line.startswith("+"))
    return _function_of(name), _plain(removed), _plain(added)


def _function_of(name: str) -> str:
    """`processor.interpreter.turn.xǁTurnǁdraw__mutmut_3` is `turn.Turn.draw`, `….retry.x_matches__mutmut_1` is
    `retry.matches`."""
    function = name.rpartition(".")[2].partition("__mutmut_")[0]
    return f"{_module_of(name)}.{function.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def _module_of(name: str) -> str:
    return name.rpartition(".")[0].removeprefix("processor.interpreter.")


def _plain(code: str) -> str:
    return " ".join(code.split())
