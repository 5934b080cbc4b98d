"""The grammar of an intrinsic call, as AWS accepts it: text → a tree of calls, literals and paths.

`States.Format('{} is {}', $.name, States.ArrayLength($.items))`. What a call computes is in `intrinsics_functions.py`,
how a tree becomes a closure in `intrinsics.py`. Strings stand in single quotes; a backslash in them escapes a quote, a
brace or a backslash, and before anything else makes AWS refuse the definition (recorded for an escaped double quote).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from processor.errors import DecodingFailed
from processor.interpreter.paths_syntax import PathFault
from processor.model.json import parse_json

MAX_LENGTH = 65_536  # characters of one call with all that is in it; bounds the work of compiling it
MAX_DEPTH = 10  # calls within calls. Source: AWS developer guide, "Intrinsic functions": "nest up to 10"

FUNCTIONS = frozenset(
    {
        "States.Array",
        "States.ArrayContains",
        "States.ArrayGetItem",
        "States.ArrayLength",
        "States.ArrayPartition",
        "States.ArrayRange",
        "States.ArrayUnique",
        "States.Base64Decode",
        "States.Base64Encode",
        "States.Format",
        "States.Hash",
        "States.JsonMerge",
        "States.JsonToString",
        "States.MathAdd",
        "States.MathRandom",
        "States.StringSplit",
        "States.StringToJson",
        "States.UUID",
    }
)


class IntrinsicFault(PathFault):
    """A text that is no intrinsic call; the message is meant for a diagnostic. A PathFault, so that who compiles a
    field that may hold either needs one `except`. `position` counts characters from 0."""

    def __init__(self, what: str, *, text: str, position: int) -> None:
        super().__init__(f"not a valid intrinsic function call: {what} at character {position + 1} of {text[:200]!r}")
        self.what, self.position = what, position


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal: `written` as between its quotes, `value` with the escapes resolved."""

    written: str
    value: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, true, false or null."""

    value: int | float | bool | None


@dataclass(frozen=True, slots=True)
class Reference:
    """`$.x`, `$$.x`, `$name`: text and where it stands."""

    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """`place`: how many calls stand before this one in the text, which numbers what it draws."""

    name: str
    arguments: tuple[Argument, ...]
    place: int


Argument: TypeAlias = Call | Text | Scalar | Reference

_BLANKS = " \t\r\n"
_ESCAPED = "'\\{}"
_NAME = re.compile(r"States\.[A-Za-z0-9]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z]+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse_intrinsic(text: str) -> Call:
    """Return the tree of a call. Raises IntrinsicFault: a function that AWS does not have, an open string, …

    How many arguments a call has is not looked at: AWS finds that out when the call runs.
    """
    if len(text) > MAX_LENGTH:
        raise IntrinsicFault(f"longer than {MAX_LENGTH} characters", text=text, position=MAX_LENGTH)
    reader = _Reader(text)
    call = reader.call(depth=1)
    reader.blanks()
    if reader.at < len(text):
        raise reader.fault(f"unexpected {reader.peek()!r}")
    return call


class _Reader:
    """Reads one text from left to right; recursion is bounded by MAX_DEPTH."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.calls = text, 0, 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, expected: str) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def blanks(self) -> None:
        while self.peek() and self.peek() in _BLANKS:
            self.at += 1

    def fault(self, what: str, *, position: int | None = None) -> IntrinsicFault:
        return IntrinsicFault(what, text=self.text, position=self.at if position is None else position)

    def call(self, *, depth: int) -> Call:
        start, place = self.at, self.calls
        self.calls += 1
        named = _NAME.match(self.text, self.at)
        if named is None:
            raise self.fault("expected a function such as States.Format")
        name = named.group()
        if name not in FUNCTIONS:
            raise self.fault(f"there is no function {name[:80]!r}; there are {', '.join(sorted(FUNCTIONS))}")
        if depth > MAX_DEPTH:
            raise self.fault(f"calls are nested more than {MAX_DEPTH} deep", position=start)
        self.at = named.end()
        if not self.take("("):
            raise self.fault(f"expected '(' after {name}")
        return Call(name, self.arguments(depth), place)

    def arguments(self, depth: int) -> tuple[Argument, ...]:
        read: list[Argument] = []
        self.blanks()
        if self.take(")"):
            return ()
        while True:
            self.blanks()
            read.append(self.argument(depth))
            self.blanks()
            if self.take(")"):
                return tuple(read)
            if not self.take(","):
                raise self.fault(f"expected ',' or ')', got {self.peek() or 'the end'!r}")

    def argument(self, depth: int) -> Argument:
        char = self.peek()
        if char == "'":
            return self.string()
        if char == "$":
            return self.reference()
        if self.text.startswith("States.", self.at):
            return self.call(depth=depth + 1)
        return self.scalar()

    def string(self) -> Text:
        start = self.at
        self.at += 1
        value: list[str] = []
        while (char := self.peek()) != "'":
            if not char:
                raise self.fault("the string is not terminated", position=start)
            self.at += 1
            if char == "\\":
                char = self.peek()
                if not char or char not in _ESCAPED:
                    raise self.fault("a backslash escapes only ', \\, { and }", position=self.at - 1)
                self.at += 1
            value.append(char)
        self.at += 1
        return Text(self.text[start + 1 : self.at - 1], "".join(value))

    def reference(self) -> Reference:
        """A path runs up to the comma or parenthesis that belongs to the call; those in its brackets are its own."""
        start, depth, quote = self.at, 0, ""
        while True:
            if not (char := self.peek()):
                raise self.fault("the call ends within this path", position=start)
            if quote:
                if char == "\\":
                    self.at += 1
                elif char == quote:
                    quote = ""
            elif char in "'\"":
                quote = char
            elif char in "[(":
                depth += 1
            elif not depth and char in ",)":
                break
            elif char in "])":
                depth -= 1
            self.at += 1
        return Reference(self.text[start : self.at].rstrip(_BLANKS), start)

    def scalar(self) -> Scalar:
        start = self.at
        if number := _NUMBER.match(self.text, start):
            self.at = number.end()
            try:
                value = parse_json(number.group())
            except DecodingFailed:
                value = None
            if isinstance(value, int | float):
                return Scalar(value)
            raise self.fault("the number is out of range", position=start)
        word = _WORD.match(self.text, start)
        if word is not None and word.group() in _WORDS:
            self.at = word.end()
            return Scalar(_WORDS[word.group()])
        raise self.fault("expected a string in single quotes, a path, a number, true, false, null or a function")
