"""The grammar of JSONPath as AWS accepts it: text → root and segments. What they select is in `paths_select.py`,
what a whole path does in `paths.py`.

The recorded causes ("Missing property in path $['no']") are those of Jayway's JsonPath, so where the original article
on JSONPath leaves a choice, that library's reading is followed: `$['a','b']` at the end makes an object of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from processor.interpreter.paths_regex import PatternFault, Regex, compile_regex

MAX_LENGTH = 4_096  # characters of one path; bounds the work of every step below
MAX_VARIABLE_NAME_LENGTH = 80  # characters
MAX_DEPTH = 16  # filters within filters, parentheses within parentheses


class PathFault(ValueError):
    """A text that is no path; the message is meant for a diagnostic."""


@dataclass(frozen=True, slots=True)
class Names:
    """`.a`, `['a']`, `['a','b']`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Indexes:
    """`[0]`, `[-1]`, `[0,2]`."""

    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """`[1:]`, `[:2]`, `[0:4:2]`."""

    start: int | None
    stop: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`.*`, `[*]`."""


@dataclass(frozen=True, slots=True)
class Descent:
    """The `..` before another segment: the value itself and everything in it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(…)]`."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Written:
    """A path as read. The root is `$`, `$$`, a workflow variable (`$name`), or, in a filter, `@`; within filters `$` is
    the whole value searched."""

    root: Literal["INPUT", "CONTEXT", "VARIABLE", "CURRENT"]
    segments: tuple[Segment, ...]
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Literally:
    """A literal in a filter: number, string, true, false, null, or an array of them. `text`: as written, a string
    without its quotes."""

    value: str | int | float | bool | tuple[Literally, ...] | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Matches:
    """`@.name =~ /foo.*/i`."""

    operand: Operand
    regex: Regex


@dataclass(frozen=True, slots=True)
class Exists:
    operand: Operand


@dataclass(frozen=True, slots=True)
class Negation:
    condition: Condition


@dataclass(frozen=True, slots=True)
class Junction:
    """All of the conditions for `&&`, any for `||`."""

    operator: Literal["&&", "||"]
    conditions: tuple[Condition, ...]


Segment: TypeAlias = Names | Indexes | Slice | Wildcard | Descent | Filter
Operand: TypeAlias = Written | Literally
Condition: TypeAlias = Comparison | Matches | Exists | Negation | Junction

_QUOTES = "'\""
_NAME_ENDS = frozenset(" \t\r\n.[]()'\"")
_NAME_ENDS_IN_FILTER = _NAME_ENDS | frozenset("=!<>&|~,")
_TEXT_ENDS = frozenset(" \t\r\n[]()'\",=!<>~")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_COMPARISONS = ("==", "!=", "<=", ">=", "=~", "<", ">", "in", "nin", "contains", "size", "empty", "anyof", "noneof",
                "subsetof", "all")  # fmt: skip


def parse_path(text: str) -> Written:
    """Return the root and the segments of a path. Raises PathFault."""
    if len(text) > MAX_LENGTH:
        raise PathFault(f"a path has at most {MAX_LENGTH} characters")
    reader = _Reader(text)
    if not reader.take("$"):
        raise PathFault(f"a path starts with '$', got {text[:80]!r}")
    root: Literal["INPUT", "CONTEXT", "VARIABLE"] = "CONTEXT" if reader.take("$") else "INPUT"
    variable = reader.variable() if root == "INPUT" else ""
    segments = reader.segments(ends=_NAME_ENDS)
    if reader.at < len(text):
        raise reader.fault(f"unexpected {reader.peek()!r}")
    return Written("VARIABLE" if variable else root, segments, variable)


def is_variable_name(name: str) -> bool:
    """Return whether a workflow variable may have this name: an identifier of Unicode, 80 characters at most, and not
    `states`, which is JSONata's (Developer Guide, "Passing data between states with variables")."""
    return name.isidentifier() and len(name) <= MAX_VARIABLE_NAME_LENGTH and name != "states"


class _Reader:
    """Reads one text from left to right; recursion is bounded by MAX_DEPTH."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def take(self, expected: str) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def need(self, expected: str) -> None:
        if not self.take(expected):
            raise self.fault(f"expected {expected!r}, got {self.peek() or 'the end'!r}")

    def blanks(self) -> None:
        while self.peek() and self.peek() in " \t":
            self.at += 1

    def fault(self, what: str) -> PathFault:
        return PathFault(f"not a valid JSONPath: {what} at character {self.at + 1} of {self.text[:200]!r}")

    def variable(self) -> str:
        """Read the name of a variable, which follows its `$`; nothing where there is none."""
        start = self.at
        while self.text[start : self.at + 1].isidentifier() and self.peek():
            self.at += 1
        name = self.text[start : self.at]
        if name and not is_variable_name(name):
            raise self.fault(f"${name[:80]} is no variable")
        return name

    # ---- segments

    def segments(self, *, ends: frozenset[str]) -> tuple[Segment, ...]:
        read: list[Segment] = []
        while True:
            if self.take(".."):
                read.append(Descent())
                read.append(self.bracket() if self.peek() == "[" else self.name(ends))
            elif self.take("."):
                read.append(self.bracket() if self.peek() == "[" else self.name(ends))
            elif self.peek() == "[":
                read.append(self.bracket())
            else:
                return tuple(read)

    def name(self, ends: frozenset[str]) -> Segment:
        """Read a name after a dot. A backslash takes the next character for what it is: `$.store\\.book` has one name.

        Source: ASL specification, "Reference Paths".
        """
        start, read = self.at, list[str]()
        while (char := self.peek()) and char not in ends and char.isprintable():
            self.at += 1
            if char == "\\":
                char = self.peek()
                if not char:
                    raise self.fault("the path ends with a backslash")
                self.at += 1
            read.append(char)
        name = "".join(read)
        if not name:
            raise self.fault("expected a name")
        if self.text[start : self.at] == "*":
            return Wildcard()
        # A function such as `.length()` is accepted by AWS and then never found: recorded for `.sum()` at a forum.
        return Names((f"{name}()",)) if self.take("()") else Names((name,))

    def bracket(self) -> Segment:
        self.need("[")
        self.blanks()
        segment: Segment
        if self.take("*"):
            segment = Wildcard()
        elif self.take("?"):
            segment = Filter(self.parenthesis())
        elif self.peek() and self.peek() in _QUOTES:
            segment = self.names()
        else:
            segment = self.positions()
        self.blanks()
        self.need("]")
        return segment

    def names(self) -> Names:
        names = [self.quoted()]
        self.blanks()
        while self.take(","):
            self.blanks()
            names.append(self.quoted())
            self.blanks()
        return Names(tuple(names))

    def quoted(self) -> str:
        quote = self.peek()
        if not quote or quote not in _QUOTES:
            raise self.fault("expected a quoted name")
        self.at += 1
        read: list[str] = []
        while (char := self.peek()) != quote:
            if not char:
                raise self.fault("a quote is not closed")
            self.at += 1
            read.append(self.escaped() if char == "\\" else char)
        self.at += 1
        return "".join(read)

    def escaped(self) -> str:
        char = self.peek()
        if not char:
            raise self.fault("a quote is not closed")
        self.at += 1
        if char != "u":
            return _ESCAPES.get(char, char)
        digits = self.text[self.at : self.at + 4]
        if len(digits) < 4 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            raise self.fault("expected four hexadecimal digits")
        code = int(digits, 16)
        if 0xD800 <= code <= 0xDFFF:
            raise self.fault("half a surrogate pair")
        self.at += 4
        return chr(code)

    def positions(self) -> Indexes | Slice:
        first = self.integer()
        self.blanks()
        if self.peek() == ":":
            return self.slice(first)
        if first is None:
            raise self.fault("expected an index, a slice, a quoted name, '*' or '?'")
        indexes = [first]
        while self.take(","):
            self.blanks()
            index = self.integer()
            if index is None:
                raise self.fault("expected an index")
            indexes.append(index)
            self.blanks()
        return Indexes(tuple(indexes))

    def slice(self, start: int | None) -> Slice:
        self.need(":")
        self.blanks()
        stop = self.integer()
        self.blanks()
        step = None
        if self.take(":"):
            self.blanks()
            step = self.integer()
            if step is not None and step < 1:
                raise self.fault("the step of a slice must be positive")
        return Slice(start, stop, step)

    def integer(self) -> int | None:
        start = self.at
        self.take("-")
        while self.peek() and self.peek() in "0123456789":
            self.at += 1
        digits = self.text[start : self.at]
        if digits in ("", "-"):
            self.at = start
            return None
        if len(digits) > 18:
            raise self.fault("the index is too large")
        return int(digits)

    # ---- filters

    def parenthesis(self) -> Condition:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fault("nested too deeply")
        self.need("(")
        condition = self.junction("||")
        self.need(")")
        self.depth -= 1
        return condition

    def junction(self, operator: Literal["&&", "||"]) -> Condition:
        conditions: list[Condition] = []
        while True:
            conditions.append(self.junction("&&") if operator == "||" else self.condition())
            self.blanks()
            if not self.take(operator):
                break
        return conditions[0] if len(conditions) == 1 else Junction(operator, tuple(conditions))

    def condition(self) -> Condition:
        self.blanks()
        if self.peek() == "!" and self.peek(1) != "=":
            self.at += 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.fault("nested too deeply")
            negated = Negation(self.condition())
            self.depth -= 1
            return negated
        if self.peek() == "(":
            return self.parenthesis()
        left = self.operand()
        self.blanks()
        for operator in _COMPARISONS:
            if self.text.startswith(operator, self.at) and self.ends_word(operator):
                self.at += len(operator)
                self.blanks()
                if operator == "=~":
                    return Matches(left, self.regex())
                return Comparison(operator, left, self.operand(bare=True))
        if isinstance(left, Literally):
            raise self.fault("expected a comparison")
        return Exists(left)

    def ends_word(self, operator: str) -> bool:
        return not operator.isalpha() or not self.peek(len(operator)).isalnum()

    def regex(self) -> Regex:
        start = self.at
        if not self.take("/"):
            raise self.fault("expected a regular expression such as /a.*b/i")
        while (char := self.peek()) != "/":
            if not char:
                raise self.fault("a regular expression is not closed")
            self.at += 2 if char == "\\" else 1
        pattern = self.text[start + 1 : self.at]
        self.at += 1
        flags = self.at
        while self.peek().isalpha():
            self.at += 1
        try:
            return compile_regex(pattern, self.text[flags : self.at])
        except PatternFault as fault:
            self.at = start
            raise self.fault(str(fault)) from None

    def operand(self, *, bare: bool = False) -> Operand:
        """Read a path or a literal. `bare`: text without quotes will do, which AWS takes on the right
        (reported by users: `[?(@.Name==/eggs/cooked/like)]`)."""
        if self.take("@"):
            return Written("CURRENT", self.segments(ends=_NAME_ENDS_IN_FILTER))
        if self.take("$"):
            return Written("INPUT", self.segments(ends=_NAME_ENDS_IN_FILTER))
        if self.take("["):
            return Literally(self.literals())
        return self.literal(bare=bare)

    def literals(self) -> tuple[Literally, ...]:
        read: list[Literally] = []
        self.blanks()
        while not self.take("]"):
            if read:
                self.need(",")
                self.blanks()
            read.append(self.literal(bare=False))
            self.blanks()
        return tuple(read)

    def literal(self, *, bare: bool) -> Literally:
        if self.peek() and self.peek() in _QUOTES:
            text = self.quoted()
            return Literally(text, text)
        start = self.at
        while (char := self.peek()) and char not in _TEXT_ENDS and not self.text.startswith(("&&", "||"), self.at):
            self.at += 1
        word = self.text[start : self.at]
        if word in _WORDS:
            return Literally(_WORDS[word], word)
        if (number := _number(word)) is not None:
            return Literally(number, word)
        if bare and word:
            return Literally(word, word)
        self.at = start
        raise self.fault("expected a literal or a path")


def _number(word: str) -> int | float | None:
    if not word.isascii() or not (word[:1].isdigit() or word[:1] in ("-", ".")):
        return None
    try:
        number = float(word)
    except ValueError:
        return None
    if "_" in word or number - number != 0:
        return None
    return int(word) if word.lstrip("-").isdecimal() and len(word) < 19 else number


_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
