"""Timestamps as the Amazon States Language writes them: RFC 3339 with a capital `T`, and `Z` or a numeric offset."""

from __future__ import annotations

import re
from datetime import date

from processor.model.ids import Millis

_PROFILE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))",
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def parse_timestamp(text: str) -> Millis | None:
    """Return the moment, cut to milliseconds: what is waited for. None where the text is not of the profile."""
    nanoseconds = parse_nanoseconds(text)
    return None if nanoseconds is None else Millis(nanoseconds // 1_000_000)


def parse_nanoseconds(text: str) -> int | None:
    """Return the moment in nanoseconds since 1970-01-01T00:00:00Z, which is what two timestamps are compared by; None
    where the text is not of the profile: no zone, a month 13, a space for the `T`.

    Source: ASL specification, "Timestamps"; recorded refusals of a missing zone and of a month 13.
    """
    match = _PROFILE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    fraction, sign, offset_hours, offset_minutes = match.group(7, 8, 9, 10)
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    offset = 0
    if sign:
        # Java's limit of 18 hours, which AWS's date-times share.
        if int(offset_minutes) > 59 or int(offset_hours) > 18:
            return None
        offset = (int(offset_hours) * 60 + int(offset_minutes)) * (-60 if sign == "-" else 60)
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def is_timestamp(text: str) -> bool:
    return parse_timestamp(text) is not None
