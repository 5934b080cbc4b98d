"""Events → state, without the definitions: evolving reads none (docs/architecture.md, "The interpreter")."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from processor.interpreter.evolve import begin, evolve
from processor.model import events as e
from processor.model.definition import Workflow
from processor.model.execution import Execution


def first_state(event: e.ExecutionStarted) -> Execution:
    return begin(unwritten(event.definition_hash), event)


def next_state(execution: Execution, event: e.AnyEvent) -> Execution:
    """Raises whatever evolving raises over an event that cannot be the execution's next."""
    after = evolve(execution, event)
    if isinstance(event, e.ExecutionRedriven):  # it may go on with another revision
        return replace(after, workflow=unwritten(event.definition_hash))
    return after


@lru_cache(maxsize=1_000)
def unwritten(definition_hash: bytes) -> Workflow:
    """Return what stands for a definition where only its name is asked for: it has no states."""
    return Workflow(definition=None, type="STANDARD", definition_hash=definition_hash, first="", states={})
