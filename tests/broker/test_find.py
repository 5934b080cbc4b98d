"""Which Kafka is found, and what is said where there is none."""

from pathlib import Path

import pytest

from tests.broker import NoKafka, find, find_kafka, jars


def test_a_running_kafka_named_by_the_environment_comes_first() -> None:
    with find_kafka(environment={"KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092"}) as broker:
        assert (broker.bootstrap_servers, broker.pids) == ("kafka.example:9092", ())


def test_without_any_kafka_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(find, "docker_answers", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(NoKafka) as missing, find_kafka(environment={}):
        pytest.fail("there is no Kafka to be found")
    assert str(missing.value) == (
        "no Kafka to test with: KAFKA_BOOTSTRAP_SERVERS is not set, no Docker engine answers, "
        "no java on PATH (needs 17 or newer) (make setup installs Java and Maven where it may)"
    )


def test_an_older_java_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.22\" 2024-01-16' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(NoKafka, match=r"java is older than 17$"):
        jars.find_java()
