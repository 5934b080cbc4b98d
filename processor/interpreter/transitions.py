"""Where the states of one scope lead: targets that do not exist, states that nothing reaches, scopes without an end.

Works on the raw objects, so that a state with other faults is still followed. Codes, texts and which fault silences
which are those of AWS's ValidateStateMachineDefinition, as its users report them (floci issue 2735): only the machine
itself is asked for a terminal state, no branch and no Map's processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from processor.errors import AslCode
from processor.interpreter.templates import pointer_to
from processor.model.json import Json

Note = Callable[[str, AslCode, str], None]
"""(JSON pointer, code, message)"""


def check_transitions(scope: Mapping[str, Json], *, pointer: str, note: Note) -> None:
    """Note every fault in the way the scope's states are joined."""
    states = scope.get("States")
    if not isinstance(states, dict) or not states:
        return
    start = scope.get("StartAt")
    targets = {name: list(targets_of(state)) for name, state in states.items()}
    if isinstance(start, str) and start not in states:
        note(pointer_to(pointer, "StartAt"), "MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {start}")
    for name, leads in targets.items():
        for tokens, target in leads:
            if target not in states:
                at = pointer_to(pointer, "States", name, *tokens)
                note(at, "MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {target}")
    if not pointer and not any(_is_terminal(state) for state in states.values()):
        note(pointer, "MISSING_END_STATE", "Workflow has no terminal state")
    elif isinstance(start, str):
        reached = _reached(start, targets)
        for name in states:
            if name not in reached:
                at = pointer_to(pointer, "States", name)
                note(at, "MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.')


def _reached(start: str, targets: Mapping[str, list[tuple[tuple[str | int, ...], str]]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in targets and name not in reached:
            reached.add(name)
            waiting.extend(target for _, target in targets[name])
    return reached


def targets_of(state: Json) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where a state may lead, each with the place that says so."""
    if not isinstance(state, dict):
        return
    for field in ("Next", "Default"):
        if isinstance(target := state.get(field), str):
            yield (field,), target
    for field in ("Choices", "Catch"):
        if isinstance(entries := state.get(field), list):
            for index, entry in enumerate(entries):
                if isinstance(entry, dict) and isinstance(target := entry.get("Next"), str):
                    yield (field, index, "Next"), target


def _is_terminal(state: Json) -> bool:
    """Whether a scope can end here. A state too broken to tell gets the benefit of the doubt: it has its own fault."""
    return not isinstance(state, dict) or state.get("End") is True or state.get("Type") not in _LEADING


# A tuple: what is written for Type may be no string, and then has no hash.
_LEADING = ("Task", "Pass", "Choice", "Wait", "Parallel", "Map")
