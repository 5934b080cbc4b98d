"""Which Kafka the integration tests talk to: the first of three that can be had."""

import contextlib
import gc
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.broker.jars import NoKafka
from tests.broker.local import Broker, start_kafka

IMAGE = "confluentinc/cp-kafka:8.1.0"


@contextlib.contextmanager
def find_kafka(
    *, environment: Mapping[str, str] = os.environ, keep_log: Callable[[], bool] = lambda: False
) -> Iterator[Broker]:
    """Yield a Kafka for as long as the context lasts. In this order:

    1. the one that KAFKA_BOOTSTRAP_SERVERS names, which is left as it is found;
    2. a container, where a Docker engine answers;
    3. a Java process; its log stays in the broker's `folder` when `keep_log()` says so at the end, or on failure.

    Raises NoKafka, which names what is missing for each.
    """
    if servers := environment.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield Broker(bootstrap_servers=servers, origin="KAFKA_BOOTSTRAP_SERVERS")
    elif docker_answers():
        with _run_container() as broker:
            yield broker
    else:
        with _run_in_temporary_folder(keep_log) as broker:
            yield broker


def docker_answers() -> bool:
    """Return whether a Docker engine answers, wherever DOCKER_HOST or the default socket leads."""
    import docker  # here, not above: 0.3 s that only this way costs
    from docker.errors import DockerException

    # The client leaves its socket open when nobody listens, and warnings are errors in the tests.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with contextlib.closing(docker.from_env(timeout=5)) as client:
                return bool(client.ping())
        except DockerException:
            return False
        finally:
            gc.collect()


@contextlib.contextmanager
def _run_container() -> Iterator[Broker]:
    from testcontainers.community.kafka import KafkaContainer

    container = KafkaContainer(IMAGE).with_kraft()
    # One broker cannot hold the three replicas that transactions ask for by default.
    container.with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
    container.with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
    container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    with container:
        yield Broker(bootstrap_servers=container.get_bootstrap_server(), origin=f"Docker, {IMAGE}")


@contextlib.contextmanager
def _run_in_temporary_folder(keep_log: Callable[[], bool]) -> Iterator[Broker]:
    folder = Path(tempfile.mkdtemp(prefix="kafka-"))
    keep = True
    try:
        with start_kafka(folder) as broker:
            yield broker
            keep = keep_log()
    except NoKafka as missing:
        keep = False
        raise NoKafka(
            f"no Kafka to test with: KAFKA_BOOTSTRAP_SERVERS is not set, no Docker engine answers, {missing} "
            "(make setup installs Java and Maven where it may)"
        ) from None
    finally:
        if keep:
            for data in folder.glob("*/data"):
                shutil.rmtree(data, ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
