"""The log in one SQLite file: several processes on one machine, durable, killable at any instruction.

    log.py         SqliteLog, what users of this package take
    connection.py  opening the file, transactions, SQLite's errors as ours
    schema.py      the tables, in SQL
    store.py       records and news of them        members.py    groups, leases, fencing
    heart.py       the thread that renews leases and throws out what is too old

What a process does under the file's write lock takes well under a millisecond; but a process that is stopped (SIGSTOP)
just then keeps the lock, and all others wait until it goes on or is killed. Nothing is lost or doubled by that.
"""

from processor.adapters.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
