"""docker-compose.yml says what it should, checked without a Docker engine."""

import re
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

REPOSITORY = Path(__file__).parents[1]
KAFKA = "kafka:kafka:9092"
ROLES = ("processor-0", "processor-1", "timers", "janitor", "worker")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    return loaded


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    validator = jsonschema.validators.validator_for(schema := get_builtin_schema("vendor.compose-spec"))(schema)
    assert [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(compose)] == []


def test_the_schema_it_is_checked_against_refuses_faults(compose: dict[str, Any]) -> None:
    """Otherwise the test above would say nothing."""
    services = compose["services"] | {"timers": compose["services"]["timers"] | {"comand": ["timers"]}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose | {"services": services}, get_builtin_schema("vendor.compose-spec"))


def test_its_services_run_every_role(compose: dict[str, Any]) -> None:
    commands = {name: " ".join(service.get("command", [])) for name, service in compose["services"].items()}
    assert commands == {
        "kafka": "",
        "topics": f"topics create --log {KAFKA}",
        "processor-0": f"processor --slot 0 --log {KAFKA}",
        "processor-1": f"processor --slot 1 --log {KAFKA}",
        "timers": f"timers --log {KAFKA}",
        "janitor": f"janitor --log {KAFKA}",
        "worker": f"worker examples.order.workers --log {KAFKA}",
    }


def test_every_lasting_service_has_a_health_check_and_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    waits = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in compose["services"].items()
    }
    kafka_is_up, topics_exist = {"kafka": "service_healthy"}, {"topics": "service_completed_successfully"}
    assert waits == {
        "kafka": {},
        "topics": kafka_is_up,
        **{role: kafka_is_up | topics_exist for role in ROLES},
    }
    checks = {name: service["healthcheck"].get("test") for name, service in compose["services"].items()}
    assert checks == {
        "kafka": ["CMD", "/opt/kafka/bin/kafka-broker-api-versions.sh", "--bootstrap-server", "localhost:9092"],
        "topics": None,
        **{role: ["CMD", "asl", "topics", "check", "--log", KAFKA] for role in ROLES},
    }


def exit_code_of_asl(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Run the console script with `--help` behind: options and commands are parsed, then help ends it."""
    (script,) = entry_points(group="console_scripts", name="asl")
    monkeypatch.setattr(sys, "argv", ["asl", *arguments, "--help"])
    try:
        returned: int | None = script.load()()
    except SystemExit as exited:
        assert exited.code is None or isinstance(exited.code, int), exited.code
        return exited.code or 0
    return returned or 0


cli = find_spec("processor.apps.cli")


@pytest.mark.skipif(cli is None or cli.origin is None, reason="the command line is not there yet")
def test_asl_accepts_every_command_line_in_it(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    services = compose["services"].values()
    commands = [service["command"] for service in services if "command" in service]
    checks = [service["healthcheck"]["test"] for service in services if "test" in service["healthcheck"]]
    commands += [test[2:] for test in checks if test[:2] == ["CMD", "asl"]]
    assert [command for command in commands if exit_code_of_asl(command, monkeypatch) != 0] == []
    # Otherwise the line above would say nothing.
    assert exit_code_of_asl(["processor", "--sloth", "0"], monkeypatch) == 2


def test_the_worker_in_it_is_the_example_that_is_mounted(compose: dict[str, Any]) -> None:
    module = compose["services"]["worker"]["command"][1]
    assert (REPOSITORY / f"{module.replace('.', '/')}.py").is_file()
    assert compose["services"]["worker"]["volumes"] == ["./examples:/app/examples:ro"]


def test_its_kafka_is_the_one_the_tests_run(compose: dict[str, Any]) -> None:
    pom = (REPOSITORY / "tests" / "broker" / "pom.xml").read_text()
    tested = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>(.+)</version>", pom)
    assert tested is not None
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{tested[1]}"


def test_the_image_is_built_with_the_uv_that_make_setup_uses() -> None:
    setup = re.search(r"^UV_VERSION=(.+)$", (REPOSITORY / "scripts" / "setup.sh").read_text(), re.MULTILINE)
    assert setup is not None
    assert f"uv=={setup[1]}\n" in (REPOSITORY / "Dockerfile").read_text()
