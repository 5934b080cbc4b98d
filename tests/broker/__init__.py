"""A real Apache Kafka for tests, the demo and the benchmarks.

Here: `find_kafka`, which takes the first Kafka that can be had (a running one, a Docker engine, Java), and
`start_kafka`, which starts one on this machine. The pytest fixture over them is in `tests/conftest.py`;
`python -m tests.broker` starts one by hand.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

from tests.broker.find import find_kafka
from tests.broker.jars import NoKafka
from tests.broker.local import Broker, KafkaDidNotStart, start_kafka

__all__ = ["Broker", "KafkaDidNotStart", "NoKafka", "OrSkipped", "find_kafka", "start_kafka"]

OrSkipped: TypeAlias = Callable[[], AbstractContextManager[None]]
"""The fixture `or_skipped`."""
