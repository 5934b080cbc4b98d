"""Which names of the language each recorded case and each own test uses: noted while they run, at the place in the
interpreter where the name takes effect.

A field counts where its state does its work, a comparison where its predicate is asked, a function where its call is
evaluated, a code where a diagnostic is made. A definition that is only parsed uses no field.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest

from processor.errors import AslCode, Diagnostic
from processor.interpreter import intrinsics, jsonata, rules, step, trial, trial_api
from processor.interpreter.jsonata_syntax import BUILT_IN
from processor.interpreter.validation.walk import states_in
from processor.model.definition import Workflow
from tests.conformance.language import (
    DIAGNOSTIC,
    FUNCTION,
    INTRINSIC,
    OPERATOR,
    STATES_VARIABLE,
    Name,
    names_around,
    names_in_state,
    names_in_test_state,
)

_CODES = frozenset(get_args(AslCode))


class Uses:
    """`by_id`: the names that each case or test used. What is used while none is watched is not noted."""

    def __init__(self) -> None:
        self.by_id: dict[str, frozenset[Name]] = {}
        self._noted: set[Name] = set()
        self._workflows: dict[int, tuple[Workflow, dict[str, frozenset[Name]], dict[str, frozenset[Name]]]] = {}

    @contextmanager
    def during(self, id: str) -> Iterator[None]:
        assert id not in self.by_id, f"{id} is watched twice"
        self._noted.clear()
        self._workflows.clear()
        yield
        self.by_id[id] = frozenset(self._noted)

    def note(self, names: Iterable[Name]) -> None:
        self._noted.update(names)

    def note_state(self, workflow: Workflow, name: str, *, around: bool = True) -> None:
        if id(workflow) not in self._workflows:
            definition = workflow.definition
            assert isinstance(definition, dict)
            states = list(states_in(definition))
            own = {state.name: frozenset(names_in_state(state)) for state in states}
            outer = {state.name: frozenset(names_around(state.scope)) for state in states}
            self._workflows[id(workflow)] = workflow, own, outer
        _, own, outer = self._workflows[id(workflow)]
        self.note(own[name])
        if around:
            self.note(outer[name])


@contextmanager
def noting(uses: Uses) -> Iterator[None]:
    """Note what is used as long as this is open."""
    with pytest.MonkeyPatch.context() as patch:

        def before(owner: Any, name: str, note: Callable[..., None]) -> None:
            """Let `note` see the arguments of each call."""
            called = getattr(owner, name)

            def noted(*args: Any, **kwargs: Any) -> Any:
                note(*args, **kwargs)
                return called(*args, **kwargs)

            patch.setattr(owner, name, noted)

        def within(owner: Any, name: str, note: Callable[..., None]) -> None:
            """Let `note` see what the function is given that a call returns, after what the call was given."""
            compiled = getattr(owner, name)

            def compile(*args: Any, **kwargs: Any) -> Any:
                made = compiled(*args, **kwargs)

                def noted(*given: Any) -> Any:
                    note(args, given)
                    return made(*given)

                return noted

            patch.setattr(owner, name, compile)

        def expression(args: Any, given: Any) -> None:
            found, variables = args[1], given[1]
            uses.note(Name(FUNCTION, "", f"${name}") for name in found.names & BUILT_IN - set(variables))
            uses.note(Name(STATES_VARIABLE, "", name) for name in found.states_fields or ())

        def diagnostic(self: Diagnostic, **fields: Any) -> None:
            # Not what a test makes to compare with.
            if sys._getframe(2).f_globals["__name__"].startswith("processor.") and fields["code"] in _CODES:
                uses.note([Name(DIAGNOSTIC, "", fields["code"])])

        answer = trial_api._answer

        def answered(result: Any) -> Any:
            told = answer(result)
            uses.note(names_in_test_state("answer", told))
            return told

        before(step, "_go_on", lambda turn, _: uses.note_state(turn.execution.workflow, turn.scope.state))
        before(
            trial.Trial,
            "run",
            lambda self: uses.note_state(self.tested.workflow, self.tested.state.name, around=False),
        )
        before(trial_api, "_mock", lambda request: uses.note(names_in_test_state("request", request)))
        before(Diagnostic, "__init__", diagnostic)
        within(rules, "_compile_comparison", lambda args, _: uses.note([Name(OPERATOR, "", args[0])]))
        within(rules, "_compile_junction", lambda args, _: uses.note([Name(OPERATOR, "", args[0])]))
        within(intrinsics, "_compile_call", lambda args, _: uses.note([Name(INTRINSIC, "", args[0].name)]))
        within(jsonata, "_compile", expression)
        patch.setattr(trial_api, "_answer", answered)
        yield


class OwnTests:
    """A plugin of pytest that watches each test. Those that draw their examples are left out: what they use differs
    from run to run."""

    def __init__(self, uses: Uses) -> None:
        self.uses = uses

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not hasattr(getattr(item, "obj", None), "hypothesis")]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        with self.uses.during(item.nodeid):
            return (yield)
