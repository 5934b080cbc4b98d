"""Fields whose value a path gives at run time: SecondsPath, TimeoutSecondsPath, ItemsPath and their like.

What comes out of a closure here has been checked: the causes name the path, which nobody else knows. Texts are
recorded, but for those marked by analogy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from processor.interpreter.paths import Path, PathFault, compile_path, rendered
from processor.interpreter.templates import Report, compile_expression, pointer_to
from processor.interpreter.timestamps import parse_timestamp
from processor.interpreter.turn import MAX_PAYLOAD_BYTES
from processor.model.definition import Environment, Evaluate, StateFailure
from processor.model.json import Json

Fields = Mapping[str, Json]

_INTEGER = re.compile(r"-?[0-9]{1,18}")

MAX_SECONDS = 99_999_999
"""What AWS allows where a number of seconds is written; beyond three years none means anything."""

MAX_ITEMS = 100_000_000
"""What an ItemReader reads at most."""


class Range(NamedTuple):
    """From `least` to `most`; None where nothing bounds a number there."""

    least: int | None
    most: int | None = None

    def __str__(self) -> str:
        return f"at least {self.least}" if self.most is None else f"between {self.least} and {self.most}"

    def holds(self, number: float) -> bool:
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


ANY = Range(None)
SECONDS = Range(1, MAX_SECONDS)  # until a timeout, until the next heartbeat
RANGES = {
    "MaxConcurrency": Range(0),
    "ToleratedFailureCount": Range(0),
    "MaxItems": Range(0),
    "MaxItemsPerBatch": Range(0),
    "MaxInputBytesPerBatch": Range(0, MAX_PAYLOAD_BYTES),
}
"""What a Map's numbers may be, whichever way they are given: written, by a path, by an expression.

Measured on AWS of what is written: the least of all but MaxConcurrency, and 256 KiB (floci issue 3733). That paths and
expressions may give the same is by analogy. Recorded, and so let through where they are compiled: a path may give a
MaxConcurrency below 0, and a MaxItems below 0, which is a failure of the reader. MaxItems over MAX_ITEMS is refused
where it is written (measured); what is computed is cut to that (floci pull request 3731).
"""


def compile_seconds_path(fields: Fields, *, pointer: str, report: Report) -> Evaluate | None:
    """Return SecondsPath's evaluation to a number of seconds, 0 or more."""

    def check(value: Json, text: str) -> Json:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _runtime(f"The SecondsPath parameter cannot be parsed as a long value: {text} == {_said(value)}")
        if value < 0:
            raise _runtime(f"The SecondsPath parameter references a negative value: {text} == {value}")
        return value

    return _compile(fields, "SecondsPath", check, pointer, report)


def compile_timestamp_path(fields: Fields, *, pointer: str, report: Report) -> Evaluate | None:
    """Return TimestampPath's evaluation to milliseconds since the epoch."""

    def check(value: Json, text: str) -> Json:
        moment = parse_timestamp(value) if isinstance(value, str) else None
        if moment is None:
            raise _runtime(
                "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format "
                f"string: {text} == {_said(value)}"
            )
        return moment

    return _compile(fields, "TimestampPath", check, pointer, report)


def compile_integer_path(fields: Fields, field: str, *, range: Range, pointer: str, report: Report) -> Evaluate | None:
    """Return the evaluation to an integer, for TimeoutSecondsPath, HeartbeatSecondsPath and the paths of a Map.

    The text is recorded for MaxItemsPath and ToleratedFailureCountPath; a value out of range is by analogy. Recorded
    for MaxConcurrencyPath, MaxItemsPath and those of ItemBatcher: a text that spells an integer, "2", is one.
    """

    def check(value: Json, text: str) -> Json:
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _runtime(f'The {field} field refers to value "{_said(value)}" which is not a valid integer: {text}')
        if not range.holds(value):
            raise _runtime(f'The {field} field refers to value "{value}" which is not {range}: {text}')
        return value

    return _compile(fields, field, check, pointer, report)


def compile_tolerated_count_path(fields: Fields, *, pointer: str, report: Report) -> Evaluate | None:
    """Return ToleratedFailureCountPath's evaluation to an integer, 0 or more."""
    field = "ToleratedFailureCountPath"
    evaluate = compile_integer_path(fields, field, range=ANY, pointer=pointer, report=report)
    if evaluate is None:
        return None

    def evaluate_count(value: Json, environment: Environment) -> Json:
        count = evaluate(value, environment)
        assert isinstance(count, int)
        # By analogy with the percentage, in the words that an emulator of AWS has for it.
        if not RANGES["ToleratedFailureCount"].holds(count):
            raise _runtime("ToleratedFailureCount cannot be negative.")
        return count

    return evaluate_count


def compile_tolerated_percentage_path(fields: Fields, *, pointer: str, report: Report) -> Evaluate | None:
    """Return ToleratedFailurePercentagePath's evaluation to a number from 0 to 100. Texts are recorded."""

    def check(value: Json, text: str) -> Json:
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = float(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            said = f'The {field} field refers to value "{_said(value)}" which is not a valid float: {text}'
            raise _runtime(said)
        if not 0 <= value <= 100:
            raise _runtime("ToleratedFailurePercentage must be between 0 and 100.")
        return value

    field = "ToleratedFailurePercentagePath"
    return _compile(fields, field, check, pointer, report)


_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


def compile_items_path(fields: Fields, *, objects: bool = False, pointer: str, report: Report) -> Evaluate | None:
    """Return ItemsPath's evaluation to an array, or with `objects` to an object; None where it is not written, or names
    the whole input."""

    def check(value: Json, text: str) -> Json:
        return check_items_or_object(value, text=text) if objects else check_items(value, text=text)

    if fields.get("ItemsPath") == "$":
        return None
    return _compile(fields, "ItemsPath", check, pointer, report)


def check_items(value: Json, *, text: str = "$") -> list[Json]:
    """Return what a Map is to run over. Raises StateFailure where it is no array.

    Recorded for an ItemsPath of `$$`, which AWS quotes as `$`: a context path is quoted without its first dollar.
    """
    if not isinstance(value, list):
        raise _runtime(f'Reference path "{text[text.startswith("$$") :]}" must point to array.')
    return value


def check_items_or_object(value: Json, *, text: str = "$") -> list[Json] | dict[str, Json]:
    """As check_items, for a distributed Map: that runs over the members of an object, too."""
    return value if isinstance(value, dict) else check_items(value, text=text)


def compile_text(fields: Fields, field: str, *, pointer: str, report: Report) -> str | Evaluate | None:
    """Return a Fail's Error or Cause: as written, or the evaluation of its Path form to a string."""
    path_field = f"{field}Path"
    written = fields.get(path_field)
    if not isinstance(written, str):
        constant = fields.get(field)
        return constant if isinstance(constant, str) else None
    try:
        evaluate = compile_expression(written, field=path_field, pointer=pointer)
    except PathFault as fault:
        report(pointer_to(pointer, path_field), str(fault))
        return None

    def evaluate_text(value: Json, environment: Environment) -> Json:
        found = evaluate(value, environment)
        if not isinstance(found, str):  # by analogy
            raise _runtime(f"The {path_field} parameter does not reference a string value: {written} == {_said(found)}")
        return found

    return evaluate_text


def _compile(
    fields: Fields, field: str, check: Callable[[Json, str], Json], pointer: str, report: Report
) -> Evaluate | None:
    text = fields.get(field)
    if not isinstance(text, str):
        return None
    try:
        path = compile_path(text, field=field)
    except PathFault as fault:
        report(pointer_to(pointer, field), str(fault))
        return None
    return _checked(path, check)


def _checked(path: Path, check: Callable[[Json, str], Json]) -> Evaluate:
    evaluate, text = path.evaluate, path.text
    return lambda value, environment: check(evaluate(value, environment), text)


def _said(value: Json) -> str:
    """Return the value as AWS's causes quote it: a string bare, anything else as JSON."""
    return value if isinstance(value, str) else rendered(value)


def _runtime(cause: str) -> StateFailure:
    return StateFailure("States.Runtime", cause)
