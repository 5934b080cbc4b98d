"""Who does the next thing: greenlets in one thread, virtual time, and every choice from one seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from zlib import crc32

from greenlet import greenlet

LONGEST_STEP_SECONDS = 0.001


class Killed(BaseException):
    """The process is dead: nothing it would still do has an effect."""


class Stuck(Exception):
    """Nobody can do anything any more, or it takes too long."""


@dataclass(slots=True, eq=False)
class Process:
    """As the operating system has one: it may be killed, and stopped for a while."""

    name: str
    alive: bool = True
    stopped_until: float = 0.0
    calls: int = 0
    """How many calls of its clients it has begun."""

    told_fenced: bool = False
    """A call has said so, and it has not asked since who is a member."""

    @property
    def slot(self) -> str:
        return self.name.partition(".")[0]


@dataclass(slots=True, eq=False)
class Actor:
    name: str
    process: Process
    run: greenlet
    wake_at: float = 0.0
    ready: Callable[[], bool] | None = None


@dataclass(slots=True)
class Scheduler:
    """`log` keeps what was done, in short, if there is a list; `digest` always covers it."""

    seed: int
    log: list[str] | None = None
    now: float = 0.0
    digest: int = 0
    chance: random.Random = field(init=False)
    _actors: list[Actor] = field(default_factory=list)
    _timed: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)
    _current: Actor | None = None
    _hub: greenlet | None = None

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def note(self, text: str) -> None:
        line = f"{self.now:9.4f} {text}"
        self.digest = crc32(line.encode(), self.digest)
        if self.log is not None:
            self.log.append(line)

    # ---- for the simulation

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Let `act` happen so much later."""
        heapq.heappush(self._timed, (self.now + seconds, next(self._numbers), act))

    def spawn(self, process: Process, name: str, act: Callable[[], None]) -> None:
        self._actors.append(Actor(name=name, process=process, run=greenlet(act), wake_at=self.now))

    @property
    def current_process(self) -> Process:
        assert self._current is not None
        return self._current.process

    def kill(self, process: Process) -> None:
        """Raises Killed where it is the one that runs."""
        process.alive = False
        for actor in self._actors:
            if actor.process is process and actor is self._current:
                raise Killed

    def run(self, done: Callable[[], bool], *, until: float) -> None:
        """Let everyone go on until `done`. Raises Stuck at the time `until`."""
        self._hub = greenlet.getcurrent()
        while not done():
            if self._timed and self._timed[0][0] <= self.now:
                heapq.heappop(self._timed)[2]()
                continue
            actors = [a for a in self._actors if self._can_go_on(a)]
            if not actors:
                self._let_time_pass(until)
                continue
            actor = actors[0] if len(actors) == 1 else self.chance.choice(actors)
            self._resume(actor)
            self.now += self.chance.random() * LONGEST_STEP_SECONDS

    def stop(self) -> None:
        """End everyone."""
        for actor in list(self._actors):
            actor.process.alive = False
            self._resume(actor)

    def _can_go_on(self, actor: Actor) -> bool:
        process = actor.process
        if not process.alive:
            return True  # to unwind
        if process.stopped_until > self.now:
            return False
        return actor.wake_at <= self.now or (actor.ready is not None and actor.ready())

    def _let_time_pass(self, until: float) -> None:
        wakes = [max(a.wake_at, a.process.stopped_until) for a in self._actors]
        if self._timed:
            wakes.append(self._timed[0][0])
        if not wakes:
            raise Stuck("nobody is left")
        self.now = max(self.now, min(wakes))
        if self.now > until:
            raise Stuck(f"not done after {until} seconds")

    def _resume(self, actor: Actor) -> None:
        self._current = actor
        try:
            if actor.process.alive or actor.run:
                actor.run.switch()
        except Killed:
            pass
        finally:
            self._current = None
        if actor.run.dead or not (actor.process.alive or actor.run):
            self._actors.remove(actor)

    # ---- for whoever runs in it

    def wait(self, seconds: float, ready: Callable[[], bool] | None = None) -> None:
        """Let others go on, until `ready` or so much later. Raises Killed."""
        actor = self._current
        assert actor is not None, "only actors wait"
        assert self._hub is not None
        if not actor.process.alive:
            raise Killed
        actor.wake_at, actor.ready = self.now + seconds, ready
        self._hub.switch()
        if not actor.process.alive:
            raise Killed
