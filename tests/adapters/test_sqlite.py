"""What only the SQLite log does: compaction, age, leases, unusable files. The rest is in tests/contracts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from processor.adapters.clock import ManualClock
from processor.adapters.embedded.inbox import EmbeddedInbox
from processor.adapters.sqlite import SqliteLog
from processor.adapters.sqlite.connection import Connection
from processor.adapters.sqlite.heart import clean
from processor.engine.ports import AllRestored, Message, PartitionTaken, Transaction
from processor.engine.topics import TopicSpec, topic_specs
from processor.errors import InvalidCommand, LogUnavailable, TopicsUnfit
from tests.contracts.harness import PARTITIONS, Party, contents, send


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path, clock: ManualClock) -> Iterator[SqliteLog]:
    log = SqliteLog(path, clock=clock, busy_seconds=0.05)
    log.create_topics(topic_specs(log.names, partitions=PARTITIONS))
    yield log
    log.close()


def task(log: SqliteLog, key: bytes | None, value: bytes | None) -> Message:
    return Message(topic=log.names.tasks, key=key, value=value, partition=0)


def tidy(path: Path, clock: ManualClock) -> None:
    with closing(Connection(path, patience_seconds=1)) as connection:
        clean(connection, now=clock.now())


# ---- compaction and age


def test_a_compacted_topic_keeps_the_last_record_of_each_key(log: SqliteLog) -> None:
    send(log, task(log, b"a", b"1"), task(log, b"b", b"1"), task(log, None, b"kept"), task(log, b"", b"1"))
    send(log, task(log, b"a", b"2"), task(log, None, b"kept too"))
    send(log, task(log, b"b", b"2"), task(log, b"b", None), task(log, b"c", b"1"))

    assert contents(log, log.names.tasks, 0) == [
        (None, b"kept"),
        (b"", b"1"),
        (b"a", b"2"),
        (None, b"kept too"),
        (b"b", None),
        (b"c", b"1"),
    ]


def test_the_same_key_stays_in_other_partitions_and_in_topics_that_are_not_compacted(log: SqliteLog) -> None:
    names = log.names
    for _ in range(2):
        send(
            log,
            Message(topic=names.tasks, key=b"a", value=b"v", partition=0),
            Message(topic=names.tasks, key=b"a", value=b"v", partition=1),
            Message(topic=names.events, key=b"a", value=b"v", partition=0),
            Message(topic=names.commands, key=b"a", value=b"v", partition=0),
        )

    kept = {
        (topic, p): contents(log, topic, p) for topic in (names.tasks, names.events, names.commands) for p in (0, 1)
    }
    assert kept == {
        (names.tasks, 0): [(b"a", b"v")],
        (names.tasks, 1): [(b"a", b"v")],
        (names.events, 0): [(b"a", b"v")],
        (names.events, 1): [],
        (names.commands, 0): [(b"a", b"v"), (b"a", b"v")],
        (names.commands, 1): [],
    }


def test_what_is_purged_of_the_events_is_gone_at_once_and_its_tombstone_after_a_day(
    log: SqliteLog, path: Path, clock: ManualClock
) -> None:
    def message(key: bytes, value: bytes | None) -> Message:
        return Message(topic=log.names.events, key=key, value=value, partition=0)

    send(log, message(b"m:1#0", b"v"), message(b"m:2#0", b"v"), message(b"m:1#3", b"v"))
    send(log, message(b"m:1#0", None), message(b"m:1#1", None), message(b"m:1#3", None))
    assert contents(log, log.names.events, 0)[0] == (b"m:2#0", b"v")
    assert [key for key, value in contents(log, log.names.events, 0) if value is not None] == [b"m:2#0"]
    clock.advance(timedelta(days=2))
    tidy(path, clock)

    assert contents(log, log.names.events, 0) == [(b"m:2#0", b"v")]


def test_a_tombstone_goes_after_a_day_and_offsets_go_on_all_the_same(
    log: SqliteLog, path: Path, clock: ManualClock
) -> None:
    send(log, task(log, b"a", b"1"), task(log, b"b", b"1"), task(log, b"b", None))

    clock.advance(timedelta(hours=24))
    tidy(path, clock)
    assert contents(log, log.names.tasks, 0) == [(b"a", b"1"), (b"b", None)]

    clock.advance(timedelta(seconds=1))
    tidy(path, clock)
    assert contents(log, log.names.tasks, 0) == [(b"a", b"1")]

    send(log, task(log, b"c", b"1"))
    reader = log.reader()
    assert [record.offset for record in reader.read(log.names.tasks, 0)] == [0, 3]
    reader.close()


def test_a_reader_of_a_partition_compacted_to_nothing_is_at_its_end(
    log: SqliteLog, path: Path, clock: ManualClock
) -> None:
    send(log, task(log, b"a", b"1"), task(log, b"a", None))
    clock.advance(timedelta(days=2))
    tidy(path, clock)

    feed = log.feed(log.names.tasks, group="workers", from_beginning=True)
    caught_up = [type(delivery).__name__ for delivery in feed.poll(timeout_seconds=0)]
    feed.close()

    assert caught_up == ["PartitionTaken"] * PARTITIONS + ["CaughtUp"] * PARTITIONS


def test_commands_go_after_their_topics_retention_events_stay(log: SqliteLog, path: Path, clock: ManualClock) -> None:
    def message(topic: str, key: bytes) -> Message:
        return Message(topic=topic, key=key, value=b"v", partition=0)

    send(log, message(log.names.commands, b"old"), message(log.names.events, b"old"))
    clock.advance(timedelta(days=29))
    send(log, message(log.names.commands, b"new"))
    clock.advance(timedelta(days=2))
    tidy(path, clock)

    assert contents(log, log.names.commands, 0) == [(b"new", b"v")]
    assert contents(log, log.names.events, 0) == [(b"old", b"v")]


def test_a_topic_without_settings_keeps_everything(log: SqliteLog, path: Path, clock: ManualClock) -> None:
    log.create_topics([TopicSpec(name="plain", partitions=1, config={})])
    send(log, Message(topic="plain", key=b"k", value=None), Message(topic="plain", key=b"k", value=None))
    clock.advance(timedelta(days=9_000))
    tidy(path, clock)

    assert contents(log, "plain", 0) == [(b"k", None), (b"k", None)]


# ---- leases


def test_a_lease_of_an_earlier_boot_does_not_outlive_it(log: SqliteLog, path: Path) -> None:
    before = Party(log.inbox(slot="0"))
    before.poll()
    before.poll()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE members SET expires = expires + 1e9")  # the monotonic clock stood higher then

    after = Party(log.inbox(slot="1"))
    after.poll()
    after.poll()

    assert after.opened == set(range(PARTITIONS))
    before.inbox.close()
    after.inbox.close()


# ---- a file that cannot be written, or used at all


def test_a_transaction_is_refused_while_another_process_keeps_the_file_locked(log: SqliteLog, path: Path) -> None:
    party = Party(log.inbox(slot="0"))
    party.poll()
    party.poll()
    event = Message(topic=log.names.events, key=b"k", value=b"v", partition=0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not party.commit({0: 0}, event)
        with pytest.raises(LogUnavailable, match="write lock"):
            send(log, event)
        other.execute("ROLLBACK")

    assert party.commit({0: 0}, event)
    assert contents(log, log.names.events, 0) == [(b"k", b"v")]
    party.inbox.close()


def test_a_transaction_with_a_topic_or_a_partition_that_is_not_there_writes_nothing(log: SqliteLog) -> None:
    party = Party(log.inbox(slot="0"))
    party.poll()
    party.poll()
    event = Message(topic=log.names.events, key=b"k", value=b"v", partition=0)

    with pytest.raises(TopicsUnfit, match="absent: does not exist"):
        party.commit({0: 1}, event, Message(topic="absent", key=b"k", value=b"v"))
    with pytest.raises(TopicsUnfit, match="has no partition 99"):
        party.commit({0: 1}, event, Message(topic=log.names.events, key=b"k", value=b"v", partition=99))

    assert contents(log, log.names.events, 0) == []
    party.inbox.close()


def test_a_transaction_without_offsets_is_refused(log: SqliteLog) -> None:
    party = Party(log.inbox(slot="0"))
    party.poll()
    party.poll()
    event = Message(topic=log.names.events, key=b"k", value=b"v", partition=0)

    assert not party.inbox.commit(Transaction(offsets={}, messages=(event,)))

    assert contents(log, log.names.events, 0) == []
    party.inbox.close()


def test_a_record_larger_than_kafka_would_take_is_refused_with_its_size(log: SqliteLog) -> None:
    inbox = log.inbox(slot="0")
    large = Message(topic=log.names.commands, key=b"k", value=bytes(inbox.max_record_bytes), partition=0)
    inbox.close()

    with pytest.raises(InvalidCommand, match=f"got {inbox.max_record_bytes + 1}"):
        send(log, large)


def test_a_feed_of_a_topic_that_is_not_there_names_it(log: SqliteLog) -> None:
    with pytest.raises(TopicsUnfit, match="absent: does not exist"):
        log.feed("absent", group="g", from_beginning=False)


def test_an_inbox_of_topics_with_different_counts_names_them(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "uneven.db")
    names = log.names
    log.create_topics([TopicSpec(name=names.timers, partitions=3, config={})])
    log.create_topics(topic_specs(names, partitions=2))

    with pytest.raises(TopicsUnfit, match=f"{names.timers}: has 3 partitions"):
        log.inbox(slot="0")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LogUnavailable, match=f"sqlite:{tmp_path / 'file' / 'log.db'}"):
        SqliteLog(tmp_path / "file" / "log.db")


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match=f"sqlite:{tmp_path}: unable to open"):
        SqliteLog(tmp_path)


def test_a_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    path.write_text("something else " * 1_000)

    with pytest.raises(LogUnavailable, match="not a database"):
        SqliteLog(path)

    assert path.read_text() == "something else " * 1_000


def test_another_applications_database_gets_no_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE theirs (x)")

    with pytest.raises(LogUnavailable, match="another application"):
        SqliteLog(path)

    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_file_of_another_format_is_refused_by_number(path: Path) -> None:
    SqliteLog(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 2")

    with pytest.raises(LogUnavailable, match="format 2, this release reads format 1"):
        SqliteLog(path)


# ---- deaths of owners


@pytest.fixture
def owner(path: Path) -> Iterator[Callable[[str], SqliteLog]]:
    """Opens the log as another process does."""
    with ExitStack() as opened:

        def open_as(process: str) -> SqliteLog:
            return opened.enter_context(closing(SqliteLog(path, lease_seconds=600, process=process)))

        yield open_as


def attempts(log: SqliteLog, slot: str) -> tuple[EmbeddedInbox, int]:
    """Take partition 0 in the slot, open it, and return what was told of its owners' deaths."""
    inbox = log.inbox(slot=slot)
    told: dict[int, int] = {}
    assignments: dict[int, int] = {}
    while 0 not in told:
        for delivery in inbox.poll(timeout_seconds=0, max_commands=0):
            match delivery:
                case PartitionTaken(partition=partition, assignment=assignment):
                    assignments[partition] = assignment
                case AllRestored(partition=partition, of="snapshots"):
                    inbox.restore_events(partition=partition, assignment=assignments[partition], start=0)
                case AllRestored(partition=partition, of="events", attempts=count):
                    told[partition] = count
                    inbox.open(partition=partition, assignment=assignments[partition], fallback_offset=0)
    return inbox, told[0]


def test_each_owner_that_is_gone_without_a_stop_is_a_death_until_there_is_progress(
    log: SqliteLog, owner: Callable[[str], SqliteLog]
) -> None:
    first, second, third, fourth = map(owner, "1234")
    assert attempts(first, "0")[1] == 0
    assert attempts(second, "0")[1] == 1
    third_inbox, told = attempts(third, "0")
    assert told == 2
    assert third_inbox.commit(Transaction(offsets={0: 0}, messages=(), attempts={0: 2}))  # a checkpoint
    fourth_inbox, told = attempts(fourth, "0")
    assert told == 3
    assert fourth_inbox.commit(Transaction(offsets={0: 1}, messages=()))
    assert attempts(first, "0")[1] == 1


def test_an_owner_that_was_thrown_out_has_died_and_one_that_stopped_has_not(
    log: SqliteLog, owner: Callable[[str], SqliteLog]
) -> None:
    first, second, third = map(owner, "123")
    thrown_out, _ = attempts(first, "0")
    first.expire(thrown_out)
    stopped, told = attempts(second, "1")
    assert told == 1
    stopped.leave()
    stopped.close()
    fallen, told = attempts(third, "2")
    assert told == 1
    fallen.close()  # without a stop: it met what it could not go on from
    assert attempts(first, "3")[1] == 2


def test_a_process_that_opens_its_log_again_has_not_died(log: SqliteLog, owner: Callable[[str], SqliteLog]) -> None:
    first, again = map(owner, "11")
    attempts(first, "0")
    assert attempts(again, "0")[1] == 0


def test_a_file_from_before_deaths_were_counted_counts_them_from_now_on(
    log: SqliteLog, path: Path, owner: Callable[[str], SqliteLog]
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE authors")
    first, second = map(owner, "12")
    assert attempts(first, "0")[1] == 0
    assert attempts(second, "0")[1] == 1
