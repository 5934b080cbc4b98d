"""Opens the log that an address names: `sqlite:PATH` or `kafka:HOST:PORT[,…]`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from processor.adapters.clock import SystemClock
from processor.apps.settings import Settings
from processor.engine.ports import Log
from processor.engine.topics_setup import create_topics

EMBEDDED_PARTITIONS: Final = 4
"""Of a SQLite log, by default: as many processors can share the work of one machine."""


def open_log(settings: Settings) -> Log:
    """Return the log that the settings name. A SQLite log has its topics from its first use on; a Kafka's are made by
    `asl topics create`.

    Raises InvalidSettings where no log is set, LogUnavailable where it cannot be reached, TopicsUnfit where a SQLite
    log was made with other settings.
    """
    kind, _, place = settings.required_log().partition(":")
    if kind == "kafka":
        # Imported here: librdkafka takes longer to load than all the rest, and only Kafka's users need it.
        from processor.adapters.kafka import KafkaLog

        properties = dict(settings.kafka)
        if settings.replication_factor is not None:
            properties["replication.factor"] = str(settings.replication_factor)
        return KafkaLog(place, names=settings.names, properties=properties)
    return open_sqlite(Path(place), settings)


def open_sqlite(path: Path, settings: Settings) -> Log:
    """Return the log in the file `path`, made with its topics where it is not there yet."""
    from processor.adapters.sqlite import SqliteLog

    log = SqliteLog(path, names=settings.names, clock=SystemClock())
    reader = log.reader()
    try:
        known = reader.partitions(settings.names.definitions) is not None
    finally:
        reader.close()
    if not known:
        partitions = settings.partitions or EMBEDDED_PARTITIONS
        create_topics(log, partitions=partitions, task_partitions=settings.task_partitions)
    return log
