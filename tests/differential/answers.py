"""Moto's answers, kept: to ask moto 2,000 times takes a minute, and it answers the same each time.

The file holds moto's version and, by the digest of definition and input, what it answered. `make differential` writes
it anew; the tests ask moto again for a sample, and fail where the file is of another version or lacks a case.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import msgspec

from processor.model.json import canonical_json
from tests.differential.answer import Answer
from tests.differential.generator import Generated

FILE = Path(__file__).with_name("moto_answers.json.xz")


class Kept(msgspec.Struct, frozen=True):
    moto: str
    answers: dict[str, Answer]

    def of(self, case: Generated) -> Answer:
        """Raises KeyError where the file does not have it: run `make differential`."""
        return self.answers[digest(case)]


def digest(case: Generated) -> str:
    return sha256(canonical_json([case.definition, case.input])).hexdigest()[:16]


def load() -> Kept:
    return msgspec.json.decode(lzma.decompress(FILE.read_bytes()), type=Kept)


def store(version: str, answers: Iterable[tuple[Generated, Answer]]) -> None:
    kept = Kept(version, {digest(case): answer for case, answer in answers})
    FILE.write_bytes(lzma.compress(msgspec.json.encode(kept), preset=9))
