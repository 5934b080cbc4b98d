"""The outside world of the property tests: it answers in any order, twice, late, and things nobody asked for."""

from __future__ import annotations

from random import Random
from typing import TypeVar
from zlib import crc32

from hypothesis import strategies as st
from msgspec.structs import replace

from processor import (
    EPOCH,
    AnyEvent,
    CompleteTask,
    ExecutionStarted,
    FailTask,
    FireTimer,
    HeartbeatTask,
    Millis,
    PurgeExecution,
    RedriveExecution,
    Rejected,
    ReleaseExecution,
    StartExecution,
    StopExecution,
    SubmitTask,
    TaskScheduled,
    Workflow,
    resume,
    start,
)
from processor.interpreter.decide import Nothing, timer_due
from processor.interpreter.evolve import begin, evolve
from processor.interpreter.evolve_map_run import run_of
from processor.interpreter.interpreter import cause_of, decided, first_event, steps
from processor.interpreter.refused import Refused
from processor.model.commands import AnyCommand, timers_set_by, token_of
from processor.model.definition import TaskState
from processor.model.execution import Cut, Execution, Pending
from processor.model.ids import TimerKind, parse_task_token, parse_timer_id
from processor.model.json import Json
from tests.properties.place import ERRORS
from tests.properties.replay import Given
from tests.properties.workflows import INPUT

MAX_COMMANDS = 40
SEED = bytes(range(16))


class Played:
    """An execution and everything that came of the commands given to it."""

    def __init__(self, workflow: Workflow, *, input: Json = INPUT) -> None:
        self.workflow = workflow
        self.input = input
        self.events: list[AnyEvent] = []
        self.given: list[Given] = []
        self.execution = self._start()

    def _start(self) -> Execution:
        outcome = start(self.workflow, self.input, context={"environment": "test"}, seed=SEED)
        assert not isinstance(outcome, Rejected)
        self.events += outcome.events
        return outcome.execution

    def give(self, command: AnyCommand, now: Millis | None = None) -> bool:
        """Apply a command; return whether it was accepted."""
        outcome = resume(self.execution, command, now=now)
        assert outcome.execution is not None
        accepted = not isinstance(outcome, Rejected)
        if not accepted:
            assert outcome.execution is self.execution
            assert outcome.events == ()
        time = outcome.events[0].time if outcome.events else (now if now is not None else self.execution.time)
        self.given.append(Given(command=command, now=time))
        self.execution = outcome.execution
        self.events += outcome.events
        return accepted

    def go_on(self) -> None:
        raise AssertionError("it rests after each command")

    def answer_one(self, order: Random) -> None:
        """Answer one pending task or fire one timer, chosen by `order`; what the answer is depends on neither."""
        tasks = self.pending()
        own = [(event, kind) for event, kind in self.timers() if kind in ("wait", "retry")]
        chosen = order.randrange(len(tasks) + len(own))
        if chosen >= len(tasks):
            event, kind = own[chosen - len(tasks)]
            assert self.give(FireTimer.of(event, kind))
        else:
            assert self.give(self.answer(tasks[chosen]))

    def answer(self, asked: TaskScheduled) -> AnyCommand:
        """Return the answer to a task, told from the task alone: the first attempt of some fails."""
        if asked.attempt == 0 and len(asked.state) % 2:
            return FailTask.of(asked, error="E1")
        return completion(asked)

    def pending(self) -> list[TaskScheduled]:
        """Return the tasks that wait for an answer."""
        asked = (event for event in self.events if isinstance(event, TaskScheduled))
        return [event for event in asked if is_pending(self.execution, token_of(event))]

    def timers(self) -> list[tuple[AnyEvent, TimerKind]]:
        """Return the timers that something waits for."""
        return [
            (event, kind)
            for event in self.events
            for kind in timers_set_by(event)
            if timer_due(self.execution, FireTimer.of(event, kind).timer_id) is not None
        ]


class Contained(Played):
    """Tasks that catch what they fail of fail in every way there is; the others succeed."""

    def answer(self, asked: TaskScheduled) -> AnyCommand:
        state = self.workflow.states[asked.state]
        if not isinstance(state, TaskState):  # a Map's reader or writer
            return completion(asked)
        ways: list[AnyCommand] = [completion(asked), completion(asked)]
        if state.catchers:
            ways += [FailTask.of(asked, error=error, cause="of the world") for error in (*ERRORS, None)]
            ways += [FireTimer.of(asked, kind) for kind in timers_set_by(asked)]
        place = f"{asked.state} {asked.scope} {asked.attempt}"
        return ways[crc32(place.encode()) % len(ways)]


class Pestered(Played):
    """Between any two commands everything is said that is stale, said before, or for somebody else."""

    def give(self, command: AnyCommand, now: Millis | None = None) -> bool:
        accepted = super().give(command, now)
        for late in (*stale(self), *foreign(self), *duplicates(self)):
            before = self.execution
            outcome = resume(before, late)
            assert isinstance(outcome, Rejected), late
            assert outcome.events == ()
            assert outcome.execution is before
        return accepted


def completion(asked: TaskScheduled) -> AnyCommand:
    answer: Json = {"asked": asked.arguments, "scope": list(asked.scope)}
    return CompleteTask.of(asked, {"Page": 0, "Items": answer} if asked.kind == "ITEM_READER" else answer)


class SlicedPlayed(Played):
    """As Played, with a slice of a few events after each command, so that commands come while it is runnable."""

    def __init__(self, workflow: Workflow, *, max_events: int, input: Json = INPUT) -> None:
        self.max_events = max_events
        self.trail: list[tuple[AnyEvent, Given | None]] = []
        super().__init__(workflow, input=input)

    def _start(self) -> Execution:
        command = StartExecution(execution_id="local:1", input=self.input)
        started = first_event(self.workflow, command, now=EPOCH, seed=SEED, cause=cause_of(command, offset=None))
        assert isinstance(started, ExecutionStarted)
        self._note(started, None)
        return self._slice(begin(self.workflow, started))

    def give(self, command: AnyCommand, now: Millis | None = None) -> bool:
        now = self.execution.time if now is None else now
        decision = decided(self.execution, command, now=now, offset=None)
        match decision:
            case Refused():
                pass
            case Nothing():
                self.execution = self._slice(self.execution)
            case event:
                self._note(event, Given(command=command, now=now))
                self.execution = self._slice(evolve(self.execution, event))
        return not isinstance(decision, Refused)

    def go_on(self) -> None:
        self.execution = self._slice(self.execution)

    def _slice(self, execution: Execution) -> Execution:
        after = execution
        for event, after in steps(execution, max_events=self.max_events):  # noqa: B007 - the last one counts
            self._note(event, None)
        return after

    def _note(self, event: AnyEvent, given: Given | None) -> None:
        self.events.append(event)
        self.trail.append((event, given))


def is_pending(execution: Execution, token: str) -> bool:
    """Whether a task waits for this token; told from the scopes alone."""
    _, key, sequence = parse_task_token(token)
    scope = execution.scopes.get(key)
    around = [execution.scopes.get(key[:depth]) for depth in range(len(key))]
    return (
        not execution.closed
        and not any(outer is None or isinstance(outer.phase, Cut) or outer.cut_from is not None for outer in around)
        and scope is not None
        and isinstance(scope.phase, Pending)
        and scope.phase.sequence == sequence
    )


P = TypeVar("P", bound=Played)


def play(data: st.DataObject, played: P) -> P:
    """Play an execution with a drawn order of answers, to its end or for MAX_COMMANDS commands."""
    for _ in range(MAX_COMMANDS):
        while not played.execution.at_rest and not (played.pending() or played.timers()):
            played.go_on()
        if played.execution.closed:
            break
        command, live, now = data.draw(commands(played))
        accepted = played.give(command, now)
        assert accepted or not live, f"{command} was refused: {played.execution}"
        assert live or not accepted, f"{command} was accepted though nothing waits for it"
    for command in _late(played):
        assert not played.give(command)
    return played


@st.composite
def commands(draw: st.DrawFn, played: Played) -> tuple[AnyCommand, bool, Millis | None]:
    """A command, whether it must be accepted, and when it comes (None: at once, or when its timer is due)."""
    execution = played.execution
    kind = draw(st.integers(0, 39))
    pending, timers = played.pending(), played.timers()
    if kind == 39:
        return StopExecution(execution_id=execution.execution_id, error="Stopped", cause=None), True, None
    if kind >= 36:
        return draw(st.sampled_from(foreign(played))), False, None
    if kind >= 33 and (late := stale(played)):
        return draw(st.sampled_from(late)), False, None
    if pending and (kind <= 24 or not timers):
        command = draw(_answers(draw(st.sampled_from(pending)), execution))
        later = Millis(execution.time + draw(st.integers(0, 4000)))
        live = not (isinstance(command, SubmitTask) and _submitted(execution, command.token))
        return command, live, later
    own = [(event, timer) for event, timer in timers if timer in ("wait", "retry")]
    event, timer = draw(st.sampled_from(own if own and kind <= 30 else timers))
    # It applies whatever the clock says; that of a heartbeat, fired early, is nothing
    early = draw(st.sampled_from([None, None, execution.time]))
    return FireTimer.of(event, timer), True, early


PAGES: list[Json] = [[], [1, "two"], [{"three": 3}], {"k": 1, "l": [2]}]
RESULTS: list[Json] = [None, 0, 1.0, "text", True, [], {}, {"r0": {"n": 1}}, [1, [2, {"three": None}]]]
results = st.sampled_from(RESULTS)


def _answers(task: TaskScheduled, execution: Execution) -> st.SearchStrategy[AnyCommand]:
    outputs = results
    if task.kind == "ITEM_READER":
        number = len(run_of(execution.scopes[task.scope]).pages)
        outputs = st.sampled_from(PAGES).map(lambda items: {"Page": number, "Items": items})
    complete = outputs.map(lambda output: CompleteTask.of(task, output))
    return st.one_of(
        *[complete] * 6,
        st.sampled_from(ERRORS).map(lambda error: FailTask.of(task, error=error, cause="of the world")),
        st.just(FailTask.of(task)),
        outputs.map(lambda output: SubmitTask.of(task, output)),
        st.just(HeartbeatTask.of(task, worker="w")),
    )


def _submitted(execution: Execution, token: str) -> bool:
    """Whether it cannot be submitted again. An ItemReader's pages can."""
    phase = execution.scopes[parse_task_token(token)[1]].phase
    return isinstance(phase, Pending) and phase.submitted and phase.kind != "ITEM_READER"


def stale(played: Played) -> list[AnyCommand]:
    """What once could have been: answers to attempts that are over, timers of states that were left."""
    stale: list[AnyCommand] = []
    for event in played.events:
        if isinstance(event, TaskScheduled) and not is_pending(played.execution, token_of(event)):
            stale += [CompleteTask.of(event, 1), FailTask.of(event), SubmitTask.of(event, 1), HeartbeatTask.of(event)]
        for kind in timers_set_by(event):
            command = FireTimer.of(event, kind)
            if timer_due(played.execution, command.timer_id) is None:
                stale.append(command)
    return stale


def foreign(played: Played) -> list[AnyCommand]:
    """What never could be: other scopes and sequences, commands of later releases, ids that are none."""
    id = played.execution.execution_id
    foreign: list[AnyCommand] = [
        CompleteTask(execution_id=id, token=f"{id}##{played.execution.sequence}", output=1),
        CompleteTask(execution_id=id, token=f"{id}#7.7#1", output=1),
        CompleteTask(execution_id=id, token="no token", output=1),
        CompleteTask(execution_id="other:1", token=f"{id}##1", output=1),
        FireTimer(execution_id=id, timer_id=f"{id}#9#1#wait"),
        FireTimer(execution_id=id, timer_id=f"{id}##{played.execution.sequence}#execution"),
        FireTimer(execution_id=id, timer_id="no timer"),
        StartExecution(execution_id=id, input=INPUT),
        ReleaseExecution(execution_id=id),
        PurgeExecution(execution_id=id, last_sequence=1),
    ]
    if played.execution.status in ("RUNNING", "SUCCEEDED"):
        foreign.append(RedriveExecution(execution_id=id))
    for task in played.pending():
        _, scope, sequence = parse_task_token(token_of(task))
        other = replace(task, scope=(*scope, 0), sequence=sequence)
        foreign.append(CompleteTask.of(other, 1))
        foreign.append(CompleteTask(execution_id=id, token=token_of(task).replace(id, "other:1"), output=1))
    for event, kind in played.timers():
        _, scope, sequence, _ = parse_timer_id(FireTimer.of(event, kind).timer_id)
        foreign.append(FireTimer(execution_id=id, timer_id=f"other:1#{'.'.join(map(str, scope))}#{sequence}#{kind}"))
    return foreign


def duplicates(played: Played) -> list[AnyCommand]:
    """Commands given before that have done what they can do. A heartbeat may be given again, and so may its timer."""
    once = (CompleteTask, FailTask, SubmitTask, StopExecution)
    given = [g.command for g in played.given]
    said = [command for command in given if isinstance(command, once)]
    # A guess at a token, refused when it was said, may be the token of a task by now: then it is no duplicate.
    asked = [token_of(event) for event in played.events if isinstance(event, TaskScheduled)]
    pending = {token for token in asked if is_pending(played.execution, token)}
    said = [c for c in said if not (isinstance(c, CompleteTask | FailTask) and c.token in pending)]
    # A stop is only a duplicate of one: of an execution that runs it is a wish that applies.
    return [c for c in said if not isinstance(c, StopExecution) or played.execution.closed]


def _late(played: Played) -> list[AnyCommand]:
    return [*stale(played), *foreign(played)] if played.execution.closed else []
