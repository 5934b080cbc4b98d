"""Commands that nobody should send: what each kind is made of, and what may become of it.

Most aim at strangers: executions and state machines that never were, named after the attack's number, so that whatever
the bytes become nothing starts. Others aim at executions that wait for a task, have ended, or are just under way.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from processor.engine.encoding import encode_command, encode_command_json, encode_events, encode_task, encode_timer
from processor.engine.topics import TopicNames, partition_of
from processor.interpreter.interpreter import start
from processor.interpreter.parse import parse
from processor.model import commands as c
from processor.model.ids import Millis
from processor.model.records import Task, Timer

DEAD: Final = "dead letter"
STALE: Final = "stale timer"
REPEATED: Final = "repeated start"
REFUSED: Final = "refused by the producer"
STARTED: Final = "started"
REROUTED: Final = "re-routed, then "


def rejected(*reasons: str) -> frozenset[str]:
    return frozenset(f"rejected: {reason}" for reason in reasons)


Producer: TypeAlias = Literal["client", "large", "compressed", "wire"]
"""client: librdkafka as most use it. large: it lets anything through, one record a batch. compressed: that, with LZ4.
wire: none, the protocol itself."""


class Attack(Struct, frozen=True, kw_only=True):
    """A record for the commands topic. `partition` None: that of its key. `fates`: what may become of it, one of them.
    `id`: the execution it is about, for which there is no other attack; `timer_id`, `command_id`: it has them."""

    kind: str
    key: bytes | None
    value: bytes | None
    fates: frozenset[str]
    headers: tuple[tuple[bytes, bytes | None], ...] = ()
    partition: int | None = None
    by: Producer = "client"
    timestamp: int | None = None
    id: str | None = None
    timer_id: str | None = None
    command_id: str | None = None


class Held(Struct, frozen=True):
    """An execution that waits for a task, having done another."""

    id: str
    number: int
    done_token: str
    token: str


class Waiting(Struct, frozen=True):
    """An execution that waits for a timer."""

    id: str
    timer_id: str


class Targets(Struct, frozen=True, kw_only=True):
    """What there is to aim at. `passing`: machine, and numbers of its executions that come and go during the attack."""

    names: TopicNames
    partitions: int
    machine: str
    stray_machine: str
    held: tuple[Held, ...]
    waiting: tuple[Waiting, ...]
    ended: tuple[str, ...]
    passing: tuple[str, int, int]


JSON: Final = ((b"content-type", b"application/json"),)
AT_STRANGERS: Final = frozenset((DEAD, STALE)) | rejected(
    "UnknownExecution", "DefinitionNotFound", "ReplyTopicRefused", "InvalidCommand", "InputTooLarge"
)
"""What a command about an execution and a machine that never were may come to, whatever its bytes. InvalidCommand and
InputTooLarge are among them for what is seen before the execution is looked for."""

Make: TypeAlias = "Callable[[Maker], Attack]"
KINDS: dict[str, tuple[Make, float]] = {}
"""By name: how it is made, and how often, against 1.0 for the others."""


def kind(name: str, *, weight: float = 1.0) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        assert name not in KINDS
        KINDS[name] = make, weight
        return make

    return register


def attacks(targets: Targets, *, how_many: int, seed: int) -> Iterator[Attack]:
    """Yield each kind once, then as they come by weight; the same for the same seed."""
    chance = random.Random(seed)
    names, weights = list(KINDS), [weight for _, weight in KINDS.values()]
    order = chance.sample(names, len(names)) + chance.choices(names, weights, k=max(0, how_many - len(names)))
    for number, name in enumerate(order[:how_many]):
        yield replace(KINDS[name][0](Maker(targets, chance, number)), kind=name)


class Maker:
    """What the kinds are made with: one attack's number, and the chance of all."""

    def __init__(self, targets: Targets, chance: random.Random, number: int) -> None:
        self.targets, self.chance, self.number = targets, chance, number
        self.stranger = f"stranger{number}:{number}"
        self.held = chance.choice(targets.held)
        self.waiting = chance.choice(targets.waiting)
        self.ended = chance.choice(targets.ended)
        machine, first, after = targets.passing
        self.passing = f"{machine}:{chance.randrange(first, after)}"

    def noise(self, most: int = 600) -> bytes:
        return self.chance.randbytes(self.chance.randint(1, most))

    def command(self, id: str | None = None) -> c.AnyCommand:
        """One of any type, valid in itself."""
        id = id or self.stranger
        token, timer = f"{id}#0.{self.number}#{self.number + 5}", f"{id}##{self.number + 5}#wait"
        text = "".join(self.chance.choices('abc é😀\\"{}#\n', k=20))
        made: tuple[c.AnyCommand, ...] = (
            c.StartExecution(execution_id=id, input={"n": self.number, "text": text}),
            c.CompleteTask(execution_id=id, token=token, output=[text, self.number]),
            c.FailTask(execution_id=id, token=token, error="E", cause=text),
            c.SubmitTask(execution_id=id, token=token, output=text),
            c.HeartbeatTask(execution_id=id, token=token, worker="w", detail=text),
            c.FireTimer(execution_id=id, timer_id=timer),
            c.StopExecution(execution_id=id, error="E", cause=text),
            c.RedriveExecution(execution_id=id),
            c.ReleaseExecution(execution_id=id),
            c.PurgeExecution(execution_id=id, last_sequence=self.number),
        )
        return self.chance.choice(made)

    def raw(self, value: bytes | None, **more: Any) -> Attack:
        """Bytes about a stranger; a dead letter unless `fates` says otherwise."""
        given: dict[str, Any] = {"key": self.stranger.encode(), "fates": frozenset((DEAD,)), "id": self.stranger}
        return Attack(kind="", value=value, **given | more)

    def sent(self, command: c.AnyCommand, fates: frozenset[str] | str, **more: Any) -> Attack:
        """A command as a client would send it, in either form."""
        as_json = self.chance.random() < 0.5
        value = encode_command_json(command) if as_json else encode_command(command)
        about = {
            "id": command.execution_id if command.execution_id == self.stranger else None,
            "timer_id": command.timer_id if isinstance(command, c.FireTimer) else None,
            "command_id": command.command_id,
            "headers": (JSON if as_json else ()) + more.pop("headers", ()),
        }
        allowed = frozenset((fates,)) if isinstance(fates, str) else fates
        given: dict[str, Any] = {"key": command.execution_id.encode(), "value": value, "fates": allowed}
        return Attack(kind="", **given | about | more)

    def json(self, fields: Mapping[str, object] | bytes, fates: frozenset[str] | str = DEAD, **more: Any) -> Attack:
        """A text that says it is JSON."""
        text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        allowed = frozenset((fates,)) if isinstance(fates, str) else fates
        return self.raw(text, fates=allowed, **{"headers": JSON} | more)

    def text_of_start(self, payload: bytes) -> bytes:
        """A start of a machine that is there, its input written as these bytes: what is let through, runs."""
        return b'{"type":"StartExecution","execution_id":"' + self.fresh.encode() + b'","input":' + payload + b"}"

    @property
    def fresh(self) -> str:
        return f"{self.targets.machine}:hostile-{self.number}"


# ---- bytes


@kind("random bytes")
def _(m: Maker) -> Attack:
    return m.raw(m.noise())


@kind("random bytes that say they are JSON")
def _(m: Maker) -> Attack:
    return m.raw(b"\xff" + m.noise(), headers=JSON)


@kind("a command cut short")
def _(m: Maker) -> Attack:
    value = encode_command(m.command())
    return m.raw(value[: m.chance.randrange(len(value))])


@kind("a JSON command cut short")
def _(m: Maker) -> Attack:
    value = encode_command_json(m.command())
    return m.raw(value[: m.chance.randrange(1, len(value))], headers=JSON)


@kind("bytes behind a command")
def _(m: Maker) -> Attack:
    return m.raw(encode_command(m.command()) + m.noise())


def _flipped(m: Maker, value: bytes) -> bytes:
    flipped = bytearray(value)
    for _ in range(m.chance.randint(1, 3)):
        flipped[m.chance.randrange(len(value))] ^= 1 << m.chance.randrange(8)
    return bytes(flipped)


@kind("a command with bits flipped", weight=3.0)
def _(m: Maker) -> Attack:
    return m.raw(_flipped(m, encode_command(m.command())), fates=AT_STRANGERS)


@kind("a JSON command with bits flipped", weight=3.0)
def _(m: Maker) -> Attack:
    return m.raw(_flipped(m, encode_command_json(m.command())), fates=AT_STRANGERS, headers=JSON)


@kind("a schema that nobody knows")
def _(m: Maker) -> Attack:
    return m.raw(b"\xc3\x01" + m.chance.randbytes(8) + encode_command(m.command())[10:])


_PASS = parse({"StartAt": "S", "States": {"S": {"Type": "Pass", "End": True}}})


@kind("another topic's record", weight=2.0)
def _(m: Maker) -> Attack:
    id, time = m.stranger, Millis(1_767_225_600_000)
    timer = Timer(timer_id=f"{id}##3#wait", execution_id=id, scope=(), sequence=3, kind="wait", due=time, state="S")
    task = Task(
        token=f"{id}##3", execution_id=id, state="S", kind="LAMBDA", resource="f", arguments={}, scheduled_at=time
    )
    events = encode_events(list(start(_PASS, {}, execution_id=id).events))[0].value
    return m.raw(m.chance.choice((encode_timer(timer), encode_task(task), events)))


@kind("no value")
def _(m: Maker) -> Attack:
    return m.raw(None)


@kind("an empty value")
def _(m: Maker) -> Attack:
    return m.raw(b"", headers=m.chance.choice((JSON, ())))


# ---- JSON


@kind("JSON that is no command")
def _(m: Maker) -> Attack:
    fields: tuple[Any, ...] = (
        [], 1, None, "StartExecution", {}, {"type": "Nope", "execution_id": m.stranger}, {"type": ["StartExecution"]},
        {"type": "StartExecution", "input": {}}, {"type": "StartExecution", "execution_id": m.stranger},
        {"type": "FireTimer", "execution_id": m.stranger, "timer_id": f"{m.stranger}##1#wait", "now": 0},
    )  # fmt: skip
    return m.json(json.dumps(m.chance.choice(fields)).encode())


@kind("JSON that does not say so")
def _(m: Maker) -> Attack:
    return m.raw(encode_command_json(m.command()))


@kind("Avro that says it is JSON")
def _(m: Maker) -> Attack:
    return m.raw(encode_command(m.command()), headers=JSON)


@kind("nesting")
def _(m: Maker) -> Attack:
    depth = m.chance.choice((202, 900, 1_100, 20_000))
    opening, closing = m.chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return m.json(m.text_of_start(opening * depth + b"1" + closing * depth), key=m.fresh.encode())


@kind("lone surrogates")
def _(m: Maker) -> Attack:
    text = m.chance.choice((b'"\\ud800"', b'"\\udfff\\ud800"', b'{"\\udc00":1}', b'"\xed\xa0\x80"', b'"\xff"'))
    return m.json(m.text_of_start(text), key=m.fresh.encode())


@kind("numbers that are none")
def _(m: Maker) -> Attack:
    written = (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e999", b"9" * 400, b"01", b"0x10", b"1_000")
    return m.json(m.text_of_start(b'{"n":' + m.chance.choice(written) + b"}"), key=m.fresh.encode())


# ---- keys and partitions


@kind("no key")
def _(m: Maker) -> Attack:
    return m.sent(m.command(), DEAD, key=None)


@kind("an empty key")
def _(m: Maker) -> Attack:
    return m.sent(m.command(), DEAD, key=b"")


@kind("another execution's key", weight=2.0)
def _(m: Maker) -> Attack:
    return m.sent(m.command(), DEAD, key=m.held.id.encode())


@kind("a key that is no UTF-8")
def _(m: Maker) -> Attack:
    return m.sent(m.command(), DEAD, key=m.stranger.encode() + b"\xff\xfe")


@kind("a key of half a megabyte", weight=0.05)
def _(m: Maker) -> Attack:
    return m.sent(m.command(), DEAD, key=m.stranger.encode() * 40_000)


def _misrouted(m: Maker, command: c.AnyCommand, fate: str) -> Attack:
    key = command.execution_id.encode()
    wrong = (
        partition_of(key, m.targets.partitions) + m.chance.randrange(1, m.targets.partitions)
    ) % m.targets.partitions
    return m.sent(command, REROUTED + fate, partition=wrong)


@kind("a start in the wrong partition")
def _(m: Maker) -> Attack:
    id = f"{m.targets.stray_machine}:{m.number}"
    return replace(_misrouted(m, c.StartExecution(execution_id=id, input={"n": m.number}), STARTED), id=id)


@kind("a stale timer in the wrong partition")
def _(m: Maker) -> Attack:
    id = m.held.id
    return _misrouted(m, c.FireTimer(execution_id=id, timer_id=f"{id}##{m.number + 1_000}#wait"), STALE)


@kind("a foreign command in the wrong partition")
def _(m: Maker) -> Attack:
    stop = c.StopExecution(execution_id=m.stranger, command_id=f"lost-{m.number}")
    return _misrouted(m, stop, "rejected: UnknownExecution")
