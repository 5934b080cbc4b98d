"""Everything random comes of one recorded seed, so it does not depend on interleaving nor on where a log was cut."""

from __future__ import annotations

from hashlib import blake2b

from processor.model.ids import ScopeKey, render_scope

NAMING = -1
"""The number of the draw that names what an event starts; what expressions draw is numbered from 0."""


def draw(seed: bytes, *, scope: ScopeKey, visit: int, attempt: int, number: int) -> bytes:
    """Return the 16 bytes of draw `number` in this visit and attempt of a state in `scope`.

    BLAKE2b (RFC 7693) keyed by the seed, over `<scope>#<visit>#<attempt>#<number>`.
    """
    position = f"{render_scope(scope)}#{visit}#{attempt}#{number}".encode()
    return blake2b(position, key=seed, digest_size=16).digest()


def uuid_of(drawn: bytes) -> str:
    """Return the version 4 UUID of 16 drawn bytes, six of whose bits it sets (RFC 9562, section 5.4)."""
    bits = int.from_bytes(drawn, "big") & ~(0xF << 76) & ~(0x3 << 62)
    digits = f"{bits | 0x4 << 76 | 0x2 << 62:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def fraction(drawn: bytes) -> float:
    """Return a number in [0, 1) with 53 random bits."""
    return (int.from_bytes(drawn[:8], "big") >> 11) / (1 << 53)
