"""What a command is answered that cannot apply."""

from __future__ import annotations

from msgspec import Struct

from processor.model.records import RejectionReason


class Refused(Struct, frozen=True):
    """The command cannot apply."""

    reason: RejectionReason
    detail: str
