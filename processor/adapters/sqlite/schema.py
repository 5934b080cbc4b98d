"""The tables. `PRAGMA user_version` is the format's version; another one is refused, never guessed at."""

from __future__ import annotations

VERSION = 1
APPLICATION_ID = 0x61736C31  # "asl1": told from other applications' files

# Who had a partition last, and how many of its owners had died by then without progress; `member` and `incarnation`
# NULL where that one stopped as it should. Not in the first files of this version, where it is added.
AUTHORS = """CREATE TABLE IF NOT EXISTS authors (
    grp         INTEGER NOT NULL,
    partition   INTEGER NOT NULL,
    process     TEXT NOT NULL,  -- a random id of the operating system's process
    member      TEXT,
    incarnation TEXT,
    attempts    INTEGER NOT NULL,
    PRIMARY KEY (grp, partition)
) WITHOUT ROWID"""

TABLES = (
    AUTHORS,
    """CREATE TABLE topics (
        id         INTEGER PRIMARY KEY,
        name       TEXT NOT NULL UNIQUE,
        partitions INTEGER NOT NULL,
        config     TEXT NOT NULL  -- a JSON object
    )""",
    # The next offset outlives the records: compaction and age may take the last one.
    """CREATE TABLE ends (
        topic     INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        next      INTEGER NOT NULL,
        PRIMARY KEY (topic, partition)
    ) WITHOUT ROWID""",
    """CREATE TABLE records (
        topic     INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        offset    INTEGER NOT NULL,
        key       BLOB,
        value     BLOB,
        headers   BLOB,              -- MessagePack, NULL where there are none
        time      INTEGER NOT NULL,  -- milliseconds UTC
        compacted INTEGER NOT NULL,  -- 1 where only the last record of a key is kept
        PRIMARY KEY (topic, partition, offset)
    ) WITHOUT ROWID""",
    "CREATE INDEX latest ON records (topic, partition, key) WHERE compacted = 1",
    "CREATE INDEX tombstones ON records (time) WHERE compacted = 1 AND value IS NULL",
    # `version` grows with every change of members or owners: a member that sees the old number need not look further.
    """CREATE TABLE groups (
        id      INTEGER PRIMARY KEY,
        name    TEXT NOT NULL,
        topic   TEXT NOT NULL,
        version INTEGER NOT NULL,
        UNIQUE (name, topic)
    )""",
    # `expires` and `lease` in seconds of the machine's monotonic clock.
    """CREATE TABLE members (
        grp         INTEGER NOT NULL,
        name        TEXT NOT NULL,
        incarnation TEXT NOT NULL,
        expires     REAL NOT NULL,
        lease       REAL NOT NULL,
        PRIMARY KEY (grp, name)
    ) WITHOUT ROWID""",
    # A partition without an owner keeps its row, and its epoch.
    """CREATE TABLE owners (
        grp         INTEGER NOT NULL,
        partition   INTEGER NOT NULL,
        member      TEXT,
        incarnation TEXT,
        epoch       INTEGER NOT NULL,
        PRIMARY KEY (grp, partition)
    ) WITHOUT ROWID""",
    """CREATE TABLE offsets (
        grp       INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        offset    INTEGER NOT NULL,
        PRIMARY KEY (grp, partition)
    ) WITHOUT ROWID""",
)
