"""Log lines are an event name plus fields, as text or as JSON."""

from __future__ import annotations

import json
import logging

from processor.apps.journal import JsonLines, TextLines


def record(**fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "processor.timers", "levelname": "INFO", "msg": "partition_taken", "created": 1.5, "msecs": 500.0}
        | fields
    )


def test_as_text_the_fields_follow_the_event() -> None:
    line = TextLines().format(record(partition=3, reason="none"))
    assert line.endswith(".500 INFO partition_taken partition=3 reason=none")


def test_what_holds_spaces_is_quoted_so_that_its_end_is_seen() -> None:
    line = TextLines().format(record(reason='no "offset" left', empty="", where="a=b", path="/tmp/log.db"))
    assert line.endswith(r'partition_taken reason="no \"offset\" left" empty="" where="a=b" path=/tmp/log.db')


def test_as_json_they_are_one_object() -> None:
    line = JsonLines().format(record(partition=3, offsets={0: 7}))
    assert json.loads(line) == {
        "time": 1500,
        "level": "INFO",
        "logger": "processor.timers",
        "event": "partition_taken",
        "partition": 3,
        "offsets": {"0": 7},
    }


def test_an_exception_keeps_its_trace() -> None:
    try:
        raise ValueError("no")
    except ValueError as fault:
        info = (ValueError, fault, fault.__traceback__)
    assert TextLines().format(record(exc_info=info)).endswith("ValueError: no")
    assert json.loads(JsonLines().format(record(exc_info=info)))["exception"].endswith("ValueError: no")
