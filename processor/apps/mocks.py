"""Mocked task results from a file, in the format of AWS's Step Functions Local (MockConfigFile.json).

    StateMachines    machine → TestCases → test case → state → name of a mocked response
    MockedResponses  name → "0", "1-2" → {"Return": result} or {"Throw": {"Error": …, "Cause": …}}

Source: AWS Step Functions Developer Guide, "Configuration file for mocked service integrations". What it leaves open
was looked up in what users measured on Step Functions Local 2.0.0 (docs/decisions/0020): invocations are counted per
state name and execution, over retries, loops and Map iterations alike; one without a response fails the execution with
States.Runtime; an entry without any response is no fault until a state asks for it.

A Map's ItemReader and ResultWriter, which that product does not have, are mocked under the Map's name, one invocation
each; whatever they throw but errors of the language, `States.…`, the Map fails with States.ItemReaderFailed or
States.ResultWriterFailed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from processor.apps.loading import read_source
from processor.errors import Diagnostic, InvalidDefinition, InvalidMocks, InvalidSettings
from processor.interpreter.retry import RUNTIME
from processor.interpreter.templates import pointer_to
from processor.model.commands import CompleteTask, FailTask, HeartbeatTask, SubmitTask, token_of
from processor.model.events import TaskKind, TaskScheduled
from processor.model.json import Json

ISSUER: Final = "mocks"
_INVOCATIONS: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_SUBMITTING: Final = (".sync", ".sync:2", ".waitForTaskToken")

Answer: TypeAlias = CompleteTask | FailTask | SubmitTask | HeartbeatTask


class Return(Struct, frozen=True):
    result: Json


class Throw(Struct, frozen=True):
    error: str
    cause: str | None


class Responses(Struct, frozen=True, kw_only=True):
    """A mocked response: what each invocation gets, by the range of its number, the first is 0."""

    name: str
    ranges: tuple[tuple[int, int, Return | Throw], ...]

    def of(self, invocation: int) -> Return | Throw | None:
        """Return what the invocation gets; None where nothing is said of it."""
        return next((given for first, last, given in self.ranges if first <= invocation <= last), None)


class MockedCase(Struct, frozen=True, kw_only=True):
    """A test case: the states that are mocked, each with its responses."""

    name: str
    states: Mapping[str, Responses]


class MockConfig(Struct, frozen=True, kw_only=True):
    machines: Mapping[str, Mapping[str, MockedCase]]

    def case(self, machine: str, name: str | None) -> MockedCase:
        """Return the machine's test case; without a name its only one.

        Raises InvalidSettings, with what there is, where there is no such machine or case, or more than one.
        """
        cases = self.machines.get(machine)
        if cases is None:
            raise _no_case("--name", f"the mocks have no state machine {machine!r}", self.machines)
        if name is None and len(cases) == 1:
            return next(iter(cases.values()))
        if name is None or name not in cases:
            rule = f"the mocks of {machine} have no test case {name!r}" if name else "must name one of the test cases"
            raise _no_case("--case", rule, cases)
        return cases[name]


class Mocks:
    """The answers of one test case to the tasks of one execution, which it counts."""

    def __init__(self, case: MockedCase) -> None:
        self._case = case
        self._invocations: Counter[str] = Counter()

    def covers(self, state: str) -> bool:
        return state in self._case.states

    def answers(self, task: TaskScheduled) -> tuple[Answer, ...]:
        """Return the commands that answer the next invocation of the task's state, which must be covered.

        A result goes into the history as it would on AWS: behind TaskSubmitted where the integration has one (.sync,
        .waitForTaskToken), for an activity behind its start.
        """
        responses = self._case.states[task.state]
        invocation = self._invocations[task.state]
        self._invocations[task.state] += 1
        address = {"execution_id": task.execution_id, "token": token_of(task), "issuer": ISSUER}
        match responses.of(invocation):
            case Return(result):
                return (*_before(task, result, address), CompleteTask(**address, output=result))
            case Throw(error, cause):
                error, cause = _thrown_for(task, error, cause)
                return (FailTask(**address, error=error, cause=cause),)
            case None:
                told = f"The mocked response {responses.name} of the state '{task.state}' has none for its invocation "
                return (FailTask(**address, error=RUNTIME, cause=f"{told}{invocation}"),)


def load_mocks(path: Path) -> MockConfig:
    """Return the mock configuration in a JSON file, or a YAML one by its suffix.

    Raises InvalidMocks with every fault found, whether or not a test case comes to it.
    """
    try:
        written = read_source(path, any_length=True).value
    except InvalidDefinition as fault:
        raise InvalidMocks(fault.diagnostics) from None
    return parse_mocks(written)


def parse_mocks(written: Json) -> MockConfig:
    """Return the mock configuration that a JSON value stands for. Raises InvalidMocks with every fault found."""
    reading = _Reading()
    config = reading.config(written)
    if reading.faults:
        raise InvalidMocks(reading.faults)
    return config


def split_case(text: str) -> tuple[str | None, str]:
    """Return (machine, case) of `machine#case`, where the machine may be its ARN, as StartExecution takes it on Step
    Functions Local; (None, case) of a case alone."""
    machine, hash_sign, case = text.rpartition("#")
    return (machine.rpartition(":")[2] if hash_sign else None), case


def _before(task: TaskScheduled, result: Json, address: dict[str, str]) -> Iterator[Answer]:
    if task.kind == "ACTIVITY":
        yield HeartbeatTask(**address, worker=ISSUER)
    # What the call itself answered is not mocked: the result stands for it too.
    elif task.resource.endswith(_SUBMITTING):
        yield SubmitTask(**address, output=result)


_FAILURES: Final[Mapping[TaskKind, str]] = MappingProxyType({
    "ITEM_READER": "States.ItemReaderFailed",
    "RESULT_WRITER": "States.ResultWriterFailed",
})  # fmt: skip


def _thrown_for(task: TaskScheduled, error: str, cause: str | None) -> tuple[str, str | None]:
    """Return (error, cause) that the state sees: where a Map's reader or writer is mocked to fail as S3 does, S3's
    error is the cause, as where S3 is asked. What the language itself calls an error stays."""
    failure = _FAILURES.get(task.kind)
    if failure is None or error.startswith("States."):
        return error, cause
    return failure, error if cause is None else f"{error}: {cause}"


def _no_case(setting: str, rule: str, there_are: Mapping[str, object]) -> InvalidSettings:
    names = ", ".join(there_are) or "none"
    example = f"{setting} {next(iter(there_are), 'NAME')}"
    return InvalidSettings(setting=setting, rule=f"{rule}; there are: {names}", example=example)


class _Reading:
    """One configuration being read: what was found so far."""

    def __init__(self) -> None:
        self.faults: list[Diagnostic] = []

    def config(self, written: Json) -> MockConfig:
        top = self._object(written, "", fields=("StateMachines", "MockedResponses"))
        responses: dict[str, Responses] = {}
        for name, ranges in self._object(top.get("MockedResponses", {}), "/MockedResponses").items():
            responses[name] = self._responses(name, ranges, pointer_to("/MockedResponses", name))
        machines: dict[str, dict[str, MockedCase]] = {}
        for machine, inner in self._object(top.get("StateMachines", {}), "/StateMachines").items():
            at = pointer_to("/StateMachines", machine)
            cases = self._object(inner, at, fields=("TestCases",)).get("TestCases", {})
            at = pointer_to(at, "TestCases")
            machines[machine] = {
                name: self._case(name, states, pointer_to(at, name), responses)
                for name, states in self._object(cases, at).items()
            }
        return MockConfig(machines=machines)

    def _case(self, name: str, written: Json, at: str, responses: Mapping[str, Responses]) -> MockedCase:
        states: dict[str, Responses] = {}
        for state, response in self._object(written, at).items():
            if isinstance(response, str) and response in responses:
                states[state] = responses[response]
            else:
                self._fault(pointer_to(at, state), f"must name one of MockedResponses, got {response!r}")
        return MockedCase(name=name, states=states)

    def _responses(self, name: str, written: Json, at: str) -> Responses:
        ranges: list[tuple[int, int, Return | Throw]] = []
        spans: list[tuple[int, int]] = []
        for numbers, response in self._object(written, at).items():
            here = pointer_to(at, numbers)
            given = self._response(response, here)
            found = _INVOCATIONS.fullmatch(numbers)
            if found is None:
                self._fault(here, 'the number of an invocation is "0" or a range of them, "1-2"')
                continue
            first = int(found[1])
            last = int(found[2] or first)
            if last < first:
                self._fault(here, f"must not end before it begins, got {first} to {last}")
            elif any(first <= other_last and other_first <= last for other_first, other_last in spans):
                self._fault(here, "answers an invocation that another answers too")
            elif given is not None:
                ranges.append((first, last, given))
            spans.append((first, last))
        return Responses(name=name, ranges=tuple(ranges))

    def _response(self, written: Json, at: str) -> Return | Throw | None:
        response = self._object(written, at)
        if response.keys() == {"Return"}:
            return Return(response["Return"])
        if response.keys() != {"Throw"}:
            self._fault(at, "must have exactly one field, Return or Throw")
            return None
        at = pointer_to(at, "Throw")
        thrown = self._object(response["Throw"], at, fields=("Error",))
        for field, value in thrown.items():
            if field in ("Error", "Cause") and not isinstance(value, str):
                self._fault(pointer_to(at, field), f"must be a text, got {value!r}")
        cause = thrown.get("Cause")
        return Throw(str(thrown.get("Error")), None if cause is None else str(cause))

    def _object(self, written: Json, at: str, *, fields: tuple[str, ...] = ()) -> dict[str, Json]:
        """Return the object, empty where it is none, and note that or which of `fields` it lacks."""
        if not isinstance(written, dict):
            self._fault(at, f"must be an object, got {str(written)[:80]!r}")
            return {}
        missing = [field for field in fields if field not in written]
        if missing:
            self._fault(at, f"must have {' and '.join(missing)}")
        return written

    def _fault(self, pointer: str, message: str) -> None:
        self.faults.append(Diagnostic(pointer=pointer, code="INVALID_MOCKS", message=message))
