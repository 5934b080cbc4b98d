"""Reads the JSON text of a definition and says what is wrong with one that is no JSON: with the words and places of
Jackson, the parser of AWS, whose messages ValidateStateMachineDefinition hands on (recorded for 'not a definition').

The value itself comes from orjson; this scanner, slower by far, runs only where there is something to tell: a fault,
a field given twice, or the line and column of each part for people.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn

import orjson

from processor.model.json import Json

MAX_DEPTH = 128  # levels of JSON; a stack of that depth is safe wherever a definition is walked
TOO_DEEPLY_NESTED: Final = f"Definition is nested more than {MAX_DEPTH} levels deep"

_SNIPPET = 500  # characters of the text that Jackson quotes
_TOKEN = 256  # characters of a word that it quotes
_VALID = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_LITERALS = {"t": "true", "f": "false", "n": "null", "N": "NaN", "I": "Infinity"}
_ESCAPES = '"\\/bfnrt'
_HEX = "0123456789abcdefABCDEF"
_SPACE = " \t\r\n"
_LINE_END = re.compile(r"\r\n?|\n")
_WIDE = re.compile(r"[\U00010000-\U0010ffff]")  # what is two characters to Java
_STARTS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Sc", "Pc"})
_PARTS = _STARTS | {"Nd", "Mn", "Mc", "Cf"}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a text for people: line and column, both from 1."""

    line: int
    column: int


class JsonFault(ValueError):
    """A text that is no JSON. `message` is Jackson's, with its ` at [Source: …]`; `location` is that source."""

    code: Literal["INVALID_JSON_DESCRIPTION", "TOO_DEEPLY_NESTED"] = "INVALID_JSON_DESCRIPTION"
    location: str | None

    def __init__(self, reason: str, *, location: str, place: Place) -> None:
        super().__init__(reason)
        self.message = f"{reason}\n at {location}"
        self.location, self.place = location, place


class TooDeep(JsonFault):
    """A text that is nested deeper than MAX_DEPTH. `place` is where the level begins that is one too many."""

    code = "TOO_DEEPLY_NESTED"

    def __init__(self, place: Place) -> None:
        ValueError.__init__(self, TOO_DEEPLY_NESTED)
        self.message, self.location, self.place = TOO_DEEPLY_NESTED, None, place


def read_json(text: str) -> Json:
    """Return the value of a text. Raises JsonFault, also where an object has a field twice."""
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        scanner = _Scanner(text)
        scanner.scan()
        # Only what Jackson would take and orjson does not: halves of surrogate pairs, numbers that no double holds.
        place = scanner.place_of(fault.pos)
        raise JsonFault(fault.msg, location=scanner.source(fault.pos), place=place) from None
    if is_deeper(value, MAX_DEPTH) or _has_duplicates(text):
        _Scanner(text).scan()
    return value


def places_in(text: str, wanted: Iterable[str]) -> Mapping[str, Place]:
    """Return where those parts of a JSON text stand whose JSON pointers are wanted, if there are such: a member where
    its name begins, an element where its value begins. Raises JsonFault."""
    scanner = _Scanner(text, wanted)
    scanner.scan()
    return {pointer: scanner.place_of(position) for pointer, position in scanner.positions.items()}


def measure_places(value: object) -> int:
    """Return how many characters the JSON pointers of all parts of a value have together, escapes apart; the value is
    no deeper than MAX_DEPTH."""
    total = 0
    rest: list[tuple[object, int]] = [(value, 0)]
    while rest:
        some, length = rest.pop()
        total += length
        if isinstance(some, dict):
            rest += [(one, length + 1 + len(name) if isinstance(name, str) else length) for name, one in some.items()]
        elif isinstance(some, list | tuple):
            rest += [(one, length + 1 + len(str(len(some)))) for one in some]
    return total


def is_deeper(value: object, limit: int) -> bool:
    """Whether a value, which need not be JSON and may hold itself, is nested deeper than `limit` levels."""
    rest: list[tuple[object, int]] = [(value, 0)]
    while rest:
        some, depth = rest.pop()
        if isinstance(some, dict | list | tuple):
            if depth == limit:
                return True
            rest += [(one, depth + 1) for one in (some.values() if isinstance(some, dict) else some)]
    return False


def _has_duplicates(text: str) -> bool:
    found = False

    def note(members: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in members}) < len(members)

    json.loads(text, object_pairs_hook=note, parse_int=len, parse_float=len)
    return found


@dataclass(slots=True)
class _Wanted:
    """Pointers by their tokens: `pointer` where one ends here, `within` those that go on. Followed along with the text,
    so that no pointer is made for what nobody wants: names may be long, and nested."""

    pointer: str | None = None
    within: dict[str, _Wanted] = field(default_factory=dict)

    @classmethod
    def of(cls, pointers: Iterable[str]) -> _Wanted:
        root = cls()
        for pointer in pointers:
            at = root
            for token in pointer.split("/")[1:]:
                at = at.within.setdefault(token.replace("~1", "/").replace("~0", "~"), cls())
            at.pointer = pointer
        return root


@dataclass(slots=True)
class _Scope:
    """An array or object being read, or the root; `index` counts what it holds so far."""

    kind: Literal["root", "Array", "Object"]
    start: int = 0
    wanted: _Wanted | None = None
    index: int = 0
    names: set[str] = field(default_factory=set)


class _Scanner:
    """Follows Jackson's ReaderBasedJsonParser: `at` is the next character to read, where it says that a fault is."""

    def __init__(self, text: str, wanted: Iterable[str] = ()) -> None:
        self.text = text
        self.at = 0
        self.positions: dict[str, int] = {}
        self.scopes = [_Scope("root", wanted=_Wanted.of(wanted))]
        self.lines = [0, *(end.end() for end in _LINE_END.finditer(text))]
        self.wide = [found.start() for found in _WIDE.finditer(text)]

    @property
    def scope(self) -> _Scope:
        return self.scopes[-1]

    def place_of(self, position: int) -> Place:
        """Return line and column as Java counts them: a character beyond the first 65,536 is two."""
        line = bisect_right(self.lines, position)
        start = self.lines[line - 1]
        wide = bisect_left(self.wide, position) - bisect_left(self.wide, start)
        return Place(line, position - start + wide + 1)

    def source(self, position: int) -> str:
        place, text = self.place_of(position), self.text.encode(errors="replace").decode()
        cut = f"[truncated {len(text) - _SNIPPET} chars]" if len(text) > _SNIPPET else ""
        return f'[Source: (String)"{text[:_SNIPPET]}"{cut}; line: {place.line}, column: {place.column}]'

    def scan(self) -> None:
        """Read the whole text. Raises JsonFault for the first fault, TooDeep where that is its depth."""
        while (char := self.next_char()) is not None:
            self.token(char)
        if self.scope.kind != "root":
            start = self.source(self.scope.start)
            self.fail_at_end(f": expected close marker for {self.scope.kind} (start marker at {start})")
        if self.scope.index == 0:
            self.fail("No content to map due to end-of-input")

    def token(self, char: str) -> None:
        if char in "]}":
            self.close(char)
            return
        scope = self.scope
        if scope.kind == "root" and scope.index:
            self.fail("Trailing token found after value: not allowed")
        if scope.kind != "root" and scope.index:
            char = self.comma(char)
        # The root is what its scope wants.
        wanted = scope.wanted if scope.kind == "root" else scope.wanted and scope.wanted.within.get(str(scope.index))
        position = self.at - 1
        if scope.kind == "Object":
            if char != '"':
                self.fail_at_char(char, "was expecting double-quote to start field name")
            name = self.string(of="name", at_end=" in field name")
            if name in scope.names:
                self.fail(f"Duplicate field '{name}'")
            scope.names.add(name)
            wanted = scope.wanted and scope.wanted.within.get(name)
            char = self.colon()
        scope.index += 1
        if wanted is not None and wanted.pointer is not None:
            self.positions[wanted.pointer] = position
        self.value(char, wanted)

    def value(self, char: str, wanted: _Wanted | None) -> None:
        if char == '"':
            self.string(of="string value", at_end=": was expecting closing quote for a string value")
        elif char in "[{":
            if len(self.scopes) > MAX_DEPTH:
                raise TooDeep(self.place_of(self.at - 1))
            self.scopes.append(_Scope("Array" if char == "[" else "Object", self.at - 1, wanted))
        elif char == "}":
            self.fail_at_char(char, "expected a value")
        elif char == "-" or char in "0123456789":
            self.number(char)
        elif char in _LITERALS:
            self.literal(_LITERALS[char])
        elif unicodedata.category(char) in _STARTS:
            self.fail_at_word(char)
        else:
            self.fail_at_char(char, f"expected a valid value {_VALID}")

    def close(self, char: str) -> None:
        scope = self.scope
        if char != {"Array": "]", "Object": "}", "root": None}[scope.kind]:
            expected = "]" if char == "}" else "}"
            start = self.source(scope.start)
            self.fail(f"Unexpected close marker '{char}': expected '{expected}' (for {scope.kind} starting at {start})")
        self.scopes.pop()

    # ---- characters

    def next_char(self) -> str | None:
        """Return the next character that is no white space, read."""
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char not in _SPACE:
                if ord(char) < 0x20:
                    reason = (
                        f"Illegal character ({_described(char)}): only regular white space (\\r, \\n, \\t) is allowed"
                    )
                    self.fail(f"{reason} between tokens")
                return char
        return None

    def comma(self, char: str) -> str:
        if char != ",":
            self.fail_at_char(char, f"was expecting comma to separate {self.scope.kind} entries")
        return self.next_char() or self.fail_at_end(f" within/between {self.scope.kind} entries")

    def colon(self) -> str:
        char = self.next_char() or self.fail_at_end(f" within/between {self.scope.kind} entries")
        if char != ":":
            self.fail_at_char(char, "was expecting a colon to separate field name and value")
        return self.next_char() or self.fail_at_end(f" within/between {self.scope.kind} entries")

    # ---- strings, numbers, words

    def string(self, *, of: str, at_end: str) -> str:
        start = self.at - 1
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                decoded: str = json.loads(self.text[start : self.at])
                return decoded
            if char == "\\":
                self.escape()
            elif ord(char) < 0x20:
                described = f"Illegal unquoted character ({_described(char)})"
                self.fail(f"{described}: has to be escaped using backslash to be included in {of}")
        self.fail_at_end(at_end)

    def escape(self) -> None:
        char = self.raw(" in character escape sequence")
        if char == "u":
            for _ in range(4):
                if (digit := self.raw(" in character escape sequence")) not in _HEX:
                    self.fail_at_char(digit, "expected a hex-digit for character escape sequence")
        elif char not in _ESCAPES:
            self.fail(f"Unrecognized character escape {_described(char)}")

    def number(self, char: str) -> None:
        if char == "-":
            char = self.raw(" in numeric value")
            if not _is_digit(char):
                self.fail_at_number(char, "expected digit (0-9) to follow minus sign, for valid numeric value")
        if char == "0" and self.peek_digit():
            self.fail("Invalid numeric value: Leading zeroes not allowed")
        self.digits()
        if self.peek() == ".":
            self.at += 1
            self.some_digits("Decimal point not followed by a digit")
        if self.peek() in ("e", "E"):
            self.at += 1
            if self.peek() in ("+", "-"):
                self.at += 1
            self.some_digits("Exponent indicator not followed by a digit")
        follows = self.peek()
        if self.scope.kind == "root" and follows and follows not in _SPACE:
            self.at += 1
            self.fail_at_char(follows, "Expected space separating root-level values")

    def some_digits(self, otherwise: str) -> None:
        if not _is_digit(char := self.raw(" in numeric value")):
            self.fail_at_number(char, otherwise)
        self.digits()

    def digits(self) -> None:
        while self.peek_digit():
            self.at += 1

    def literal(self, word: str) -> None:
        for index, char in enumerate(word[1:], start=1):
            if self.peek() != char:
                self.fail_at_word(word[:index])
            self.at += 1
        if (follows := self.peek()) and unicodedata.category(follows) in _PARTS:
            self.fail_at_word(word)
        if word in ("NaN", "Infinity"):
            enable = "`JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS`"
            self.fail(f"Non-standard token '{word}': enable {enable} to allow")

    def raw(self, at_end: str) -> str:
        if self.at >= len(self.text):
            self.fail_at_end(at_end)
        self.at += 1
        return self.text[self.at - 1]

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def peek_digit(self) -> bool:
        return _is_digit(self.peek())

    # ---- faults

    def fail(self, reason: str) -> NoReturn:
        raise JsonFault(reason, location=self.source(self.at), place=self.place_of(self.at))

    def fail_at_char(self, char: str, expected: str) -> NoReturn:
        self.fail(f"Unexpected character ({_described(char)}): {expected}")

    def fail_at_number(self, char: str, expected: str) -> NoReturn:
        self.fail(f"Unexpected character ({_described(char)}) in numeric value: {expected}")

    def fail_at_end(self, what: str) -> NoReturn:
        self.at = len(self.text)
        self.fail(f"Unexpected end-of-input{what}")

    def fail_at_word(self, begun: str) -> NoReturn:
        """Name the word that begins so, as far as it goes."""
        word = begun
        while len(word) < _TOKEN and (char := self.peek()) and unicodedata.category(char) in _PARTS:
            word += char
            self.at += 1
        more = "..." if len(word) >= _TOKEN else ""
        self.fail(f"Unrecognized token '{word}{more}': was expecting {_VALID}")


def _is_digit(char: str) -> bool:
    return char != "" and char in "0123456789"


def _described(char: str) -> str:
    code = ord(char)
    if code < 0x20 or 0x7F <= code < 0xA0:
        return f"(CTRL-CHAR, code {code})"
    return f"'{char}' (code {code}{f' / 0x{code:x}' if code > 255 else ''})"
