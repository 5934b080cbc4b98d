"""The replay check: a log cut anywhere goes on as if it had not been cut.

`check_every_prefix` is what the property tests and every scenario test call on the histories they produce; it raises
ReplayBroken. Prefixes go through the Avro bytes of the events topic, as a recovering processor reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from processor import AnyEvent, Millis, Rejected, Workflow, recover, resume
from processor.engine.encoding import decode_events, encode_events
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.interpreter import steps
from processor.interpreter.step import next_event
from processor.model.commands import AnyCommand
from processor.model.events import ExecutionStarted
from processor.model.execution import Execution


class ReplayBroken(AssertionError):
    """Continuing from a prefix gave something else than the undisturbed run."""


class Given(Struct, frozen=True, kw_only=True):
    """A command, and the time at which the processor applied it."""

    command: AnyCommand
    now: Millis


class Batch(Struct, frozen=True, kw_only=True):
    """What one command came to. `taken`: how many commands were applied up to and with it."""

    events: tuple[AnyEvent, ...]
    taken: int


def check_every_prefix(workflow: Workflow, events: Sequence[AnyEvent], commands: Sequence[Given]) -> None:
    """Check that every prefix of `events`, decoded from Avro bytes, folds to the live execution and goes on to the
    same bytes: resumed where it was cut in mid-step, then given the commands that are left."""
    live = _live(workflow, events[0], commands)
    written = [written_as(batch.events) for batch in live]
    if _joined(written) != _joined(_by_cause(events)):
        raise ReplayBroken("the run does not repeat: other events came of the same commands")
    execution: Execution | None = None
    for index, batch in enumerate(live):
        for cut in range(1, len(batch.events) + 1):
            execution = _evolved(workflow, execution, batch.events[cut - 1])
            stored = [record for records in written[:index] for record in records]
            stored += written_as(batch.events[:cut])
            where = f"cut after event {batch.events[cut - 1].sequence} ({type(batch.events[cut - 1]).__name__})"
            recovered = recover(workflow, read(stored)).execution
            if recovered != execution:
                raise ReplayBroken(f"{where}: the folded prefix is not the live execution")
            expected = [batch.events[cut:], *(later.events for later in live[index + 1 :])]
            _check_continued(recovered, commands[batch.taken :], expected, where)
    check_slices(workflow, events, commands, max_events=1)
    check_slices(workflow, events, commands, max_events=3)


def check_slices(workflow: Workflow, events: Sequence[AnyEvent], commands: Sequence[Given], *, max_events: int) -> None:
    """Check that a run cut into slices, each read back from its bytes, gives the same events."""
    given: list[AnyEvent] = [events[0]]
    execution = _evolved(workflow, None, _reread([events[0]])[0])
    for command in [None, *commands]:
        if command is not None:
            outcome = resume_own(execution, command)
            if outcome is None:
                continue
            given.append(outcome)
            execution = evolve(execution, _reread([outcome])[0])
        while not execution.at_rest:
            piece = [event for event, _ in steps(execution, max_events=max_events)]
            given += piece
            for event in _reread(piece):
                execution = evolve(execution, event)
    if _joined(_by_cause(given)) != _joined(_by_cause(events)):
        raise ReplayBroken(f"slices of {max_events} events: {difference(given, events)}")


def resume_own(execution: Execution, given: Given) -> AnyEvent | None:
    """Return the command's own event, None where it records nothing."""
    outcome = resume(execution, given.command, now=given.now)
    return outcome.events[0] if outcome.events else None


def written_as(events: Sequence[AnyEvent]) -> list[bytes]:
    return [record.value for record in encode_events(events)]


def read(records: Sequence[bytes]) -> Iterator[AnyEvent]:
    for record in records:
        yield from decode_events(record)


def difference(got: Sequence[AnyEvent], expected: Sequence[AnyEvent]) -> str:
    """Say where two histories part."""
    for a, b in zip(got, expected, strict=False):
        if _joined([written_as([a])]) != _joined([written_as([b])]):
            return f"expected {b}, got {a}"
    return f"expected {len(expected)} events, got {len(got)}; the first too many is {[*got, *expected][-1]}"


def _live(workflow: Workflow, started: AnyEvent, commands: Sequence[Given]) -> list[Batch]:
    """The undisturbed run. A start and each command give one batch; those that record nothing belong to the last."""
    outcome = resume(_evolved(workflow, None, started))
    batches = [Batch(events=(started, *outcome.events), taken=0)]
    for taken, given in enumerate(commands, 1):
        execution = outcome.execution
        assert execution is not None
        outcome = resume(execution, given.command, now=given.now)
        if isinstance(outcome, Rejected) and outcome.execution != execution:
            raise ReplayBroken(f"a rejected command changed the execution: {given.command}")
        if outcome.events:
            batches.append(Batch(events=outcome.events, taken=taken))
    return batches


def _check_continued(
    execution: Execution, commands: Sequence[Given], expected: Sequence[Sequence[AnyEvent]], where: str
) -> None:
    outcome = resume(execution)
    got = [outcome.events]
    for given in commands:
        assert outcome.execution is not None
        outcome = resume(outcome.execution, given.command, now=given.now)
        if outcome.events:
            got.append(outcome.events)
    if [written_as(part) for part in got] != [written_as(part) for part in expected]:
        told = difference([e for part in got for e in part], [e for part in expected for e in part])
        raise ReplayBroken(f"{where}: {told}")


def _evolved(workflow: Workflow, execution: Execution | None, event: AnyEvent) -> Execution:
    if execution is None:
        assert isinstance(event, ExecutionStarted)
        return begin(workflow, event)
    return evolve(execution, event)


def _by_cause(events: Sequence[AnyEvent]) -> list[list[bytes]]:
    return [written_as([event]) for event in events]


def _joined(written: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The events' own bytes, whatever batches they lie in."""
    records = [record for part in written for record in part]
    return [written_as([event])[0] for event in read(records)]


def _reread(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    return list(read(written_as(events)))


def check_trail(workflow: Workflow, trail: Sequence[tuple[AnyEvent, Given | None]]) -> None:
    """Check a run in which commands came while it was still runnable (a processor works off long commands in slices):
    each event, read back from its bytes, leads to the next one; a Given marks a command's own event."""
    execution: Execution | None = None
    for event, given in trail:
        if execution is not None:
            got = resume_own(execution, given) if given is not None else next_event(execution)
            if got is None or written_as([got]) != written_as([event]):
                raise ReplayBroken(f"expected {event}, got {got}")
        execution = _evolved(workflow, execution, _reread([event])[0])
