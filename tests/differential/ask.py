"""Asks moto in a process of its own: python -m tests.differential.ask NUMBER… tells its version, then an answer a line.

Threads that moto stops die late, and with exceptions that pytest would ascribe to whatever test runs then.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.differential.answer import Answer
from tests.differential.generator import generated

ROOT = Path(__file__).resolve().parents[2]


def ask(numbers: Sequence[int]) -> tuple[str, list[Answer]]:
    """Return moto's version, and its answers to the cases with these numbers, in ascending order."""
    command = [sys.executable, "-m", __spec__.name, *map(str, numbers)]
    told = subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout.splitlines()
    return told[0].decode(), [msgspec.json.decode(line, type=Answer) for line in told[1:]]


def main() -> None:
    from tests.differential import moto_side

    numbers = set(map(int, sys.argv[1:]))
    print(moto_side.VERSION)
    for case in generated():
        if case.number in numbers:
            print(msgspec.json.encode(moto_side.answer(case.definition, case.input)).decode())


if __name__ == "__main__":
    main()
