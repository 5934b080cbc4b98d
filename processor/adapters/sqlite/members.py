"""Groups in SQLite: members with leases, partitions with owners and epochs. Each function is part of a transaction.

A lease is acted on by others only: an expired member that nobody has thrown out yet is still the owner, and may write;
one that was thrown out owns nothing, whatever it believes. So a stopped process that wakes is fenced by what stands in
the table, not by anybody's clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from msgspec import Struct

from processor.adapters.embedded.groups import Owner, next_step
from processor.adapters.embedded.store import Change, Group, Member
from processor.errors import SlotTaken


class Lease(Struct, frozen=True):
    """`now`: the machine's monotonic clock, the same in all processes; wall clocks are set back and forth."""

    now: float
    seconds: float

    @property
    def expires(self) -> float:
        return self.now + self.seconds


def group_id(db: sqlite3.Connection, group: Group) -> int:
    row = db.execute("SELECT id FROM groups WHERE name = ? AND topic = ?", (group.name, group.topic)).fetchone()
    if row is None:
        insert = "INSERT INTO groups (name, topic, version) VALUES (?, ?, 0) RETURNING id"
        row = db.execute(insert, (group.name, group.topic)).fetchone()
    return int(row[0])


def join(db: sqlite3.Connection, member: Member, lease: Lease) -> int:
    """Enter the member, in place of one with its name; return the group's id."""
    grp = group_id(db, member.group)
    expel_expired(db, now=lease.now)
    db.execute(
        "INSERT OR REPLACE INTO members (grp, name, incarnation, expires, lease) VALUES (?, ?, ?, ?, ?)",
        (grp, member.name, member.incarnation, lease.expires, lease.seconds),
    )
    _note_change(db, grp)
    return grp


def renew(db: sqlite3.Connection, grp: int, member: Member, lease: Lease) -> None:
    """Prolong the lease, unless the member was thrown out."""
    db.execute(
        "UPDATE members SET expires = ? WHERE grp = ? AND name = ? AND incarnation = ?",
        (lease.expires, grp, member.name, member.incarnation),
    )


def leave(db: sqlite3.Connection, grp: int, *, name: str, incarnation: str, orderly: bool = False) -> None:
    if orderly:
        cleared = (
            "UPDATE authors SET member = NULL, incarnation = NULL WHERE grp = ? AND member = ? AND incarnation = ?"
        )
        db.execute(cleared, (grp, name, incarnation))
    db.execute("DELETE FROM members WHERE grp = ? AND name = ? AND incarnation = ?", (grp, name, incarnation))
    _release(db, grp, "member = ? AND incarnation = ?", (name, incarnation))
    _note_change(db, grp)


def expel_expired(db: sqlite3.Connection, *, now: float) -> None:
    # A lease that began in the future is of an earlier boot: the monotonic clock starts anew with the machine.
    expired = db.execute(
        "SELECT grp, name, incarnation FROM members WHERE expires < ? OR expires - lease > ?", (now, now)
    ).fetchall()
    for grp, name, incarnation in expired:
        leave(db, grp, name=name, incarnation=incarnation)


def sync(  # what a member knows of itself, and what the store knows
    db: sqlite3.Connection,
    grp: int,
    member: Member,
    *,
    process: str,
    held: dict[int, int],
    partitions: int,
    lease: Lease,
) -> Change:
    """Take the member's next step; see `Store.sync`."""
    members = dict(db.execute("SELECT name, incarnation FROM members WHERE grp = ?", (grp,)).fetchall())
    if member.name not in members:
        join(db, member, lease)
        members[member.name] = member.incarnation
    elif members[member.name] != member.incarnation:
        raise SlotTaken(slot=member.name, reason="it joined later than this one")
    rows = db.execute("SELECT partition, member, incarnation, epoch FROM owners WHERE grp = ?", (grp,)).fetchall()
    owners = {partition: Owner(name, incarnation) for partition, name, incarnation, _ in rows if name is not None}
    epochs: dict[int, int] = {partition: epoch for partition, _, _, epoch in rows}
    mine = Owner(member.name, member.incarnation)
    lost = {p for p, epoch in held.items() if owners.get(p) != mine or epochs[p] != epoch}

    step = next_step(members, owners, me=member.name, partitions=partitions)
    for partition in step.released:
        _release(db, grp, "partition = ?", (partition,))
    taken = {partition: epochs.get(partition, 0) + 1 for partition in step.taken}
    db.executemany(
        "INSERT OR REPLACE INTO owners (grp, partition, member, incarnation, epoch) VALUES (?, ?, ?, ?, ?)",
        [(grp, partition, mine.member, mine.incarnation, epoch) for partition, epoch in taken.items()],
    )
    attempts = {partition: _inherited(db, grp, partition, process, members) for partition in taken}
    db.executemany(
        "INSERT OR REPLACE INTO authors (grp, partition, process, member, incarnation, attempts)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(grp, partition, process, mine.member, mine.incarnation, count) for partition, count in attempts.items()],
    )
    if step.released or step.taken:
        _note_change(db, grp)
    return Change(lost=tuple(sorted(lost.union(step.released))), taken=taken, attempts=attempts)


def note_attempts(db: sqlite3.Connection, grp: int, attempts: Mapping[int, int]) -> None:
    """Write down what the next owner of each partition is to be told."""
    rows = [(count, grp, partition) for partition, count in attempts.items()]
    db.executemany("UPDATE authors SET attempts = ? WHERE grp = ? AND partition = ?", rows)


def _inherited(db: sqlite3.Connection, grp: int, partition: int, process: str, members: Mapping[str, str]) -> int:
    """Return how many owners have died since the partition's last progress, the last one among them where it did not
    stop, is no member any more, and was another process (docs/decisions/0017)."""
    found = db.execute(
        "SELECT process, member, incarnation, attempts FROM authors WHERE grp = ? AND partition = ?", (grp, partition)
    ).fetchone()
    if found is None:
        return 0
    author, name, incarnation, attempts = found
    died = name is not None and author != process and members.get(name) != incarnation
    return int(attempts) + died


def owned(db: sqlite3.Connection, grp: int, member: Member) -> dict[int, int]:
    """Return partition → epoch of what the member owns; nothing once its slot was taken by another."""
    rows = db.execute(
        "SELECT o.partition, o.epoch FROM members m"
        " JOIN owners o ON o.grp = m.grp AND o.member = m.name AND o.incarnation = m.incarnation"
        " WHERE m.grp = ? AND m.name = ? AND m.incarnation = ?",
        (grp, member.name, member.incarnation),
    ).fetchall()
    return dict(rows)


def _release(db: sqlite3.Connection, grp: int, which: str, parameters: tuple[str | int, ...]) -> None:
    db.execute(f"UPDATE owners SET member = NULL, incarnation = NULL WHERE grp = ? AND {which}", (grp, *parameters))


def _note_change(db: sqlite3.Connection, grp: int) -> None:
    db.execute("UPDATE groups SET version = version + 1 WHERE id = ?", (grp,))
