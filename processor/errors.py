"""Every exception the package raises on purpose. Failures of a workflow are data, not exceptions.

AslError
├── InvalidDefinition      a definition with faults; carries every diagnostic
│   └── InvalidMocks       a mock configuration with faults; the same
├── InvalidCommand         a command no execution could apply (malformed id, payload not JSON, reserved key)
├── RequestRefused         a request that AWS's API refuses, in its words
├── DecodingFailed         bytes that are not what their topic promises
│   └── UnknownSchema      a writer's schema that this release does not ship
├── NotInWriteFormat       a value that cannot be written in the format that this process writes
├── LogUnavailable         the broker or the file cannot be reached; says which address
├── MessageTooLarge        a record, or several at once, larger than the log's topics take
├── TopicsUnfit            topics that are missing, or whose partition counts differ or changed
├── MigrationRefused       topics that cannot be carried over to another prefix now; every reason
├── HistoryBroken          an events partition that cannot be folded: a gap, a missing predecessor
├── SlotTaken              another live process uses the same slot
├── SandboxUnavailable     no process comes up to evaluate expressions in; says nothing of any expression
├── ArchiveDamaged         an exported folder that is not whole, or not what was written
├── NotAuthorized          the broker refused the credentials or the rights of this role
└── InvalidSettings        settings that cannot be used; names the setting and an example
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["ERROR", "WARNING"]


class AslError(Exception):
    """Base of all; `fields()` gives what the message was built from, for logs."""

    def fields(self) -> dict[str, object]:
        return dict(vars(self))


AslCode: TypeAlias = Literal[
    "DUPLICATE_LABEL_NAME",
    "DUPLICATE_STATE_NAME",
    "DUPLICATE_VARIABLE_NAME",
    "INLINE_MAP",
    "INVALID_JSONATA_EXPRESSION",
    "INVALID_JSON_DESCRIPTION",
    "INVALID_LABEL_NAME",
    "INVALID_STATE_NAME",
    "INVALID_VARIABLE_NAME",
    "MISSING_END_STATE",
    "MISSING_TRANSITION_TARGET",
    "NO_DOLLAR",
    "NO_PATH",
    "PASS_RESULT_IS_STATIC",
    "RESERVED_VARIABLE_NAME",
    "SCHEMA_VALIDATION_FAILED",
    "TOO_DEEPLY_NESTED",
    "UNSUPPORTED_JSONATA_EXPRESSION",
]
"""What a diagnostic of a definition may be called, in AWS's words but for INLINE_MAP and TOO_DEEPLY_NESTED."""
Code: TypeAlias = AslCode | Literal["INVALID_MOCKS", "REVISION", "UNREADABLE", "UNSUPPORTED_INPUT_TYPE"]
"""These four are this project's, of what a definition comes in and what is there to run it. All: docs/validation.md."""

SCHEMA: Final = "SCHEMA_VALIDATION_FAILED"
"""AWS's code for whatever has no code of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """What is to be said of a definition: where (a JSON pointer, RFC 6901), which rule, AWS's code and words for it.

    `field`: the JSON pointer of what is meant, where AWS's place is the object that holds it. `found`: what stands
    there, where the words do not tell. `location`: AWS's name of the place, where that is one in a text and none in
    the definition. `line` and `column` (from 1) of the user's file, where they are known.
    """

    pointer: str
    code: Code
    message: str
    severity: Severity = "ERROR"
    field: str | None = None
    found: str | None = None
    location: str | None = None
    line: int | None = None
    column: int | None = None

    @property
    def place(self) -> str:
        """The JSON pointer of what is meant."""
        return self.pointer if self.field is None else self.field

    def __str__(self) -> str:
        found = "" if self.found is None else f", got {self.found}"
        return f"{self.pointer or '/'}: {self.message}{found}"


class InvalidDefinition(AslError):
    """A definition that cannot run. `diagnostics` holds every fault found and, after them, every warning."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(str(d) for d in self.diagnostics if d.severity == "ERROR"))


class InvalidMocks(InvalidDefinition):
    """A mock configuration that cannot be used. `diagnostics` as of a definition."""


class InvalidCommand(AslError):
    """A command that is malformed in itself: `where` names the field, `pointer` the place within its value, and `rule`
    what that must be."""

    def __init__(self, *, where: str, pointer: str = "", rule: str, value: object = None) -> None:
        self.where, self.pointer, self.rule, self.value = where, pointer, rule, value
        super().__init__(f"{where}{pointer}: {rule}, got {value!r}")


class RequestRefused(AslError):
    """A request that AWS's API refuses: `code` and `message` are those of its answer."""

    def __init__(self, *, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class DecodingFailed(AslError):
    """Bytes of `what` that do not decode; `reason` says at which step."""

    def __init__(self, *, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what} does not decode: {reason}")


class UnknownSchema(DecodingFailed):
    """A fingerprint this release does not ship: readers must be rolled out first."""

    def __init__(self, *, what: str, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        super().__init__(what=what, reason=f"schema {fingerprint} is not one this release ships; upgrade the reader")


class NotInWriteFormat(AslError):
    def __init__(self, *, what: str, format: int) -> None:
        self.what, self.format = what, format
        super().__init__(f"{what} cannot be written in format {format}, which this process writes: see write_format")


class LogUnavailable(AslError):
    def __init__(self, *, address: str, reason: str) -> None:
        self.address, self.reason = address, reason
        super().__init__(f"cannot reach the log at {address}: {reason}")


class MessageTooLarge(AslError):
    """What is to be written takes more than the log's topics take. Nothing of it was written."""

    def __init__(self, *, address: str, reason: str) -> None:
        self.address, self.reason = address, reason
        super().__init__(f"what is to be written is larger than the log at {address} takes: {reason}")


class TopicsUnfit(AslError):
    """`problems` names each topic and what is wrong with it."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class MigrationRefused(AslError):
    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


class HistoryBroken(AslError):
    def __init__(self, *, partition: int, execution_id: str, reason: str) -> None:
        self.partition, self.execution_id, self.reason = partition, execution_id, reason
        super().__init__(f"events of partition {partition} cannot be folded: {execution_id}: {reason}")


class SlotTaken(AslError):
    """`doubtful`: the other may be this process's own earlier request, which a broker that comes back cannot tell."""

    def __init__(self, *, slot: str, reason: str, doubtful: bool = False) -> None:
        self.slot, self.reason, self.doubtful = slot, reason, doubtful
        super().__init__(f"slot {slot} is used by another live process: {reason}")


class SandboxUnavailable(AslError):
    def __init__(self, *, reason: str) -> None:
        self.reason = reason
        super().__init__(f"no process can be had to evaluate JSONata in: {reason}")


class DrawingFailed(AslError):
    def __init__(self, *, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Graphviz cannot draw the graph as SVG: {reason}; --format text, mermaid and dot need none")


class ArchiveDamaged(AslError):
    def __init__(self, *, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


class NotAuthorized(AslError):
    def __init__(self, *, role: str, reason: str) -> None:
        self.role, self.reason = role, reason
        super().__init__(f"{role} is not authorized: {reason}")


class InvalidSettings(AslError):
    def __init__(self, *, setting: str, rule: str, example: str) -> None:
        self.setting, self.rule, self.example = setting, rule, example
        super().__init__(f"{setting}: {rule}, for example {example}")
