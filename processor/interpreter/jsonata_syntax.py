"""What a JSONata text refers to: variables, fields of `$states`, and what it would read of a context that AWS does
not give it. The engine's parser has accepted the text before; this is one pass over its tokens, with a stack of open
brackets instead of recursion, so that depth costs nothing. The engine itself stands in `jsonata.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

# fmt: off
BUILT_IN = frozenset(
    {
        "abs", "append", "assert", "average", "base64decode", "base64encode", "boolean", "ceil", "clone",
        "contains", "count", "decodeUrl", "decodeUrlComponent", "distinct", "each", "encodeUrl",
        "encodeUrlComponent", "error", "eval", "exists", "filter", "floor", "formatBase", "formatInteger",
        "formatNumber", "fromMillis", "join", "keys", "length", "lookup", "lowercase", "map", "match", "max",
        "merge", "millis", "min", "not", "now", "number", "pad", "parseInteger", "power", "random", "reduce",
        "replace", "reverse", "round", "shuffle", "sift", "single", "sort", "split", "spread", "sqrt", "string",
        "substring", "substringAfter", "substringBefore", "sum", "toMillis", "trim", "type", "uppercase", "zip",
        "hash", "parse", "partition", "range", "uuid",
    }
)
# fmt: on
"""The library's functions and AWS's five: `$name` of these is a function unless a workflow variable has the name."""

REPEATING = frozenset({"distinct", "pad", "range", "reduce"})
"""What makes much of little: by feeding a result to the next call, by a number, by comparing each with each."""

HIGHER_ORDER = frozenset({"each", "filter", "map", "replace", "sift", "single", "sort"})
"""What calls a function for each value, and hands none of its results to the next call."""

MAX_GROWTH = 256
"""How often a value may be repeated within another by the constructors and calls of a tame text."""

MAY_GIVE_NAN = frozenset({"parseInteger"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """`names`: every `$name` not bound within the text, `states` and functions too. `states_fields`: the names that
    follow `$states`; None where it stands alone or is read in another way. `context_fields`: those that follow
    `$states.context`, likewise. `top_level`: what is read of the context
    outside any step, predicate, sort term or grouping, `$` and `$$` too, in order. `newer`: of the first operator that
    AWS's JSONata 2.0.6 does not have, `??` or `?:`, the second character and where it ends. `tame`: the text itself
    shows that values cannot grow by repetition (see docs/decisions/0010)."""

    names: frozenset[str]
    states_fields: frozenset[str] | None
    context_fields: frozenset[str] | None
    top_level: tuple[str, ...]
    newer: tuple[str, int] | None
    lone_surrogate: bool
    may_give_nan: bool
    tame: bool


Kind: TypeAlias = Literal["literal", "name", "variable", "regex", "operator", "end"]
Token: TypeAlias = "tuple[Kind, str, int]"  # the end of the token last

_SKIPPED = re.compile(r"(?:[ \t\n\r\v]+|/\*.*?\*/)+", re.DOTALL)
_STRING = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_OPERATOR = re.compile(r"\.\.|:=|!=|>=|<=|\*\*|~>|\?:|\?\?|[.\[\]{}(),@#;:?+\-*/%|=<>^~&!]")
_WORD = re.compile(r"[^ \t\n\r\v.\[\]{}(),@#;:?+\-*/%|=<>^~&!]+")
_ESCAPES = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)|(.)", re.DOTALL)
_VALUES = frozenset({"true", "false", "null"})
_LAMBDA = frozenset({"function", "λ"})
_NEWER = frozenset({"??", "?:"})
_CLOSING = frozenset(")]}")


def _token(text: str, position: int, *, operand: bool) -> Token:
    """Return the token at or after `position`. A `/` opens a regular expression where an operand is expected."""
    if skipped := _SKIPPED.match(text, position):
        position = skipped.end()
    if position >= len(text):
        return ("end", "", position)
    if operand and text[position] == "/":
        return ("regex", "", _regex_end(text, position + 1))
    if text[position] == "`":
        end = text.index("`", position + 1)
        return ("name", text[position + 1 : end], end + 1)
    for kind, pattern in _PATTERNS:
        if match := pattern.match(text, position):
            return (kind, match.group(), match.end())
    word = _WORD.match(text, position)
    assert word is not None  # any other character is part of a word
    if word.group().startswith("$"):
        return ("variable", word.group()[1:], word.end())
    return ("literal" if operand and word.group() in _VALUES else "name", word.group(), word.end())


_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("literal", _STRING),
    ("literal", _NUMBER),
    ("operator", _OPERATOR),
)


def _regex_end(text: str, position: int) -> int:
    """A slash within brackets of the regular expression does not end it; a bracket right after a backslash is none,
    even where that is escaped itself: so the reference implementation has it, and the engine."""
    depth = backslashes = 0
    while text[position] != "/" or depth or backslashes % 2:
        if not backslashes:
            depth += (text[position] in "([{") - (text[position] in ")]}")
        backslashes = backslashes + 1 if text[position] == "\\" else 0
        position += 1
    flags = re.compile("[a-z]*").match(text, position + 1)
    assert flags is not None  # it matches nothing, too
    return flags.end()


@dataclass(slots=True)
class _Frame:
    """An open bracket. `relative`: what stands in it is read of a step's values. `bound`: None where the bracket opens
    no scope of variables. `operand_relative`: whether the whole of it is a step itself. `builds`: its `operands` are
    parts of its value."""

    relative: bool
    bound: list[str] | None = None
    operand_relative: bool = False
    parameters: bool = False
    builds: bool = False
    callee: str = ""
    operands: int = 0
    bars: int = 0
    assigned: list[str] = field(default_factory=list)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.operand = True  # whether an operand comes next, not an operator
        self.step = False  # whether that operand is a step: it stands after a dot, or is a sort term
        self.last_relative = False
        self.frames = [_Frame(False, bound=[])]
        self.bound: Counter[str] = Counter()  # by the frames that are open
        self.lambda_relative: bool | None = None  # a lambda's parameters or body come next
        self.parameters: list[str] = []
        self.names: set[str] = set()
        self.fields: set[str] | None = set()
        self.context_fields: set[str] | None = set()
        self.top_level: dict[str, None] = {}
        self.newer: tuple[str, int] | None = None
        self.lone_surrogate = False
        self.may_give_nan = False
        self.function = ""  # the built-in function that stands right before
        self.wild = False  # calls what it made itself, or repeats
        self.reuses = False  # gives a name to values, or steps from one to the next
        self.growth = 1

    def run(self) -> Scan:
        for kind, word in self._tokens():
            match kind:
                case "variable":
                    self._variable(word)
                case "operator" if self.operand:
                    self._before_operand(word)
                case "operator":
                    self._after_operand(word)
                case "name" if not self.operand:  # and, or, in
                    self.operand, self.step = True, False
                case "name" if word in _LAMBDA and self._peek(operand=False) == "(":
                    self.lambda_relative = self._relative()
                    self.reuses = True
                    self.wild = self.wild or self.frames[-1].callee not in HIGHER_ORDER
                    self._bind_assigned()  # a function may call itself
                case "name":
                    self._context(word)
                case _:
                    self.lone_surrogate = self.lone_surrogate or _has_lone_surrogate(word)
                    self._complete()
        return Scan(
            names=frozenset(self.names),
            states_fields=None if self.fields is None else frozenset(self.fields),
            context_fields=None if self.context_fields is None else frozenset(self.context_fields),
            top_level=tuple(self.top_level),
            newer=self.newer,
            lone_surrogate=self.lone_surrogate,
            may_give_nan=self.may_give_nan or not MAY_GIVE_NAN.isdisjoint(self.names),
            tame=not self.wild and REPEATING.isdisjoint(self.names) and (not self.reuses or self.growth <= MAX_GROWTH),
        )

    def _tokens(self) -> Iterator[tuple[Kind, str]]:
        while True:
            kind, word, self.position = _token(self.text, self.position, operand=self.operand)
            if kind == "end":
                return
            yield kind, word

    def _peek(self, *, operand: bool) -> str:
        return _token(self.text, self.position, operand=operand)[1]

    def _relative(self) -> bool:
        return self.step or self.frames[-1].relative

    def _complete(self, relative: bool | None = None) -> None:
        """An operand is complete; an operator, a call or a predicate may follow."""
        self.last_relative = self._relative() if relative is None else relative
        self.function = ""
        self.frames[-1].operands += 1
        self.operand = self.step = False

    def _context(self, word: str) -> None:
        if not self._relative():
            self.top_level[word] = None
        self._complete()

    def _variable(self, name: str) -> None:
        if self.frames[-1].parameters:
            self.parameters.append(name)
            self.operand = False
        elif not name:
            self._context("$")
        elif name == "$":
            self.top_level["$$"] = None
            self._complete()
        elif self._peek(operand=False) == ":=":
            self.frames[-1].assigned.append(name)
            self._complete()
        else:
            if not self.bound[name]:
                self.names.add(name)
                if name == "states":
                    self._states_field()
            self._complete()
            self.function = name if name in BUILT_IN else ""

    def _states_field(self) -> None:
        word, end = self._step_after(self.position)
        if word is None:
            self.fields = None
        elif self.fields is not None:
            self.fields.add(word)
        if word == "context":
            within, _ = self._step_after(end)
            if within is None:
                self.context_fields = None
            elif self.context_fields is not None:
                self.context_fields.add(within)

    def _step_after(self, position: int) -> tuple[str | None, int]:
        """Return the name that follows after a dot, None for whatever else does, and where it ends."""
        _, dot, end = _token(self.text, position, operand=False)
        if dot != ".":  # then a slash that follows divides, and opens no regular expression
            return None, end
        kind, word, end = _token(self.text, end, operand=True)
        return (word if kind == "name" and word not in _LAMBDA else None), end

    def _before_operand(self, word: str) -> None:
        match word:
            case "(" if self.lambda_relative is not None:
                self.parameters = []
                self._open(_Frame(False, parameters=True))
            case "(":
                self._open(_Frame(self._relative(), bound=[], operand_relative=self._relative()))
            case "[" | "{":
                self.reuses = self.reuses or self.step
                self._open(_Frame(self._relative(), operand_relative=self._relative(), builds=True))
            case "|":
                self._open(_Frame(True, operand_relative=self._relative(), bars=1))
            case "*" | "**" | "%":
                self._context(word)
            case "?":  # a partial application
                self.wild = True
                self._complete()
            case _ if word in _CLOSING:
                self._close()
            case _:  # a sign; what separates nothing from nothing
                pass

    def _after_operand(self, word: str) -> None:
        match word:
            case "(":
                self.wild = self.wild or not self.function
                callee, relative = self.function, self.last_relative
                self._open(_Frame(relative, operand_relative=relative, builds=True, callee=callee))
            case "[" | "{":
                self.reuses = self.reuses or word == "{"
                self._open(_Frame(True, operand_relative=self.last_relative, builds=word == "{"))
            case "@" | "#":
                _, name, self.position = _token(self.text, self.position, operand=False)
                self.reuses = True
                self._bind([name])
            case "|":
                self.frames[-1].bars += 1
                self.operand = True
                if self.frames[-1].bars == 3:
                    self._close()
            case _ if word in _CLOSING:
                self._close()
            case _:
                self.may_give_nan = self.may_give_nan or word in ("/", "%")
                if word in _NEWER:
                    self.newer = self.newer or (word[1], self.position)
                self._follow(word)
                if word in (";", ","):
                    self._bind_assigned()
                self.operand, self.step = True, word in (".", "^")

    def _follow(self, word: str) -> None:
        """Note an operator that repeats: a range, a name for a value, a value handed to a function."""
        match word:
            case "..":
                self.wild = True
            case ":=":
                self.reuses = True
            case "~>":
                self.reuses = True
                self.wild = self.wild or self._peek(operand=True).removeprefix("$") not in BUILT_IN

    def _open(self, frame: _Frame) -> None:
        self.frames.append(frame)
        self.operand, self.step = True, False

    def _close(self) -> None:
        self._bind_assigned()
        frame = self.frames.pop()
        self.bound.subtract(frame.bound or ())
        if frame.builds and self.growth <= MAX_GROWTH:
            self.growth *= max(frame.operands, 1)
        if frame.parameters:
            self._open_body()
        else:
            self._complete(frame.operand_relative)

    def _open_body(self) -> None:
        """`<…>` between parameters and body is a signature."""
        relative, self.lambda_relative = bool(self.lambda_relative), None
        _, word, end = _token(self.text, self.position, operand=False)
        depth = 0
        while depth or word != "{":
            depth += (word == "<") - (word == ">")
            _, word, end = _token(self.text, end, operand=False)
        self.position = end
        self._open(_Frame(relative, bound=[], operand_relative=relative))
        self._bind(self.parameters)

    def _bind_assigned(self) -> None:
        """`$x := $x + 1` reads the outer variable: the name is bound where the value ends."""
        assigned = self.frames[-1].assigned
        self._bind(assigned)
        assigned.clear()

    def _bind(self, names: Iterable[str]) -> None:
        scope = next(frame.bound for frame in reversed(self.frames) if frame.bound is not None)
        for name in names:
            self.wild = self.wild or name in BUILT_IN
            scope.append(name)
            self.bound[name] += 1


def _has_lone_surrogate(literal: str) -> bool:
    """Whether a string literal spells half of a pair by `\\ud800`: such a string cannot be written down."""
    open_high = False
    for escape in _ESCAPES.finditer(literal):
        unit = int(escape.group(1) or "0", 16)
        low = 0xDC00 <= unit <= 0xDFFF
        if low != open_high:
            return True
        open_high = 0xD800 <= unit <= 0xDBFF
    return False


def scan(text: str) -> Scan:
    """Return what `text`, which the engine has accepted, refers to."""
    return _Scanner(text).run()
