"""Settings come from the command line, the environment and a file, in this order of strength."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from processor.apps.settings import Settings, load_settings
from processor.errors import InvalidSettings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [n for n in os.environ if n.startswith("ASL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_anything_the_defaults_hold() -> None:
    assert load_settings().model_dump() == {
        "log": None,
        "prefix": "asl.",
        "slot": None,
        "workers": None,
        "health_host": "127.0.0.1",
        "health_port": None,
        "write_format": None,
        "partitions": None,
        "task_partitions": None,
        "replication_factor": None,
        "grace_seconds": 30.0,
        "retention": timedelta(days=30),
        "kafka": {},
    }


def test_an_option_is_stronger_than_the_environment_and_that_than_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "asl.toml").write_text('log = "sqlite:file.db"\nslot = "file"\nprefix = "file."\n')
    monkeypatch.setenv("ASL_SLOT", "environment")
    monkeypatch.setenv("ASL_LOG", "sqlite:environment.db")
    settings = load_settings(log="sqlite:option.db")
    assert (settings.log, settings.slot, settings.prefix) == ("sqlite:option.db", "environment", "file.")


def test_properties_of_librdkafka_pass_through_from_file_and_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "other.toml").write_text(
        '[kafka]\nsecurity.protocol = "SSL"\n"sasl.username" = "file"\nsocket.nagle.disable = true\nlinger.ms = 5\n'
    )
    monkeypatch.setenv("ASL_KAFKA_SASL_USERNAME", "environment")
    monkeypatch.setenv("ASL_KAFKA__SASL__PASSWORD", "secret")
    assert load_settings(file=tmp_path / "other.toml").kafka == {
        "security.protocol": "SSL",
        "sasl.username": "environment",
        "sasl.password": "secret",
        "socket.nagle.disable": "true",
        "linger.ms": "5",
    }


def test_a_missing_log_is_named_with_an_example() -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings().required_log()
    assert str(refused.value) == (
        "log: is not set, for example --log sqlite:orders.db, or ASL_LOG=kafka:localhost:9092"
    )


@pytest.mark.parametrize("address", ["redis:localhost", "sqlite:", "kafka:broker", "kafka:broker:9092,other"])
def test_what_is_no_address_is_refused_with_what_is_one(address: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(log=address)
    assert refused.value.rule == f"must be sqlite:PATH or kafka:HOST:PORT[,HOST:PORT…], got {address!r}"


@pytest.mark.parametrize("address", ["sqlite:a b/log.db", "kafka:broker:9092", "kafka:one:9092,[::1]:9093"])
def test_an_address_is_taken_as_it_is(address: str) -> None:
    assert load_settings(log=address).required_log() == address


@pytest.mark.parametrize(
    ("text", "kept"), [("90s", timedelta(seconds=90)), ("12h", timedelta(hours=12)), ("0d", timedelta(0))]
)
def test_a_retention_is_a_number_and_its_unit(text: str, kept: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASL_RETENTION", text)
    assert load_settings().retention == kept


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "1 d", "P30D"])
def test_what_is_no_retention_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(retention=text)
    assert str(refused.value) == (
        f"retention: must be a whole number and s, m, h or d for its unit, got {text!r}, for example ASL_RETENTION=30d"
    )


def test_an_unknown_setting_in_the_file_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "asl.toml").write_text("topic_prefix = 'x.'\n")
    with pytest.raises(InvalidSettings, match=r"^topic_prefix: is no setting; these are: log, prefix, slot"):
        load_settings()


def test_a_settings_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"absent\.toml: cannot be read"):
        load_settings(file=tmp_path / "absent.toml")


def test_settings_do_not_change_once_read() -> None:
    settings = load_settings(prefix="team.")
    assert settings.names.commands == "team.commands"
    with pytest.raises(ValueError, match="frozen"):
        settings.prefix = "other."  # type: ignore[misc] # that it is refused is the point


def test_the_settings_class_is_the_one_table_of_settings() -> None:
    assert [name for name in Settings.model_fields if name != "kafka"] == [
        "log", "prefix", "slot", "workers", "health_host", "health_port",
        "write_format", "partitions", "task_partitions", "replication_factor", "grace_seconds", "retention",
    ]  # fmt: skip


def test_workers_have_the_slots_from_zero_or_those_within_the_slot_that_was_given() -> None:
    alone, several, within = load_settings(), load_settings(workers=3), load_settings(workers=2, slot="pod-1")
    assert [one.slots for one in (alone, several, within)] == [(), ("0", "1", "2"), ("pod-1-0", "pod-1-1")]
    assert [one.own_slot for one in (alone, within)] == ["0", "pod-1"]


@pytest.mark.parametrize(("setting", "value"), [("workers", 0), ("health_port", 65_536), ("health_host", "")])
def test_what_cannot_be_run_or_listened_on_is_refused(setting: str, value: object) -> None:
    with pytest.raises(InvalidSettings, match=setting):
        load_settings(file=None, **{setting: value})
