"""What AWS's JSON parser, Jackson, says of a text that States.StringToJson cannot read.

Three texts are recorded (an odd field name, an open object, an unknown word); the others follow that library's messages
for the same places. The text was refused before: this only finds words for it.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, loads

_SOURCE = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {}, column: {}]"
_VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_WORD = re.compile(r"[\w$]+")
_MARKS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def json_complaint(text: str) -> str:
    """Return Jackson's sentence about the first fault of a text that is not JSON."""
    try:
        loads(text, parse_int=str, parse_float=str)  # str: no limit on digits
    except JSONDecodeError as fault:
        what, at = _sentence(text, fault)
    except RecursionError:
        what, at = "Document nesting depth (1001) exceeds the maximum allowed (1000)", 0
    else:
        what, at = "The number or the character is not one that JSON allows", 0
    return f"{what}\n at {_place(text, at)}"


def _place(text: str, at: int) -> str:
    line = text.count("\n", 0, at)
    return _SOURCE.format(line + 1, at - text.rfind("\n", 0, at))


def _sentence(text: str, fault: JSONDecodeError) -> tuple[str, int]:
    at = fault.pos
    if fault.msg.startswith("Unterminated string"):
        return "Unexpected end-of-input: was expecting closing quote for a string value", len(text)
    if at == len(text):
        return _end_of_input(text), at
    if fault.msg.startswith("Expecting value") and (word := _WORD.match(text, at)):
        return f"Unrecognized token '{word.group()}': was expecting {_VALUES}", word.end()
    character = f"Unexpected character ('{text[at]}' (code {ord(text[at])}))"
    if fault.msg.startswith("Expecting value"):
        return f"{character}: expected a valid value {_VALUES}", at
    if fault.msg.startswith("Expecting property name"):
        return f"{character}: was expecting double-quote to start field name", at
    if fault.msg.startswith("Expecting ':'"):
        return f"{character}: was expecting a colon to separate field name and value", at
    if fault.msg.startswith("Expecting ','"):
        kind, _ = _innermost(text[:at])
        return f"{character}: was expecting comma to separate {kind} entries", at
    if fault.msg.startswith("Extra data"):
        return f"{character}: Expected space separating root-level values", at
    if fault.msg.startswith("Invalid control character"):
        code = f"(CTRL-CHAR, code {ord(text[at])})"
        return (
            f"Illegal unquoted character ({code}): has to be escaped using backslash to be included in string value",
            at,
        )
    return f"Unrecognized character escape '{text[at + 1]}' (code {ord(text[at + 1])})", at + 1


def _end_of_input(text: str) -> str:
    kind, start = _innermost(text)
    return f"Unexpected end-of-input: expected close marker for {kind} (start marker at {_place(text, start)})"


def _innermost(text: str) -> tuple[str, int]:
    """Return the kind of the innermost object or array that is open at the end of the text, and its place."""
    opened: list[int] = []
    for mark in _MARKS.finditer(text):
        if mark.group() in "[{":
            opened.append(mark.start())
        elif mark.group() in "]}" and opened:
            opened.pop()
    start = opened[-1] if opened else 0
    return ("Object" if text.startswith("{", start) else "Array"), start
