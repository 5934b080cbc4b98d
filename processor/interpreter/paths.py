"""JSONPath, compiled once to closures: `$.a` reads the input, `$$.a` the context object.

A definite path gives its value or fails the state; an indefinite one gives a list, of one and of none too (recorded:
`$.items[1:]` of an object without items is []). The grammar is in `paths_syntax.py`, selection in `paths_select.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from processor.interpreter.paths_select import (
    MAX_VISITS,
    MISSING,
    Missing,
    Search,
    Steps,
    TooManyValues,
    Unfit,
    compile_segments,
    definite_steps,
    find_step,
    find_steps,
    is_definite,
    no_array,
)
from processor.interpreter.paths_syntax import Indexes, Names, PathFault, Written, parse_path
from processor.model.definition import Environment, Evaluate, StateFailure
from processor.model.json import Json, is_longer, render_json

__all__ = [
    "MISSING",
    "Missing",
    "Path",
    "PathFault",
    "ReferencePath",
    "compile_path",
    "compile_reference_path",
    "rendered",
]

Find: TypeAlias = "Callable[[Json, Environment], Json | Missing]"
Fail: TypeAlias = Callable[[Json, Json], StateFailure]
"""(the input, what was searched) → the failure of a path that finds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path ready to run. `evaluate` raises StateFailure where a definite path finds nothing, `find` gives MISSING.

    `root` gives what is searched: the input, the context object or a variable (MISSING where that was never assigned).
    """

    text: str
    definite: bool
    reads_context: bool
    variable: str
    whole_input: bool
    evaluate: Evaluate
    find: Find
    root: Find


def compile_path(text: str, *, field: str) -> Path:
    """Return the path of the named field; the field decides how AWS words a failure. Raises PathFault."""
    written = parse_path(text)
    reads_context = written.root == "CONTEXT"
    definite = is_definite(written.segments)
    steps = definite_steps(written.segments) if definite else ()
    fail = _failure(text, steps, field)
    if definite:
        find = _find_definite(steps)
        evaluate = _evaluate_definite(steps, find, fail)
    else:
        evaluate = find = _select(compile_segments(written.segments), text)
    root = _root(written)
    if written.root != "INPUT":
        absent = _failure(text, (written.variable, *steps), field)  # a variable that was never assigned
        evaluate, find = _of_root(root, find, fail, absent), _find_of_root(root, find)
    elif text != "$" or field.endswith(".$"):
        evaluate = _of_something(evaluate, field)
    return Path(
        text=text,
        definite=definite,
        reads_context=reads_context,
        variable=written.variable,
        whole_input=written.root == "INPUT" and not written.segments,
        evaluate=evaluate,
        find=find,
        root=root,
    )


def _root(written: Written) -> Find:
    if written.root == "CONTEXT":
        return lambda _, environment: environment.context
    if written.root == "VARIABLE":
        name = written.variable
        return lambda _, environment: environment.variables.get(name, MISSING)
    return lambda value, _: value


def _find_definite(steps: Steps) -> Find:
    return lambda value, _: find_steps(value, steps)


def _evaluate_definite(steps: Steps, find: Find, fail: Fail) -> Evaluate:
    single = [step for step in steps if not isinstance(step, tuple)]
    if len(single) < len(steps):
        return _evaluate_find(find, fail)
    if all(isinstance(step, str) for step in single):
        return _evaluate_names(steps, fail)
    return _evaluate_steps(single, fail)


def _evaluate_names(steps: Steps, fail: Fail) -> Evaluate:
    """The common path, names only, without a test per step: no JSON value but an object takes a string as its key."""

    def evaluate(value: Json, _: Environment) -> Json:
        found: Json = value
        try:
            for step in steps:
                found = found[step]  # type: ignore[index]  # what raises is what is not there
        except (KeyError, TypeError):
            raise fail(value, value) from None
        return found

    return evaluate


def _evaluate_steps(steps: Sequence[str | int], fail: Fail) -> Evaluate:
    """Names and indexes: an index asks for an array first, for a string would give one of its characters."""
    typed = tuple((step, dict if isinstance(step, str) else list) for step in steps)

    def evaluate(value: Json, _: Environment) -> Json:
        found: Json = value
        try:
            for step, container in typed:
                if type(found) is not container:
                    raise fail(value, value)
                found = found[step]  # type: ignore[index]  # as just tested
        except LookupError:
            raise fail(value, value) from None
        return found

    return evaluate


def _evaluate_find(find: Find, fail: Fail) -> Evaluate:
    def evaluate(value: Json, environment: Environment) -> Json:
        found = find(value, environment)
        if isinstance(found, Missing):
            raise fail(value, value)
        return found

    return evaluate


def _select(select: Callable[[Json, Search], list[Json]], text: str) -> Evaluate:
    def evaluate(value: Json, environment: Environment) -> Json:
        search = Search(value, visited=environment.visited)
        try:
            found = select(value, search)
        except TooManyValues:
            cause = f"The JSONPath '{text}' looks at more than {MAX_VISITS} values, with those before it"
            raise StateFailure("States.Runtime", cause) from None
        except Unfit as unfit:
            raise StateFailure("States.Runtime", f"Invalid path '{text}' : {unfit.reason}") from None
        environment.visited = search.visited
        return found

    return evaluate


def _of_root(root: Find, find: Find, fail: Fail, absent: Fail) -> Evaluate:
    def evaluate(value: Json, environment: Environment) -> Json:
        searched = root(value, environment)
        if isinstance(searched, Missing):
            raise absent(value, {})
        found = find(searched, environment)
        if isinstance(found, Missing):
            raise fail(value, searched)
        return found

    return evaluate


def _find_of_root(root: Find, find: Find) -> Find:
    def find_of_root(value: Json, environment: Environment) -> Json | Missing:
        searched = root(value, environment)
        return searched if isinstance(searched, Missing) else find(searched, environment)

    return find_of_root


def _of_something(evaluate: Evaluate, field: str) -> Evaluate:
    """AWS applies no path to a null input; the text is that of a failed execution reported by a user."""
    if field in _CONDITION_FIELDS or field in _REFERENCE_FIELDS:
        return evaluate

    def evaluate_something(value: Json, environment: Environment) -> Json:
        if value is None:
            raise StateFailure("States.Runtime", "Unable to apply Path transformation to null or empty input.")
        return evaluate(value, environment)

    return evaluate_something


# ---- what AWS says of a path that finds nothing; each text is recorded, but that of Choice, which is widely reported

_REFERENCE_FIELDS = frozenset({"SecondsPath", "TimestampPath"})
_CONDITION_FIELDS = frozenset({"Variable", "Condition"})
_INPUT_FIELDS = frozenset({"ErrorPath", "CausePath"})


def _failure(text: str, steps: Steps, field: str) -> Fail:
    def fail(value: Json, searched: Json) -> StateFailure:
        if field in _CONDITION_FIELDS:
            cause = f"Invalid path '{text}': The choice state's condition path references an invalid value."
        elif field in _REFERENCE_FIELDS:
            cause = f"The {field} parameter does not reference an input value: {text}"
        elif (unfit := _unfit(searched, steps)) is not None:
            cause = f"Invalid path '{text}' : {unfit}"
        elif field in _INPUT_FIELDS or field.endswith(".$"):
            cause = (
                f"The JSONPath '{text}' specified for the field '{field}' could not be found in the input "
                f"'{rendered(value)}'"
            )
        else:
            cause = f"Invalid path '{text}' : {_reason(searched, steps)}"
        return StateFailure("States.Runtime", cause)

    return fail


def _unfit(value: Json, steps: Steps) -> str | None:
    """Return the sentence of AWS's path library for an index into what is no array, should that be what is amiss."""
    found: Json | Missing = value
    for step in steps:
        if isinstance(found, Missing) or isinstance(step, tuple):
            return None
        if isinstance(step, int) and (unfit := no_array(f"[{step}]", found)) is not None:
            return unfit
        found = find_step(found, step)
    return None


def _reason(value: Json, steps: Steps) -> str:
    """Say which step is missing: the last one ("No results"), one on the way ("Missing property"), or one of what has
    no members ("Property … not found", reported for `$.list.length()`). All are sentences of AWS's path library."""
    number, found = 0, value
    while not isinstance(following := _found(found, steps[number]), Missing):
        number, found = number + 1, following
    step = steps[number]
    if not isinstance(step, int) and type(found) is not dict:
        return f"Property {_bracketed((step,))[1:]} not found in path {_bracketed(steps[:number])}"
    if isinstance(step, str) and number < len(steps) - 1:
        return f"Missing property in path {_bracketed(steps[: number + 1])}"
    return f"No results for path: {_bracketed(steps)}"


def _found(value: Json, step: str | int | tuple[str, ...]) -> Json | Missing:
    return MISSING if isinstance(step, tuple) else find_step(value, step)


def _bracketed(steps: Steps) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f"[{_quoted(step)}]" for step in steps)


def _quoted(step: str | tuple[str, ...]) -> str:
    return f"'{step}'" if isinstance(step, str) else ",".join(f"'{name}'" for name in step)


_MAX_RENDERED = 262_144  # bytes


def rendered(value: Json) -> str:
    """Return the JSON text for a cause. What is nested deeper than any text may be, or is longer than anything a state
    may hold, is not repeated."""
    if is_longer(value, _MAX_RENDERED):
        return "…"
    try:
        return render_json(value)
    except TypeError:
        return "…"


# ---- reference paths


@dataclass(frozen=True, slots=True)
class ReferencePath:
    """Where a ResultPath puts a result: names and indexes only. `steps` empty: in place of everything."""

    text: str
    steps: tuple[str | int, ...]

    def insert(self, into: Json, value: Json) -> Json:
        """Return `into` with `value` at this place; `into` itself stays as it is, what is untouched is shared.

        Names that are missing are made, as objects. Raises StateFailure (States.ResultPathMatchFailure) where the way
        leads through anything but an object or an array, or to an element that is not there.
        """
        if not self.steps:
            return value
        made = current = self._opened(into, self.steps[0], into)
        for step, following in zip(self.steps, self.steps[1:], strict=False):
            child = find_step(current, step)
            if isinstance(child, Missing) and isinstance(step, str) and isinstance(following, str):
                child = {}
            opened = self._opened(child, following, into)
            _put(current, step, opened)
            current = opened
        last = self.steps[-1]
        if isinstance(last, int) and last >= len(current):
            raise self._mismatch(into)
        _put(current, last, value)
        return made

    def _opened(self, value: Json | Missing, step: str | int, into: Json) -> dict[str, Json] | list[Json]:
        """Return a copy of the container that `step` is taken in."""
        if isinstance(value, dict) and isinstance(step, str):
            return value.copy()
        if isinstance(value, list) and isinstance(step, int):
            return value.copy()
        raise self._mismatch(into)

    def _mismatch(self, into: Json) -> StateFailure:
        cause = f"Unable to apply ReferencePath {self.text} to input {rendered(into)}"
        return StateFailure("States.ResultPathMatchFailure", cause)


def _put(container: dict[str, Json] | list[Json], step: str | int, value: Json) -> None:
    container[step] = value  # type: ignore[index]  # _opened has matched the two


def compile_reference_path(text: str) -> ReferencePath:
    """Return the place a ResultPath names. Raises PathFault: `@ , : ? *`, `..`, negative indexes and `$$` name none."""
    written = parse_path(text)
    if written.root != "INPUT":
        raise PathFault(f"a reference path starts with '$.' or '$[', got {text[:80]!r}")
    steps: list[str | int] = []
    for segment in written.segments:
        match segment:
            case Names((name,)) if not name.endswith("()"):
                steps.append(name)
            case Indexes((index,)) if index >= 0:
                steps.append(index)
            case _:
                raise PathFault(f"a reference path names a single place, by names and indexes, got {text[:80]!r}")
    return ReferencePath(text, tuple(steps))
