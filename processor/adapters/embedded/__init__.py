"""The embedded log: the engine's ports over a small store, memory or one SQLite file.

    store.py    what a store must do: append atomically, fetch, keep groups
    groups.py   which member of a group has which partition: pure
    inbox.py    Inbox    feed.py    Feed    log.py    Outbox, Reader, Log

The stores are `processor.adapters.memory` and `processor.adapters.sqlite`.
"""
