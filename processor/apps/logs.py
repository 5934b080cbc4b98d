"""Opens the log that an address names: `sqlite:PATH` or `kafka:HOST:PORT[,…]`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias

from processor.adapters.clock import SystemClock
from processor.apps.settings import Settings
from processor.engine.encoding import choose_write_format
from processor.engine.ports import Log
from processor.engine.topics import DEFAULT_PARTITIONS
from processor.engine.topics_setup import create_topics
from processor.errors import LogUnavailable

Missing: TypeAlias = Literal["MAKE", "MAKE_FILE", "REFUSE"]
"""What to do about a SQLite file that is not there: make it with its topics; without them; or say so, for who only
reads must not make what a mistyped path names."""

EMBEDDED_PARTITIONS: Final = 4
"""Of a SQLite log, by default: as many processors can share the work of one machine."""


def default_partitions(settings: Settings) -> int:
    return DEFAULT_PARTITIONS if is_kafka(settings) else EMBEDDED_PARTITIONS


def is_kafka(settings: Settings) -> bool:
    return settings.required_log().startswith("kafka:")


def open_log(settings: Settings, *, missing: Missing = "MAKE") -> Log:
    """Return the log that the settings name. A SQLite log has its topics from the first writing on; a Kafka's are made
    by `asl topics create`. From then on this process writes in the format that the settings name.

    Raises InvalidSettings where no log is set, or a format that this release does not write, LogUnavailable where the
    log cannot be reached, TopicsUnfit where a SQLite log was made with other settings.
    """
    place = settings.required_log().partition(":")[2]
    choose_write_format(settings.write_format)
    if is_kafka(settings):
        # Imported here: librdkafka takes longer to load than all the rest, and only Kafka's users need it.
        from processor.adapters.kafka import KafkaLog

        properties = dict(settings.kafka)
        if settings.replication_factor is not None:
            properties["replication.factor"] = str(settings.replication_factor)
        return KafkaLog(place, names=settings.names, properties=properties)
    return _open_sqlite(Path(place), settings, missing)


def _open_sqlite(path: Path, settings: Settings, missing: Missing) -> Log:
    from processor.adapters.sqlite import SqliteLog

    if missing == "REFUSE" and not path.exists():
        reason = "there is no such file; asl topics create or asl deploy makes it"
        raise LogUnavailable(address=f"sqlite:{path}", reason=reason)
    log = SqliteLog(path, names=settings.names, clock=SystemClock())
    if missing == "MAKE":
        _make_topics(log, settings)
    return log


def _make_topics(log: Log, settings: Settings) -> None:
    reader = log.reader()
    try:
        known = reader.partitions(settings.names.definitions) is not None
    finally:
        reader.close()
    if not known:
        partitions = settings.partitions or EMBEDDED_PARTITIONS
        create_topics(
            log, partitions=partitions, task_partitions=settings.task_partitions, retention=settings.retention
        )
