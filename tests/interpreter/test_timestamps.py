"""Timestamps: the RFC 3339 profile, with `T`, and `Z` or an offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.interpreter.timestamps import is_timestamp, parse_nanoseconds, parse_timestamp


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T00:00:01.123456789Z", 1_123),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2012-10-09T19:00:55+18:00", 1_349_744_455_000),
        ("2016-02-29T23:59:59Z", 1_456_790_399_000),
    ],
)
def test_a_timestamp_is_a_moment(text: str, millis: int) -> None:
    assert parse_timestamp(text) == millis
    assert is_timestamp(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01.123456789Z", 1_123_456_789),
        ("1970-01-01T00:00:00.000001Z", 1_000),
        ("1969-12-31T23:59:59.9999Z", -100_000),
    ],
)
def test_a_timestamp_is_known_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_nanoseconds(text) == nanoseconds
    assert parse_timestamp(text) == nanoseconds // 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-05 21:29:29Z",  # recorded: NO_T
        "2016-12-05T21:29:29",  # recorded: no zone
        "2023-12-13T07:10:32.000000",  # recorded
        "2016-13-05T21:29:29Z",  # recorded: INVALID_DATE
        "05-12-2016T21:29:29Z",  # recorded: INVALID_ISO
        "2023-02-24",
        "",
        "2015-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2016-12-05T24:00:00Z",
        "2016-12-05T23:60:00Z",
        "2016-12-05T23:59:60Z",
        "2016-12-05T23:59:59.Z",
        "2016-12-05T23:59:59+0100",
        "2016-12-05T23:59:59+19:00",
        "2016-12-05T23:59:59+01:60",
        "2016-12-05t23:59:59z",
        "2016-12-05T23:59:59Z\n",
        "\u0662016-12-05T23:59:59Z",
    ],
)
def test_another_text_is_none(text: str) -> None:
    assert parse_timestamp(text) is None
    assert not is_timestamp(text)


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-18 * 60, 18 * 60),
)
def test_moments_are_reckoned_as_the_calendar_does(moment: datetime, offset_minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))

    millis = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    assert parse_timestamp(zoned.isoformat()) == millis
