"""What an execution came to in each state, folded from its events for a drawing. Pure; needs no definition.

The events say by themselves how most states ended. What AWS has no event for, a Fail or a state that failed within a
branch, is told by what its container or the execution does next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from processor.model import events as e
from processor.model.ids import ScopeKey
from processor.model.json import Json

Outcome: TypeAlias = Literal["NOT_ENTERED", "IN_PROGRESS", "FAILED", "CAUGHT", "ABORTED", "SUCCEEDED"]


class Iterations(Struct, frozen=True, kw_only=True):
    """A Map's, over all times that it ran: `length` items there were, the rest says what became of them, in batches or
    one by one; of one that a redrive ran again what it came to then. `length` None: an ItemReader is to bring them, and
    has brought none yet."""

    length: int | None = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0


class Visit(Struct, frozen=True, kw_only=True):
    """How often a state was entered and how that ended; a failure that a Retry took is only counted in `retried`.

    `last`: what its last visits came to, one in each branch or iteration, where that is not what all of them came to.
    """

    entered: int = 0
    succeeded: int = 0
    caught: int = 0
    failed: int = 0
    aborted: int = 0
    retried: int = 0
    iterations: Iterations | None = None
    last: Outcome | None = None

    @property
    def active(self) -> int:
        return self.entered - self.succeeded - self.caught - self.failed - self.aborted

    @property
    def outcome(self) -> Outcome:
        """Return what the last visit came to; where there is one in each of several branches or iterations, the one
        that says most: what is going on, then the worst."""
        if self.last is not None:
            return self.last
        if self.active:
            return "IN_PROGRESS"
        if self.failed:
            return "FAILED"
        if self.caught:
            return "CAUGHT"
        if self.aborted:
            return "ABORTED"
        return "SUCCEEDED" if self.succeeded else "NOT_ENTERED"


NOT_VISITED = Visit()

Way: TypeAlias = tuple[str, str, int | None]
"""(source, target, catcher) of a transition."""


class Visits(Struct, frozen=True, kw_only=True):
    """`ways`: how often each transition was made."""

    states: Mapping[str, Visit] = {}
    ways: Mapping[Way, int] = {}

    def of(self, name: str) -> Visit:
        return self.states.get(name, NOT_VISITED)


def visits_of(events: Iterable[e.AnyEvent]) -> Visits:
    """Return the visits of one execution's events, the first ones in order."""
    fold = _Fold()
    for event in events:
        fold.add(event)
    return Visits(states={name: fold.told(name) for name in fold.states}, ways=dict(fold.ways))


class _Open(Struct, frozen=True):
    """A state entered and not left. `failed`: its last event tells a failure; `aborted`: it was cut."""

    name: str
    type: e.StateType
    failed: bool = False
    aborted: bool = False


_End: TypeAlias = Literal["succeeded", "caught", "failed", "aborted"]
_Lost: TypeAlias = Literal["failed", "aborted"]


class _Latest(Struct, frozen=True):
    """A scope's last visit of a state: which of all visits it is, and how it ended."""

    number: int
    end: _End | None = None


class _Left(Struct, frozen=True):
    """What failures left behind, until its container is left or starts anew: open states, and iterations by Map."""

    states: dict[ScopeKey, _Open] = {}
    items: dict[ScopeKey, tuple[str, _Lost]] = {}

    def and_also(self, later: _Left) -> _Left:
        return _Left(states=self.states | later.states, items=self.items | later.items)

    def forget(self, container: ScopeKey, *, itself: bool) -> None:
        for left in (self.states, self.items):
            for key in [key for key in left if key[: len(container)] == container and (itself or key != container)]:
                del left[key]


class _Fold:
    def __init__(self) -> None:
        self.states: dict[str, Visit] = {}
        self.ways: Counter[Way] = Counter()
        self._open: dict[ScopeKey, _Open] = {}
        self._taken: dict[
            ScopeKey, int
        ] = {}  # how many items each iteration takes; of a redriven one nothing tells it anew
        self._read: dict[ScopeKey, int] = {}  # how many items an ItemReader at work has brought so far
        self._last: ScopeKey = ()
        self._left = _Left()
        self._redriven = _Left()  # what a redrive may run again; that it does, the next event within tells
        self._latest: dict[str, dict[ScopeKey, _Latest]] = {}
        self._began: dict[ScopeKey, int] = {}  # how many visits there had been when a container last started
        self._visits = 0

    def told(self, name: str) -> Visit:
        """Return the visit with what its last visits came to; none that a new start of its container outdated."""
        visit, latest = self.states[name], self._latest[name]
        valid = [one for key, one in latest.items() if not self._outdated(key, one)] or list(latest.values())
        ends = Counter(one.end for one in valid if one.end is not None)
        last = Visit(
            entered=len(valid),
            succeeded=ends["succeeded"],
            caught=ends["caught"],
            failed=ends["failed"],
            aborted=ends["aborted"],
        ).outcome
        return visit if last == visit.outcome else replace(visit, last=last)

    def _outdated(self, key: ScopeKey, visit: _Latest) -> bool:
        return any(visit.number <= self._began.get(key[:depth], 0) for depth in range(len(key)))

    def add(self, event: e.AnyEvent) -> None:
        key = event.scope
        self._go_on(event)
        match event:
            case e.StateEntered():
                self._enter(key, _Open(event.state, event.type))
            case e.StateExited():
                self._exit(event)
            case e.StateAborted():
                self._mark(event, aborted=True)
            case e.TaskFailed() | e.TaskTimedOut() | e.EvaluationFailed():
                self._mark(event, failed=True)
            case e.ParallelFailed() | e.MapFailed():
                self._settle(self._below(key))
                self._mark(event, failed=True)
            case e.RetryScheduled():
                self._settle(self._below(key))
                self._mark(event, failed=False)
                self._count(event.state, retried=1)
            case e.ExecutionFailed():
                self._settle(set(self._open))
            case e.ExecutionTimedOut() | e.ExecutionAborted():
                self._close(set(self._open), failed=set())
            case e.ExecutionRedriven():
                self._redriven, self._left = self._redriven.and_also(self._left), _Left()
                self._go_on(event)  # the state at the top goes on in any case
            case _:
                self._iteration(event)
        if not isinstance(event, (e.StateAborted, e.MapIterationAborted)):
            self._last = key

    def _exit(self, event: e.StateExited) -> None:
        self._close(self._below(event.scope), failed=set())  # iterations that a Map tolerated were settled before
        self._mark(event)
        self._end(event.scope, "succeeded" if event.catcher is None else "caught")
        if event.scope in self._began:  # a container's; the rest would look through them all for nothing
            self._forget(event.scope, itself=True)
        if event.next is not None:
            self.ways[event.state, event.next, event.catcher] += 1

    def _iteration(self, event: e.AnyEvent) -> None:
        match event:
            case e.ParallelStarted():
                self._begin(event.scope)
            case e.MapStarted():
                self._begin(event.scope)
                self._count_iterations(event.state, length=event.length)
            case e.TaskScheduled():
                self._asked(event)
            case e.TaskSubmitted() if event.scope in self._read:
                self._read[event.scope] += _items_in(event.output)
            case e.TaskSucceeded() if event.scope in self._read:
                read = self._read.pop(event.scope) + _items_in(event.output)
                self._count_iterations(event.state, length=read)
            case e.MapIterationStarted():
                self._taken[event.scope] = event.items
                self._count_iterations(event.state, started=event.items)
            case e.MapIterationSucceeded():
                self._count_iterations(event.state, succeeded=self._taken.get(event.scope, 1))
            case e.MapIterationFailed():
                self._lose(event, "failed")
                self._settle(self._within(event.scope))
            case e.MapIterationAborted():
                self._lose(event, "aborted")
                for key in self._within(event.scope):
                    self._open[key] = replace(self._open[key], aborted=True)
            case _:
                pass

    # ---- what a failure leaves open

    def _within(self, scope: ScopeKey) -> set[ScopeKey]:
        return {key for key in self._open if key[: len(scope)] == scope}

    def _below(self, container: ScopeKey) -> set[ScopeKey]:
        return self._within(container) - {container}

    def _settle(self, keys: set[ScopeKey]) -> None:
        """Count what a failure left open in `keys`: what failed and all around it as failed, the others as cut.

        A state has failed where its events say so, or where it is a Fail. Failing none, it is the innermost one that
        was not cut; where several were not, the one that the last event was about.
        """
        failed = {key for key in keys if self._open[key].failed}
        failed |= {key for key in keys if self._open[key].type == "Fail" and not self._open[key].aborted}
        if keys and not failed:
            innermost = [key for key in keys if not any(k != key and k[: len(key)] == key for k in keys)]
            uncut = [key for key in innermost if not self._open[key].aborted]
            failed = {self._last if self._last in uncut else min(uncut)} if uncut else set()
        self._close(keys, failed={key for key in keys if any(f[: len(key)] == key for f in failed)})

    def _close(self, keys: set[ScopeKey], *, failed: set[ScopeKey]) -> None:
        for key in sorted(keys):
            self._left.states[key] = self._open[key]
            self._end(key, "failed" if key in failed else "aborted")

    def _lose(self, event: e.MapIterationFailed | e.MapIterationAborted, end: _Lost) -> None:
        self._count_iterations(event.state, **{end: self._taken.get(event.scope, 1)})
        self._left.items[event.scope] = (event.state, end)

    # ---- what a redrive opens again

    def _go_on(self, event: e.AnyEvent) -> None:
        """Open again what the event lies in, if that was left before a redrive: the state is entered anew by it, the
        item no longer one that failed."""
        redriven = self._redriven
        if not redriven.states and not redriven.items:
            return
        for key in (event.scope[:depth] for depth in range(len(event.scope) + 1)):
            open, item = redriven.states.pop(key, None), redriven.items.pop(key, None)
            if open is not None and not (isinstance(event, e.StateEntered) and key == event.scope):
                self._enter(key, _Open(open.name, open.type))
            if item is not None:
                name, end = item
                self._count_iterations(name, **{end: -self._taken.get(key, 1)})

    def _begin(self, container: ScopeKey) -> None:
        """What ran in it before, in an attempt that failed or in an earlier round of a loop, goes on no more."""
        self._began[container] = self._visits
        self._forget(container, itself=False)

    def _forget(self, container: ScopeKey, *, itself: bool) -> None:
        for left in (self._left, self._redriven):
            left.forget(container, itself=itself)

    # ---- counting

    def _enter(self, key: ScopeKey, open: _Open) -> None:
        self._visits += 1
        self._open[key] = open
        self._latest.setdefault(open.name, {})[key] = _Latest(self._visits)
        self._count(open.name, entered=1)

    def _end(self, key: ScopeKey, end: _End) -> None:
        name = self._open.pop(key).name
        self._latest[name][key] = replace(self._latest[name][key], end=end)
        self._count(name, **{end: 1})

    def _mark(self, event: e.AnyEvent, *, failed: bool | None = None, aborted: bool = False) -> None:
        """Note it of the state that the event is about."""
        open = self._open[event.scope]
        failed = open.failed if failed is None else failed
        self._open[event.scope] = replace(open, failed=failed, aborted=open.aborted or aborted)

    def _count(self, name: str, **more: int) -> None:
        visit = self.states.get(name, NOT_VISITED)
        self.states[name] = replace(visit, **{field: getattr(visit, field) + n for field, n in more.items()})

    def _count_iterations(self, name: str, **more: int) -> None:
        done = self.states[name].iterations or Iterations()
        counted = replace(done, **{field: (getattr(done, field) or 0) + n for field, n in more.items()})
        self.states[name] = replace(self.states[name], iterations=counted)

    # ---- what a reader brings

    def _asked(self, event: e.TaskScheduled) -> None:
        """A reader that is asked again begins anew: what an attempt that failed had brought, counts no longer."""
        self._read.pop(event.scope, None)
        if event.kind == "ITEM_READER":
            self._read[event.scope] = 0
            done = self.states[event.state].iterations or Iterations()
            self.states[event.state] = replace(
                self.states[event.state], iterations=replace(done, length=done.length or None)
            )


def _items_in(page: Json) -> int:
    """A page is an array of items, or an object whose members they are."""
    return len(page) if isinstance(page, (list, dict)) else 0
