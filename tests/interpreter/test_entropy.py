"""What is drawn from a recorded seed."""

from __future__ import annotations

from uuid import UUID

import pytest

from processor.interpreter.entropy import draw, uuid_of


def test_a_uuid_of_drawn_bytes_is_of_version_4_and_of_the_variant_of_rfc_9562() -> None:
    made = [UUID(uuid_of(bytes([byte]) * 16)) for byte in range(256)]

    assert {(uuid.version, uuid.variant) for uuid in made} == {(4, "specified in RFC 4122")}


@pytest.mark.parametrize("number", range(8))
def test_a_uuid_keeps_all_other_bits_that_were_drawn(number: int) -> None:
    drawn = draw(bytes(16), scope=(1, number), visit=2, attempt=0, number=number)

    assert uuid_of(drawn) == str(UUID(bytes=drawn, version=4))
