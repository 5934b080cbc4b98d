"""Which member of a group has which partition: balanced, sticky, the same for every member that computes it.

No coordinator: each member looks at the members and owners as they stand and takes its own next step, inside one
transaction of the store. A partition changes hands in two steps, given up by its owner, then taken by the other, so it
never has two owners; an owner that died is passed over because it is no member any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct


class Owner(Struct, frozen=True):
    """A member, and which of its incarnations: a restarted process has the same name, another incarnation."""

    member: str
    incarnation: str


class Step(Struct, frozen=True, kw_only=True):
    """What a member gives up and what it takes now."""

    released: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()


def next_step(members: Mapping[str, str], owners: Mapping[int, Owner], *, me: str, partitions: int) -> Step:
    """Return the next step of member `me`; `members` maps the names of the living to their incarnations.

    A partition owned by an earlier incarnation of `me` is taken at once: that one can be no more than a zombie, which
    the new epoch fences.
    """
    mine = Owner(me, members[me])
    target = balance(members, {p: owner.member for p, owner in owners.items()}, partitions=partitions)
    released = tuple(sorted(p for p, owner in owners.items() if owner == mine and target[p] != me))
    taken = tuple(p for p, member in target.items() if member == me and _free(owners.get(p), members, mine))
    return Step(released=released, taken=taken)


def _free(owner: Owner | None, members: Mapping[str, str], mine: Owner) -> bool:
    if owner is None or owner.member not in members:
        return True
    return owner.member == mine.member and owner.incarnation != mine.incarnation


def balance(members: Iterable[str], held: Mapping[int, str], *, partitions: int) -> dict[int, str]:
    """Return partition → member, counts differing by one at most, and as little moved as that allows.

    Whoever holds most keeps the odd one; of equals, the first by slot.
    """
    order = sorted(members, key=slot_order)
    holds = {member: [p for p in sorted(held) if held[p] == member and p < partitions] for member in order}
    quota, odd = divmod(partitions, len(order))
    by_holding = sorted(order, key=lambda member: -len(holds[member]))
    room = {member: quota + (place < odd) for place, member in enumerate(by_holding)}
    target: dict[int, str] = {}
    for member in order:
        for partition in holds[member][: room[member]]:
            target[partition] = member
    spare = iter([member for member in order for _ in range(room[member] - len(holds[member]))])
    for partition in range(partitions):
        if partition not in target:
            target[partition] = next(spare)
    return dict(sorted(target.items()))


def slot_order(slot: str) -> tuple[int, int, str]:
    """Numbers by value, before words: slot 2 comes before slot 10."""
    return (0, int(slot), slot) if slot.isdecimal() else (1, 0, slot)
