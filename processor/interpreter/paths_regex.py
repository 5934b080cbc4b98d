r"""Regular expressions in path filters, `[?(@.name =~ /foo.*/i)]`: Java's syntax, run by RE2.

RE2 takes time linear in the text and memory bounded beforehand, whatever the pattern; what it cannot do so
(back-references, lookaround, possessive quantifiers) is refused here, by name. What Java writes otherwise than RE2 is
rewritten. Differences that remain are listed in docs/decisions/0011.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import re2

MAX_PATTERN = 1_000  # characters; compiling the worst found takes 30 ms
MAX_PROGRAM = 5_000  # instructions; `\p{L}` takes 1,200
_MAX_MEMORY = 1 << 18  # bytes that RE2 may use for one pattern
_HALF = "a regular expression with half a surrogate pair"


class PatternFault(ValueError):
    """A text that is no regular expression, or one that cannot be run in linear time; the message says which."""


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled pattern. Equal to another of the same pattern and flags."""

    pattern: str
    flags: str
    _compiled: Any = field(compare=False, repr=False)

    @property
    def size(self) -> int:
        """How many instructions RE2 made of it: matching takes at most so many steps a character."""
        return int(self._compiled.programsize)

    def matches(self, text: str) -> bool:
        """Whether the whole text matches, as Java's Matcher.matches has it."""
        return self._compiled.fullmatch(text) is not None


def compile_regex(pattern: str, flags: str = "") -> Regex:
    """Return the regular expression. Raises PatternFault.

    Flags: i (case does not matter), m (^ and $ at every line), s (a dot is a line's end too), u (cases beyond ASCII,
    which i includes anyhow).
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternFault(f"a regular expression has at most {MAX_PATTERN} characters")
    unknown = sorted(set(flags) - set("imsu"))
    if unknown:
        raise PatternFault(f"the flag {unknown[0]!r} of a regular expression is not supported, only i, m, s and u are")
    switches = "".join(sorted(set(flags) - {"u"}))
    text = (f"(?{switches})" if switches else "") + _Translator(pattern).translate()
    try:
        compiled = re2.compile(text, _options())
    except re2.error as error:
        raise PatternFault(f"/{pattern[:80]}/ is not a regular expression: {_said(error)}") from None
    except UnicodeEncodeError:
        raise PatternFault(_HALF) from None
    if compiled.programsize > MAX_PROGRAM:
        raise PatternFault(f"the regular expression /{pattern[:80]}/ is too large")
    return Regex(pattern, flags, compiled)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    options.never_capture = True
    return options


def _said(error: re2.error) -> str:
    said = error.args[0]
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


# ---- Java's syntax → RE2's

_VERTICAL: Final = r"\n\x0b\f\r\x{85}\x{2028}\x{2029}"
_HORIZONTAL: Final = r"\t \x{a0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}"
_SPACE: Final = r"\s\x0b"  # Java's \s has the vertical tab, RE2's has not
_CLASSES: Final = {"v": _VERTICAL, "h": _HORIZONTAL, "s": _SPACE}
_POSIX: Final = {
    "Lower": "lower", "Upper": "upper", "ASCII": "ascii", "Alpha": "alpha", "Digit": "digit", "Alnum": "alnum",
    "Punct": "punct", "Graph": "graph", "Print": "print", "Blank": "blank", "Cntrl": "cntrl", "XDigit": "xdigit",
    "Space": "space",
}  # fmt: skip
_GROUP: Final = re.compile(r"\(\?(?::|<[A-Za-z][A-Za-z0-9]*>|[ims]*(?:-[ims]+)?[:)])")
_NOT_LINEAR: Final = {
    "(?=": "lookahead",
    "(?!": "lookahead",
    "(?<=": "lookbehind",
    "(?<!": "lookbehind",
    "(?>": "an independent group",
}
_QUANTIFIER: Final = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}")
_ESCAPE: Final = re.compile(
    r"\\(?:"
    r"(?P<pair>u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})"
    r"|u(?P<unit>[0-9A-Fa-f]{4})"
    r"|x(?P<code>[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,6}\})"
    r"|0(?P<octal>[0-3][0-7]{2}|[0-7]{1,2})"
    r"|c(?P<control>[@-_a-z])"
    r"|(?P<negated>[pP])(?:\{(?P<name>[^{}]*)\}|(?P<letter>[A-Za-z]))"
    r"|(?P<plain>.))",
    re.DOTALL,
)


class _Translator:
    """Reads one pattern from left to right, once."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0
        self.written: list[str] = []

    def translate(self) -> str:
        while self.at < len(self.pattern):
            if self.pattern[self.at] == "[":
                self.character_class()
            elif self.pattern[self.at] == "\\":
                self.escape(within=False)
            elif self.pattern.startswith("(?", self.at):
                self.group()
            elif quantifier := _QUANTIFIER.match(self.pattern, self.at):
                self.quantifier(quantifier)
            else:
                self.copy(1)
        return "".join(self.written)

    def copy(self, length: int) -> None:
        self.written.append(self.pattern[self.at : self.at + length])
        self.at += length

    def refuse(self, what: str) -> PatternFault:
        where = f"character {self.at + 1} of the regular expression /{self.pattern[:80]}/"
        return PatternFault(f"{what} is not supported, at {where}")

    def refuse_backtracking(self, what: str) -> PatternFault:
        return self.refuse(f"{what}, which cannot be matched in linear time,")

    def group(self) -> None:
        for opening in sorted(_NOT_LINEAR, key=len, reverse=True):
            if self.pattern.startswith(opening, self.at):
                raise self.refuse_backtracking(_NOT_LINEAR[opening])
        opened = _GROUP.match(self.pattern, self.at)
        if opened is None:
            raise self.refuse(f"the group {self.pattern[self.at : self.at + 4]!r}")
        self.copy(len(opened.group()))

    def quantifier(self, quantifier: re.Match[str]) -> None:
        if self.pattern.startswith("+", quantifier.end()):
            raise self.refuse_backtracking("a possessive quantifier")
        lazy = self.pattern.startswith("?", quantifier.end())
        self.copy(len(quantifier.group()) + lazy)

    def character_class(self) -> None:
        """Copy up to the closing bracket. Java takes a bracket within as a union and `&&` as an intersection."""
        self.copy(2 if self.pattern.startswith("[^", self.at) else 1)
        first = self.at
        while self.at < len(self.pattern):
            if self.pattern[self.at] == "\\":
                self.escape(within=True)
            elif self.pattern[self.at] == "[":
                raise self.refuse("a character class within another (write \\[ for the bracket)")
            elif self.pattern.startswith("&&", self.at):
                raise self.refuse("an intersection of character classes")
            elif self.pattern[self.at] == "]" and self.at > first:
                self.copy(1)
                return
            else:
                self.copy(1)
        raise PatternFault(f"a character class is not closed in the regular expression /{self.pattern[:80]}/")

    def escape(self, *, within: bool) -> None:
        found = _ESCAPE.match(self.pattern, self.at)
        if found is None:
            raise PatternFault(f"the regular expression /{self.pattern[:80]}/ ends with a backslash")
        if found["pair"] or found["unit"] or found["code"] or found["octal"] or found["control"]:
            piece = self.character(found)
        elif found["negated"]:
            piece = self.property(found, within=within)
        elif found["plain"] == "Q":
            self.quotation()
            return
        else:
            piece = self.letter(found["plain"], within=within)
        self.written.append(piece)
        self.at = found.end()

    def character(self, found: re.Match[str]) -> str:
        if found["pair"]:
            high, low = int(found["pair"][1:5], 16), int(found["pair"][7:], 16)
            code = 0x10000 + ((high - 0xD800) << 10) + low - 0xDC00
        elif found["unit"]:
            code = int(found["unit"], 16)
        elif found["code"]:
            code = int(found["code"].strip("{}"), 16)
        elif found["octal"]:
            code = int(found["octal"], 8)
        else:
            code = ord(found["control"]) ^ 64
        if 0xD800 <= code <= 0xDFFF:
            raise PatternFault(_HALF)
        return f"\\x{{{code:x}}}"

    def property(self, found: re.Match[str], *, within: bool) -> str:
        name = found["name"] or found["letter"] or ""
        negated = found["negated"] == "P"
        if name in _POSIX:
            named = f"[:{'^' if negated else ''}{_POSIX[name]}:]"
            return named if within else f"[{named}]"
        return f"\\{found['negated']}{{{name.removeprefix('Is')}}}"

    def quotation(self) -> None:
        end = self.pattern.find("\\E", self.at)
        quoted = self.pattern[self.at + 2 : end if end >= 0 else len(self.pattern)]
        self.written.append(re.escape(quoted))
        self.at = end + 2 if end >= 0 else len(self.pattern)

    def letter(self, letter: str, *, within: bool) -> str:
        lower = letter.lower()
        if lower in _CLASSES and (letter == lower or not within):
            members = _CLASSES[lower]
            return members if within else f"[{'' if letter == lower else '^'}{members}]"
        if letter == "R" and not within:
            return rf"(?:\r\n|[{_VERTICAL}])"
        if letter == "Z" and not within:
            return r"\z"  # all of the text has to match: what may follow \Z, a line's end, cannot
        if letter == "e":
            return r"\x{1b}"
        if letter in "123456789k":
            raise self.refuse_backtracking("a back-reference")
        if letter.isalnum() and letter not in "aAbBdDfnrStwWz":
            raise self.refuse(f"\\{letter}")
        return f"\\{letter}"
