"""More kinds of hostile_kinds.py: commands that decode, or nearly, and that nobody may send. Importing it adds them."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from processor.engine.encoding import encode_command, encode_command_json
from processor.model import commands as c
from processor.model.json import Json
from tests.chaos.hostile_good import input_of
from tests.chaos.hostile_kinds import (
    AT_STRANGERS,
    DEAD,
    JSON,
    REFUSED,
    REPEATED,
    STALE,
    Attack,
    Maker,
    kind,
    rejected,
)

DAY_MS = 86_400_000

# ---- starts


@kind("a start of an unknown machine")
def _(m: Maker) -> Attack:
    return m.sent(c.StartExecution(execution_id=m.stranger, input={}), rejected("DefinitionNotFound"))


@kind("a start of an unknown revision")
def _(m: Maker) -> Attack:
    revision = m.chance.choice(("", "latest", "../../etc", "0" * 16, "\x00", "é" * 5_000))
    start = c.StartExecution(execution_id=m.fresh, input={}, revision=revision)
    return m.sent(start, rejected("DefinitionNotFound"))


@kind("a start with another input, of one that runs")
def _(m: Maker) -> Attack:
    start = c.StartExecution(execution_id=m.held.id, input={"hostile": m.number})
    return m.sent(start, rejected("ExecutionAlreadyExists"))


@kind("a start of one that has ended")
def _(m: Maker) -> Attack:
    start = c.StartExecution(execution_id=m.ended, input={"hostile": m.number})
    return m.sent(start, rejected("ExecutionAlreadyExists"))


@kind("the same start again")
def _(m: Maker) -> Attack:
    start = c.StartExecution(
        execution_id=m.held.id,
        input=input_of("held", m.held.number),
        command_id=f"again-{m.number}",
        reply_to=m.targets.names.replies,
    )
    return m.sent(start, REPEATED)


@kind("an input of over 256 KiB", weight=0.1)
def _(m: Maker) -> Attack:
    start = c.StartExecution(execution_id=m.fresh, input="x" * m.chance.randint(263_000, 700_000))
    return m.sent(start, rejected("InputTooLarge"))


@kind("an input of megabytes, compressed", weight=0.05)
def _(m: Maker) -> Attack:
    start = c.StartExecution(execution_id=m.fresh, input="x" * m.chance.randint(2_000_000, 6_000_000))
    return m.sent(start, rejected("InputTooLarge"), by="compressed")


@kind("megabytes of nothing, compressed", weight=0.05)
def _(m: Maker) -> Attack:
    return m.raw(bytes(m.chance.randint(2_000_000, 6_000_000)), by="compressed")


@kind("a record over what the client sends", weight=0.1)
def _(m: Maker) -> Attack:
    return m.raw(bytes(1_100_000), fates=frozenset((REFUSED,)))


@kind("a record over what the broker takes", weight=0.05)
def _(m: Maker) -> Attack:
    return m.raw(m.chance.randbytes(1_100_000), fates=frozenset((REFUSED,)), by="large")


@kind("a context with AWS's own keys")
def _(m: Maker) -> Attack:
    taken = m.chance.choice(("Execution", "State", "Task"))
    start = c.StartExecution(execution_id=m.fresh, input={}, context={taken: {"Id": "forged"}})
    return m.sent(start, rejected("InvalidCommand"))


@kind("a context that is no object")
def _(m: Maker) -> Attack:
    contexts: tuple[Json, ...] = ([1], "text", 7, False)
    start = c.StartExecution(execution_id=m.fresh, input={}, context=m.chance.choice(contexts))
    return m.sent(start, rejected("InvalidCommand"))


@kind("a parent that cannot be")
def _(m: Maker) -> Attack:
    parents: tuple[Any, ...] = (
        "order:1",
        {"execution_id": "no id", "scope": [], "sequence": 1},
        {"execution_id": m.held.id, "scope": [-1], "sequence": 1},
        {"execution_id": m.held.id, "scope": [], "sequence": -1},
        {"execution_id": m.held.id, "scope": [2**40], "sequence": 1},
        {"execution_id": m.held.id},
    )
    parent = m.chance.choice(parents)
    return m.json({"type": "StartExecution", "execution_id": m.stranger, "input": {}, "parent": parent})


# ---- tasks and timers


def _answers(m: Maker, id: str, token: str) -> c.AnyCommand:
    made: tuple[c.AnyCommand, ...] = (
        c.CompleteTask(execution_id=id, token=token, output="forged"),
        c.FailTask(execution_id=id, token=token, error="Forged"),
        c.SubmitTask(execution_id=id, token=token, output="forged"),
        c.HeartbeatTask(execution_id=id, token=token),
    )
    return m.chance.choice(made)


@kind("a stale token", weight=2.0)
def _(m: Maker) -> Attack:
    return m.sent(_answers(m, m.held.id, m.held.done_token), rejected("TaskNotPending"))


@kind("a token that never was")
def _(m: Maker) -> Attack:
    id, scope = m.held.id, m.chance.choice(("", "0", "0.0.0", "99999999999999999999", "1." * 1_000 + "1"))
    return m.sent(_answers(m, id, f"{id}#{scope}#{m.number + 1_000}"), rejected("TaskNotPending"))


@kind("a token of one that has ended")
def _(m: Maker) -> Attack:
    return m.sent(_answers(m, m.ended, f"{m.ended}##2"), rejected("TaskNotPending"))


@kind("a token of a stranger")
def _(m: Maker) -> Attack:
    return m.sent(_answers(m, m.stranger, f"{m.stranger}##2"), rejected("UnknownExecution"))


@kind("another execution's token", weight=2.0)
def _(m: Maker) -> Attack:
    return m.sent(_answers(m, m.stranger, m.held.token), DEAD)


@kind("a token that is none")
def _(m: Maker) -> Attack:
    id = m.held.id
    token = m.chance.choice(
        ("", id, f"{id}##", f"{id}##-1", f"{id}##1#wait", f"{id}##{'9' * 5_000}", f"{id}#a#1", "#" * 900)
    )
    return m.sent(_answers(m, id, token), DEAD)


@kind("an error longer than AWS takes, with a token that waits")
def _(m: Maker) -> Attack:
    more = m.chance.choice(({"error": "E" * 257}, {"cause": "c" * 32_769}))
    return m.sent(c.FailTask(execution_id=m.held.id, token=m.held.token, **more), rejected("InvalidCommand"))


@kind("a timer that never was", weight=2.0)
def _(m: Maker) -> Attack:
    id = m.chance.choice((m.held.id, m.ended, m.stranger, m.passing))
    of = m.chance.choice(("wait", "retry", "timeout", "heartbeat", "execution"))
    timer = f"{id}#{m.chance.choice(('', '0.1'))}#{m.number + 1_000}#{of}"
    return m.sent(c.FireTimer(execution_id=id, timer_id=timer), STALE)


@kind("an id of half a megabyte", weight=0.05)
def _(m: Maker) -> Attack:
    """Or a token's: so many indexes are not even looked at."""
    id, place = m.held.id, f"{m.held.id}#{'1.' * 250_000}1#{m.number + 1_000}"
    return m.sent(
        m.chance.choice((c.FireTimer(execution_id=id, timer_id=f"{place}#wait"), _answers(m, id, place))), DEAD
    )


@kind("a timer that is none")
def _(m: Maker) -> Attack:
    id = m.held.id
    timer = m.chance.choice(("", id, f"{id}##1", f"{id}##1#nap", f"{id}##x#wait", f"{m.stranger}##1#wait"))
    return m.sent(c.FireTimer(execution_id=id, timer_id=timer), DEAD)


# ---- executions


@kind("orders to strangers", weight=2.0)
def _(m: Maker) -> Attack:
    made: tuple[c.AnyCommand, ...] = (
        c.StopExecution(execution_id=m.stranger),
        c.RedriveExecution(execution_id=m.stranger),
        c.ReleaseExecution(execution_id=m.stranger),
        c.PurgeExecution(execution_id=m.stranger, last_sequence=m.chance.choice((0, -1, 2**62))),
    )
    return m.sent(m.chance.choice(made), rejected("UnknownExecution"))


def _orders(m: Maker, id: str) -> list[tuple[c.AnyCommand, frozenset[str]]]:
    return [
        (c.RedriveExecution(execution_id=id), rejected("ExecutionNotRedrivable")),
        (c.PurgeExecution(execution_id=id, last_sequence=100_000 + m.number), rejected("ExecutionNotPurgeable")),
    ]


@kind("orders to one that runs", weight=2.0)
def _(m: Maker) -> Attack:
    id = m.held.id
    orders = [
        *_orders(m, id),
        (c.ReleaseExecution(execution_id=id), rejected("ExecutionNotQuarantined")),
        (c.StopExecution(execution_id=id, error="E" * 257), rejected("InvalidCommand")),
    ]
    return m.sent(*m.chance.choice(orders))


@kind("orders to one that has ended", weight=2.0)
def _(m: Maker) -> Attack:
    orders = [
        *_orders(m, m.ended),
        (c.ReleaseExecution(execution_id=m.ended), rejected("ExecutionEnded")),
        (c.StopExecution(execution_id=m.ended), rejected("ExecutionEnded")),
    ]
    return m.sent(*m.chance.choice(orders))


@kind("forgeries about one that comes and goes", weight=3.0)
def _(m: Maker) -> Attack:
    forged = (_answers(m, m.passing, f"{m.passing}##{m.number + 100_000}"), rejected("TaskNotPending"))
    command, reasons = m.chance.choice([*_orders(m, m.passing), forged])
    return m.sent(command, reasons | rejected("UnknownExecution"))


@kind("an id that cannot be")
def _(m: Maker) -> Attack:
    id = m.chance.choice(
        (
            "", ":", "a", "a:", ":b", "a:b:c", "a b:c", "a:\x00", "a:\x1b[2J", "a:b\n", "a:" + "b" * 81,
            "a" * 81 + ":b", "a/b/c:d", "a#:b", "a:b#1", "é:\x85", "a:" + "b" * 100_000,
        )
    )  # fmt: skip
    return m.sent(replace(m.command(), execution_id=id), DEAD, id=None, timer_id=None)


# ---- what stands around a command


@kind("replies to another topic")
def _(m: Maker) -> Attack:
    names = m.targets.names
    topic = m.chance.choice(
        (names.events, names.commands, names.definitions, "__consumer_offsets", names.replies + ".not-there", "",
         "../x", names.replies + ".\x00", "r" * 1_000)
    )  # fmt: skip
    waiting = c.FireTimer(execution_id=m.waiting.id, timer_id=m.waiting.timer_id)
    command = replace(m.chance.choice((m.command(), waiting)), reply_to=topic)
    return m.sent(command, rejected("ReplyTopicRefused"), timer_id=None)


@kind("labels of over 1,024 characters")
def _(m: Maker) -> Attack:
    label = m.chance.choice(("issuer", "correlation_id", "reply_to"))
    return m.sent(replace(m.command(), **{label: m.chance.choice("é<x") * 1_025}), DEAD)


@kind("labels of any characters")
def _(m: Maker) -> Attack:
    text = "".join(m.chance.choices(string.printable + "\x00\x1b\x85\u202e😀", k=200))
    stop = c.StopExecution(execution_id=m.stranger, command_id=text, issuer=text, correlation_id=text)
    return m.sent(stop, rejected("UnknownExecution"), command_id=None)


@kind("headers that lie", weight=2.0)
def _(m: Maker) -> Attack:
    forged = (
        (b"asl-reason", b"\xff\x00"), (b"asl-partition", b"0"), (b"asl-offset", b"0"), (b"asl-topic", b"x"),
        (b"asl-moved", b"0/0"), (b"traceparent", b"\xff" * 100), (b"", b""), (b"Content-Encoding", b"gzip"),
        (b"x", None),
    )  # fmt: skip
    headers = tuple(m.chance.choices(forged, k=m.chance.choice((1, 5, 300))))
    if m.chance.random() < 0.5:
        return m.raw(m.noise(), headers=headers)
    return m.sent(c.StopExecution(execution_id=m.stranger), rejected("UnknownExecution"), headers=headers)


@kind("a content-type that lies")
def _(m: Maker) -> Attack:
    said = m.chance.choice((b"text/plain", b"application/jsonx", b"\xff\xfe", b"", None, b"APPLICATION/XML" * 5_000))
    return m.raw(encode_command_json(m.command()), headers=((b"content-type", said),))


@kind("a header whose name is no UTF-8", weight=0.5)
def _(m: Maker) -> Attack:
    """None of such a record's headers can be read: not that it is JSON either."""
    headers = (*JSON, (b"\xff\xfe", b"x"))
    stop = c.StopExecution(execution_id=m.stranger)
    if m.chance.random() < 0.5:
        return m.raw(encode_command_json(stop), headers=headers, by="wire")
    return m.raw(encode_command(stop), headers=headers, by="wire", fates=rejected("UnknownExecution"))


@kind("a time long past")
def _(m: Maker) -> Attack:
    return m.sent(c.StopExecution(execution_id=m.stranger), rejected("UnknownExecution"), timestamp=1)


@kind("a time to come", weight=0.1)
def _(m: Maker) -> Attack:
    later = int(time.time() * 1_000) + m.chance.choice((2, 400_000)) * DAY_MS
    return m.sent(c.StopExecution(execution_id=m.stranger), REFUSED, timestamp=later, by="large")


# ---- every type of command, its fields fuzzed

_TEXTS = ("", "\x00", "{}", "a" * 2_000, "\u202e", "😀" * 300, "null", "#", "stranger:1", "'; --", "${x}", "%s%n")


def _value(m: Maker) -> object:
    chance = m.chance
    made: tuple[Callable[[], object], ...] = (
        lambda: chance.choice(_TEXTS),
        lambda: chance.choice((0, -1, 2**31, 2**63, -(2**63) - 1, 1.5, 1e308, True, None)),
        lambda: [chance.choice(_TEXTS)] * chance.randint(0, 40),
        lambda: {chance.choice(_TEXTS): chance.choice((1, None, [], {}))},
    )
    return chance.choice(made)()


def _fuzzed_json(of: type[c.Command]) -> Callable[[Maker], Attack]:
    def make(m: Maker) -> Attack:
        command = m.command()
        while type(command) is not of:
            command = m.command()
        fields: dict[str, object] = json.loads(encode_command_json(command))
        names = [*(name for name in of.__struct_fields__ if name != "execution_id"), "unheard-of"]
        for name in m.chance.sample(names, m.chance.randint(1, 3)):
            fields[name] = _value(m)
        return m.json(fields, AT_STRANGERS)

    return make


def _fuzzed_avro(of: type[c.Command]) -> Callable[[Maker], Attack]:
    def make(m: Maker) -> Attack:
        command = m.command()
        while type(command) is not of:
            command = m.command()
        texts = [
            name for name in of.__struct_fields__ if isinstance(getattr(command, name), str) and name != "execution_id"
        ]
        texts += ["command_id", "issuer", "correlation_id", "reply_to"]
        fuzzed = {name: m.chance.choice(_TEXTS) for name in m.chance.sample(texts, m.chance.randint(1, 2))}
        return m.raw(encode_command(replace(command, **fuzzed)), fates=AT_STRANGERS)

    return make


for _of in c.COMMAND_TYPES:
    kind(f"{_of.__name__}, its JSON fuzzed")(_fuzzed_json(_of))
    kind(f"{_of.__name__}, its texts fuzzed", weight=0.5)(_fuzzed_avro(_of))
