"""Log lines on standard error: an event's name and its fields, for people or, a JSON object each, for machines."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Final

import orjson

# What every record carries; anything else came as a field.
_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_BARE: Final = re.compile(r"[^\s\"=]+")


def log_to_stderr(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send the package's log lines to standard error; others' only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("processor").setLevel(level)


def log_nothing() -> None:
    """For commands that end: what matters to their user is the result or the one fault they tell, not the way there."""
    if not logging.getLogger().handlers:
        logging.basicConfig(handlers=[logging.NullHandler()])


class TextLines(logging.Formatter):
    """12:03:04.123 INFO partition_taken partition=3 reason="as asked" seconds=0.2"""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {name}={_quoted(str(value))}" for name, value in _fields(record).items())
        line = f"{moment}.{int(record.msecs):03} {record.levelname} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """{"time": milliseconds UTC, "level": …, "logger": …, "event": …, fields}"""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": int(record.created * 1000),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _quoted(text: str) -> str:
    """Return the text as it is where its end can be seen, else as a JSON string."""
    return text if _BARE.fullmatch(text) else orjson.dumps(text).decode()


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}
