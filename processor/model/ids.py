"""Names of executions, scopes, tokens and timers; all derive from position, none is drawn.

Keys are UTF-8 text joined by `#`, which AWS forbids in names; numbers are decimal, scopes dotted, the top one empty.
"""

from __future__ import annotations

import re
from typing import Literal, NewType, TypeAlias

from processor.errors import InvalidCommand

Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

ScopeKey: TypeAlias = tuple[int, ...]
"""The indexes of the enclosing iterations and branches, outermost first; () is the top."""

TimerKind: TypeAlias = Literal["wait", "retry", "timeout", "heartbeat", "execution"]
TIMER_KINDS: tuple[TimerKind, ...] = ("wait", "retry", "timeout", "heartbeat", "execution")

MAX_POSITION_LENGTH = 4_096
"""Characters of a token or a timer's id: 242 of an execution's id, and more indexes than anybody nests. They come from
anywhere, and half a megabyte of indexes takes 74 ms each time it is parsed."""

EPOCH = Millis(0)
TOP: ScopeKey = ()

# What AWS refuses in names of state machines and executions (API reference, StartExecution, "name").
_NAME = r'[^\x00-\x20\x7f-\x9f\ud800-\udfff<>{}\[\]?*"#%\\^|~`$&,;:/]{1,80}'
_NAME_ONLY = re.compile(_NAME)
_EXECUTION_ID = re.compile(f"({_NAME}(?:/{_NAME})?):({_NAME})")


def parse_execution_id(text: str) -> tuple[str, str]:
    """Return (state machine, name) of `<state machine>:<name>`; a child's machine is `<state machine>/<label>`.

    Raises InvalidCommand for characters and lengths that AWS refuses.
    """
    match = _EXECUTION_ID.fullmatch(text)
    if match is None:
        raise InvalidCommand(
            where="execution_id",
            rule="must be <state machine>:<name>, each of 1 to 80 characters that AWS allows in names",
            value=text[:200],
        )
    return match[1], match[2]


def is_name(text: str) -> bool:
    """Return whether AWS takes it as the name of a state machine or an execution."""
    return _NAME_ONLY.fullmatch(text) is not None


def render_scope(scope: ScopeKey) -> str:
    return ".".join(map(str, scope))


def parse_scope(text: str) -> ScopeKey:
    return tuple(map(_index, text.split("."))) if text else ()


def task_token(execution_id: str, scope: ScopeKey, sequence: int) -> str:
    """Return the token of the task that TaskScheduled number `sequence` asks for: stable, so an idempotency key."""
    return f"{execution_id}#{render_scope(scope)}#{sequence}"


def parse_task_token(token: str) -> tuple[str, ScopeKey, int]:
    """Return (execution id, scope, sequence). Raises InvalidCommand where it is not a token."""
    _check_length(token, where="token")
    try:
        execution_id, scope, sequence = token.split("#")
        return execution_id, parse_scope(scope), _index(sequence)
    except ValueError:
        rule = "must be <execution id>#<scope>#<sequence>"
        raise InvalidCommand(where="token", rule=rule, value=token[:300]) from None


def timer_id(execution_id: str, scope: ScopeKey, sequence: int, kind: TimerKind) -> str:
    return f"{execution_id}#{render_scope(scope)}#{sequence}#{kind}"


def parse_timer_id(text: str) -> tuple[str, ScopeKey, int, TimerKind]:
    """Return (execution id, scope, sequence, kind). Raises InvalidCommand where it is not a timer's id."""
    _check_length(text, where="timer_id")
    try:
        execution_id, scope, sequence, kind = text.split("#")
        return execution_id, parse_scope(scope), _index(sequence), next(k for k in TIMER_KINDS if k == kind)
    except (ValueError, StopIteration):
        rule = f"must be <execution id>#<scope>#<sequence>#<{'|'.join(TIMER_KINDS)}>"
        raise InvalidCommand(where="timer_id", rule=rule, value=text[:300]) from None


CHECKPOINT_KEY = "#checkpoint"
"""In the topic of snapshots; `#` stands in no execution's id."""


def snapshot_key(execution_id: str, chunk: int) -> str:
    return f"{execution_id}#{chunk}"


def parse_numbered_key(key: str) -> tuple[str, int] | None:
    """Return (execution id, number) of the key of a batch of events or of a snapshot's chunk; None of another."""
    id, separator, number = key.rpartition("#")
    return (id, int(number)) if separator and number.isascii() and number.isdigit() else None


def batch_key(execution_id: str, sequence: int) -> str:
    """Return the key of a record of the events topic: compaction keeps every one of them apart."""
    return f"{execution_id}#{sequence}"


def _check_length(text: str, *, where: str) -> None:
    if len(text) > MAX_POSITION_LENGTH:
        rule = f"must have at most {MAX_POSITION_LENGTH} characters"
        raise InvalidCommand(where=where, rule=rule, value=f"{len(text)} of them")


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)
