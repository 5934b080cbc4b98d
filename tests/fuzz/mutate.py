"""Mutations that know JSON: bytes in, bytes out, from one source of chance. What is no JSON is mutated as text."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.fuzz.corpus import WORDS

MAX_BYTES = 16_384
_MARKS = "$.[]()*?@'\"\\,:=!<>&|~/{}%ab01-+ \n\x00é😀"


def mutate(data: bytes, chance: Random) -> bytes:
    """Return another input, made of this one by a few changes."""
    head, _, tail = data.partition(b"\n")
    if tail and chance.random() < 0.5 and not head.startswith((b"{", b"[")):
        return (_text_mutated(head, chance) + b"\n" + tail)[:MAX_BYTES]
    try:
        value = json.loads(tail or data)
    except (ValueError, RecursionError):
        return _text_mutated(data, chance)[:MAX_BYTES]
    for _ in range(chance.randint(1, 4)):
        value = _value_mutated(value, chance)
    made = json.dumps(value, ensure_ascii=chance.random() < 0.3).encode(errors="surrogatepass")
    return ((head + b"\n" if tail else b"") + made)[:MAX_BYTES]


def _text_mutated(data: bytes, chance: Random) -> bytes:
    text = list(data.decode(errors="replace"))
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        match chance.randint(0, 4):
            case 0:
                del text[at : at + chance.randint(1, 4)]
            case 1:
                text[at:at] = chance.choice(_MARKS)
            case 2:
                text[at:at] = str(chance.choice(WORDS))[:100]
            case 3:
                text[at:at] = text[at : at + chance.randint(1, 20)] * chance.randint(1, 8)
            case _:
                text[at : at + 1] = chance.choice(_MARKS)
    return "".join(text).encode(errors="surrogatepass")


def _value_mutated(value: Any, chance: Random, depth: int = 0) -> Any:
    """Change one thing, somewhere in the value."""
    if value and isinstance(value, dict) and chance.random() < 0.8 and depth < 40:
        members, key = value.copy(), chance.choice(list(value))
        if chance.random() < 0.75:
            members[key] = _value_mutated(value[key], chance, depth + 1)
        else:
            members[_name(chance, list(value))] = members.pop(key) if chance.random() < 0.5 else members[key]
        return members
    if value and isinstance(value, list) and chance.random() < 0.8 and depth < 40:
        elements, at = value.copy(), chance.randrange(len(value))
        if chance.random() < 0.75:
            elements[at] = _value_mutated(value[at], chance, depth + 1)
        else:
            elements.insert(at, chance.choice(elements))
        return elements
    match chance.randint(0, 5):
        case 0:
            return chance.choice(WORDS)
        case 1 if isinstance(value, str):
            return _text_mutated(value.encode(errors="replace"), chance).decode(errors="replace")
        case 2:
            return [value] * chance.randint(0, 3)
        case 3:
            return {_name(chance, ["a"]): value, "b": chance.choice(WORDS)}
        case 4 if isinstance(value, int | float) and not isinstance(value, bool):
            return chance.choice([-value, value + 1, value * 10**20, 1 / (value or 1)]) if abs(value) < 1e200 else 0
        case _:
            return chance.choice(WORDS)


def _name(chance: Random, names: list[Any]) -> str:
    return str(chance.choice([*names, "a", "b", "x.$", "Variable", "Next", chance.choice(WORDS)]))
