"""Differences between the two answers, and the rules that say who is right about each.

Outputs are compared as JSON values, where 1, 1.0 and true are three things and the order of an object's names is none;
each place that differs is a difference of its own and needs a rule of its own. Rules stand in `adjudications.yaml`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from processor.model.json import Json, parse_json, render_json
from tests.differential.answer import Answer

FILE = Path(__file__).with_name("adjudications.yaml")

Level = Literal["end", "cause", "output", "lost"]
ABSENT = "<absent>"
LOST = re.compile(r"Custom Error Names MUST NOT begin with the prefix 'States\.'")


class Difference(msgspec.Struct, frozen=True):
    """`end`: status or error differ. `cause`: both failed alike, with other words. `output`: one place of it.
    `lost`: moto has put an error of its own in place of the one it met.
    """

    level: Level
    definition: str
    ours: Answer
    moto: Answer
    place: str = ""
    our_text: str = ""
    moto_text: str = ""

    def told(self) -> str:
        if self.level == "output":
            return f"output {self.place or '/'}: ours {self.our_text} moto {self.moto_text}"
        return f"{self.level}: ours {self.ours}, moto {self.moto}"


def differences(definition: Json, ours: Answer, moto: Answer) -> list[Difference]:
    """Where moto has lost the error, what it met before is compared."""
    text = render_json(definition)
    found = moto_found(moto)
    lost = [] if found is moto else [Difference("lost", text, ours, moto)]
    return lost + _differences(text, ours, found)


def moto_found(moto: Answer) -> Answer:
    """Return moto's answer with the failure it met, where a check of moto's own has replaced that; else `moto`."""
    before = list(itertools.takewhile(lambda failure: LOST.search(failure) is None, moto.met))
    if moto.status != "FAILED" or LOST.search(moto.cause or "") is None or not before:
        return moto
    error, _, cause = before[-1].partition(": ")
    return msgspec.structs.replace(moto, error=error, cause=None if cause == "None" else cause)


def _differences(text: str, ours: Answer, moto: Answer) -> list[Difference]:
    if (ours.status, ours.error) != (moto.status, moto.error):
        return [Difference("end", text, ours, moto)]
    if ours.status == "REFUSED":
        return []  # each says so in words of its own
    if ours.output is None or moto.output is None:
        return [] if ours.cause == moto.cause else [Difference("cause", text, ours, moto)]
    return [
        Difference("output", text, ours, moto, place, our_text, moto_text)
        for place, our_text, moto_text in _unlike(parse_json(ours.output), parse_json(moto.output), "")
    ]


def _unlike(ours: Json, moto: Json, place: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(ours, dict) and isinstance(moto, dict):
        for name in [*ours, *(name for name in moto if name not in ours)]:
            inner = f"{place}/{name}"
            if name in ours and name in moto:
                yield from _unlike(ours[name], moto[name], inner)
            else:
                yield inner, _text_or_absent(ours, name), _text_or_absent(moto, name)
    elif isinstance(ours, list) and isinstance(moto, list) and len(ours) == len(moto):
        for index, (our, other) in enumerate(zip(ours, moto, strict=True)):
            yield from _unlike(our, other, f"{place}/{index}")
    elif (our_text := render_json(ours)) != (moto_text := render_json(moto)):
        yield place, our_text, moto_text


def _text_or_absent(value: dict[str, Json], name: str) -> str:
    return render_json(value[name]) if name in value else ABSENT


# ---- rules


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer must be like: `cause` and `text`, the differing place of the output, are regular expressions that
    are searched for; `met` must be found in one of the failures on the way."""

    status: Literal["SUCCEEDED", "FAILED", "REFUSED"] | None = None
    error: str | None = None
    cause: str | None = None
    met: str | None = None
    text: str | None = None

    def fits(self, answer: Answer, text: str) -> bool:
        return (
            self.status in (None, answer.status)
            and self.error in (None, answer.error)
            and (self.cause is None or re.search(self.cause, answer.cause or "") is not None)
            and (self.met is None or any(re.search(self.met, failure) for failure in answer.met))
            and (self.text is None or re.search(self.text, text) is not None)
        )


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of difference, and who is right. All that is given must hold.

    `definition` is searched for in the definition's JSON text; `relation` is one of RELATIONS.
    """

    id: str
    levels: tuple[Level, ...]
    right: Literal["ours", "moto", "neither"]
    why: str
    source: str
    ours: End = End()
    moto: End = End()
    definition: str | None = None
    relation: str | None = None

    def fits(self, difference: Difference) -> bool:
        return (
            difference.level in self.levels
            and self.ours.fits(difference.ours, difference.our_text)
            and self.moto.fits(difference.moto, difference.moto_text)
            and (self.definition is None or re.search(self.definition, difference.definition) is not None)
            and (self.relation is None or RELATIONS[self.relation](difference))
        )


def load_rules() -> list[Rule]:
    rules = msgspec.convert(yaml.safe_load(FILE.read_text()), list[Rule])
    for rule in rules:
        assert rule.relation is None or rule.relation in RELATIONS, rule
        told = rule.relation or rule.ours.cause or rule.moto.met or rule.moto.cause or rule.moto.text
        assert told, f"{rule.id} says nothing of the answers"
    return rules


def adjudicate(difference: Difference, rules: list[Rule]) -> Rule | None:
    """Return the first rule that fits."""
    return next((rule for rule in rules if rule.fits(difference)), None)


# ---- how the two sides of a difference relate

_INPUT = re.compile(r"in the input '(.*)'", re.DOTALL)


def _moto_wraps(difference: Difference) -> bool:
    return difference.moto_text in (f"[{difference.our_text}]", f'"[{difference.our_text[1:-1]}]"')


def _moto_unwraps(difference: Difference) -> bool:
    return f"[{difference.moto_text}]" == difference.our_text


def _moto_gives_values(difference: Difference) -> bool:
    ours = parse_json(difference.our_text) if difference.our_text.startswith("{") else None
    return isinstance(ours, dict) and render_json(list(ours.values())) == difference.moto_text


def _same_values(difference: Difference) -> bool:
    """Both outputs are made of the same names, texts, numbers, however nested."""
    ours, moto = parse_json(difference.ours.output or ""), parse_json(difference.moto.output or "")
    return sorted(_leaves(ours)) == sorted(_leaves(moto))


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _leaves(inner)
    else:
        yield render_json(value)


def _moto_drops_null(difference: Difference) -> bool:
    ours = parse_json(difference.our_text) if difference.our_text.startswith("[") else None
    return (
        isinstance(ours, list) and render_json([value for value in ours if value is not None]) == difference.moto_text
    )


def _moto_escapes_text(difference: Difference) -> bool:
    """The text that a text stands for is the same JSON."""
    ours, moto = _text_in(difference.our_text), _text_in(difference.moto_text)
    if difference.level == "cause":
        ours, moto = difference.ours.cause, difference.moto.cause
    return ours is not None and moto is not None and "\\u" in moto and _same_json(ours, moto)


def _text_in(text: str) -> str | None:
    value = None if text in ("", ABSENT) else parse_json(text)
    return value if isinstance(value, str) else None


def _same_json(first: str, second: str) -> bool:
    try:
        return parse_json(first) == parse_json(second)
    except ValueError:
        return False


def _moto_spaces_the_input(difference: Difference) -> bool:
    return _spaced_alike(difference.ours.cause or "", difference.moto.cause or "")


def _spaced_alike(ours: str, moto: str) -> bool:
    """Whether two causes are the same but for blanks, and names in another order, in the input that they quote, and but
    for the ids of events."""
    ours, moto = without_ids(ours), without_ids(moto)
    quoted, other = _INPUT.search(ours), _INPUT.search(moto)
    if quoted is None or other is None or _INPUT.sub("", ours) != _INPUT.sub("", moto):
        return False
    return _same_json(quoted[1], other[1])


def without_ids(cause: str) -> str:
    """Which id an event has, among branches that run at once, is chance with moto."""
    return re.sub(r"entered at the event id #\d+", "entered at the event id #", cause)


def _other_id(difference: Difference) -> bool:
    return without_ids(difference.ours.cause or "") == without_ids(difference.moto.cause or "")


def _other_reason(difference: Difference) -> bool:
    """Both name the path that finds nothing, and differ in what comes after."""
    ours, moto = (
        _NO_RESULTS.fullmatch(without_ids(answer.cause or "")) for answer in (difference.ours, difference.moto)
    )
    return ours is not None and moto is not None and ours[1] == moto[1]


_NO_RESULTS = re.compile(r"(.*Invalid path '.*') : (?:No results for|Missing property in) path:? \$.*", re.DOTALL)


def _same_path(difference: Difference) -> bool:
    """Both causes name the same state and the same path."""
    ours, moto = (_NAMED.match(without_ids(answer.cause or "")) for answer in (difference.ours, difference.moto))
    return ours is not None and moto is not None and ours.groups() == moto.groups()


_NAMED = re.compile(
    r"(An error occurred while executing the state '.*?' \(.*?\)\. )(?:Invalid path|The JSONPath) '(.*?)' "
)


def _null_and_empty(difference: Difference) -> bool:
    return (difference.our_text, difference.moto_text) == ("null", '""')


RELATIONS: dict[str, Callable[[Difference], bool]] = {
    "moto wraps the value in a list": _moto_wraps,
    "moto unwraps the list of one": _moto_unwraps,
    "moto gives the object's values": _moto_gives_values,
    "the same values in another order": _same_values,
    "moto drops null": _moto_drops_null,
    "moto escapes what is not ASCII": _moto_escapes_text,
    "moto writes blanks into the input quoted": _moto_spaces_the_input,
    "the same path, another reason": _other_reason,
    "both name the same path": _same_path,
    "the same cause, another event id": _other_id,
    "ours null, moto an empty text": _null_and_empty,
}
