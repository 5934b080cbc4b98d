"""What became of each hostile command, by what a user can read: dead letters, rejections, replies, the index of timers,
histories. Every one must be found once, and be what its kind may come to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from processor.engine.encoding import decode_events, decode_rejection, decode_reply
from processor.engine.ports import Log, Record
from processor.model import events as e
from processor.model.records import Rejection
from tests.chaos.hostile_good import history_of, output_of, plain
from tests.chaos.hostile_kinds import DEAD, REFUSED, REPEATED, REROUTED, STALE, STARTED
from tests.chaos.hostile_sender import Receipt

Place = tuple[int, int]
"""Partition and offset of a command."""


class Found(Struct, frozen=True, kw_only=True):
    dead: tuple[Place, ...]
    rejections: tuple[Rejection, ...]
    accepted: tuple[str, ...]  # ids of commands
    tombstones: tuple[str, ...]  # ids of timers
    histories: Mapping[str, list[e.AnyEvent]]


def read(log: Log) -> Found:
    """Read all topics once."""
    names, reader = log.names, log.reader()

    def records(topic: str) -> Iterator[Record]:
        return (record for p in range(reader.partitions(topic) or 0) for record in reader.read(topic, p))

    try:
        histories: dict[str, list[e.AnyEvent]] = defaultdict(list)
        for record in records(names.events):
            for event in decode_events(record.value or b""):
                histories[event.execution_id].append(event)
        replies = [decode_reply(record.value or b"") for record in records(names.replies)]
        return Found(
            dead=tuple(_place(record) for record in records(names.dead_letters)),
            rejections=tuple(decode_rejection(record.value or b"") for record in records(names.rejections)),
            accepted=tuple(reply.command_id for reply in replies if reply.kind == "ACCEPTED"),
            tombstones=tuple((r.key or b"").decode() for r in records(names.timers) if r.value is None),
            histories=histories,
        )
    finally:
        reader.close()


def _place(record: Record) -> Place:
    # The first of a name is the processor's: what the sender had put there comes behind.
    headers = dict(reversed(record.headers))
    return int(headers["asl-partition"]), int(headers["asl-offset"])


class Account:
    """Fates by attack. `faults`: one line for each thing that does not hold."""

    def __init__(self, receipts: Sequence[Receipt], found: Found, *, own_timers: frozenset[str]) -> None:
        """`own_timers`: those that good commands resolve."""
        self._receipts = receipts
        self._fates: dict[int, list[str]] = defaultdict(list)
        self.faults: list[str] = []
        places: dict[object, int] = {}
        for number, receipt in enumerate(receipts):
            if receipt.partition is None:
                self._fates[number].append(REFUSED)
            for name in ((receipt.partition, receipt.offset), receipt.id, receipt.timer_id, receipt.command_id):
                if name is not None:
                    places.setdefault(name, number)
        for place in found.dead:
            self._add(DEAD, places, place)
        for told in found.rejections:
            self._add(f"rejected: {told.reason}", places, (told.partition, told.offset), told.command_id)
        for command_id in found.accepted:
            self._add(REPEATED, places, command_id)
        for timer_id in found.tombstones:
            if timer_id not in own_timers:
                self._add(STALE, places, timer_id, timer_id.partition("#")[0])
        for id in found.histories:
            if id.startswith("stray:"):
                self._add(STARTED, places, id)
        self._judge()

    def _add(self, fate: str, places: Mapping[object, int], *names: object) -> None:
        number = next((places[name] for name in names if name in places), None)
        if number is None:
            self.faults.append(f"{fate}: nobody sent that: {names}")
            return
        rerouted = any(allowed.startswith(REROUTED) for allowed in self._receipts[number].fates)
        self._fates[number].append(REROUTED + fate if rerouted else fate)

    def _judge(self) -> None:
        for number, receipt in enumerate(self._receipts):
            fates = self._fates[number]
            if len(fates) != 1 or fates[0] not in receipt.fates:
                place = f"{receipt.partition}/{receipt.offset}"
                self.faults.append(f"{receipt.kind}, {place}: {fates or 'nothing'}, not one of {sorted(receipt.fates)}")

    @property
    def by_kind(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for number, receipt in enumerate(self._receipts):
            found[receipt.kind].update(self._fates[number])
        return dict(sorted(found.items()))

    @property
    def by_fate(self) -> Counter[str]:
        return sum(self.by_kind.values(), Counter())

    def outcomes(self, *, started: int, applied: int) -> dict[str, int]:
        """What asl_commands_total must say, where so many good ones were started and applied."""
        fates = self.by_fate
        ends: Counter[str] = Counter()
        for fate, count in fates.items():
            ends[fate.removeprefix(REROUTED)] += count
        return {
            "started": started + ends[STARTED],
            "applied": applied,
            "redriven": 0,
            "rejected": sum(count for fate, count in ends.items() if fate.startswith("rejected")),
            "dead_letter": ends[DEAD],
            "misrouted": sum(count for fate, count in fates.items() if fate.startswith(REROUTED)),
            "repeated_start": ends[REPEATED],
            "stale_timer": ends[STALE],
            "rearmed_timer": 0,
            "timer_in_quarantine": 0,
            "repeated_command": 0,
        }


def wrong_ends(found: Found, expected: set[str]) -> list[str]:
    """One line for each execution that is not what it must be: `expected`, besides those of stray starts, and no
    others; its output by arithmetic, its history by the interpreter."""
    faults = [f"{id} was started by nobody" for id in found.histories.keys() - expected if not id.startswith("stray:")]
    for id in sorted(expected | found.histories.keys()):
        machine, _, name = id.partition(":")
        events: list[Any] = found.histories.get(id, [])
        if not name.isdecimal() or not events:
            faults.append(f"{id}: has {len(events)} events")
            continue
        number, last = int(name), events[-1]
        if not isinstance(last, e.ExecutionSucceeded) or last.output != output_of(machine, number):
            faults.append(f"{id} ends with {last}")
        elif plain(events) != history_of(machine, number):
            faults.append(f"{id} is {[type(event).__name__ for event in events]}")
    return faults
