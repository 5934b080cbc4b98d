"""The chart renders to what Kubernetes accepts, and to commands and settings that the roles accept."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from processor.apps.cli.app import app
from processor.apps.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "asl-processor"
FULL = Path(__file__).parent / "full.yaml"
VALUES: Mapping[str, tuple[str, ...]] = {"default": (), "full": ("--values", str(FULL))}
OLDEST = "1.27"
KUBERNETES = ("--kube-version", OLDEST)
"""Built from its module, helm takes 1.20 for what it talks to."""
OF_OTHERS = {"ScaledObject": "keda.sh/v1alpha1", "PodMonitor": "monitoring.coreos.com/v1"} | {
    "PrometheusRule": "monitoring.coreos.com/v1"
}
"""Kinds that Kubernetes itself does not know."""


@pytest.fixture(scope="module")
def helm() -> str:
    found = shutil.which("helm", path=ROOT / ".cache" / "helm") or shutil.which("helm")
    if found is None:
        pytest.skip("no helm: `make chart` builds it where there is Go")
    return found


@cache
def rendered(helm: str, values: str) -> tuple[Mapping[str, Any], ...]:
    done = subprocess.run(
        [helm, "template", "prod", str(CHART), "--namespace", "engine", *KUBERNETES, *VALUES[values]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


def one(documents: Sequence[Mapping[str, Any]], kind: str, name: str) -> Mapping[str, Any]:
    (found,) = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def pods(documents: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [d for d in documents if d["kind"] in ("StatefulSet", "Deployment", "Job")]


def container(document: Mapping[str, Any]) -> Mapping[str, Any]:
    (found,) = document["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, Mapping)
    return found


@pytest.mark.parametrize("values", VALUES)
def test_helm_has_nothing_to_complain_about(helm: str, values: str) -> None:
    done = subprocess.run(
        [helm, "lint", "--strict", str(CHART), *KUBERNETES, *VALUES[values]],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "0 chart(s) failed" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_kubernetes_accepts_what_it_renders(helm: str, values: str, version: str) -> None:
    documents = rendered(helm, values)

    for document in documents:
        if document["kind"] in OF_OTHERS:
            assert document["apiVersion"] == OF_OTHERS[document["kind"]]
        else:
            kubernetes_validate.validate(document, version, strict=True)
    assert len({(d["kind"], d["metadata"]["name"]) for d in documents}) == len(documents)


def test_what_is_misspelt_in_a_document_is_seen() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": []}}
        kubernetes_validate.validate(service, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("values", VALUES)
def test_what_is_rendered(helm: str, values: str) -> None:
    found = sorted(
        (d["kind"], d["metadata"]["name"].removeprefix("prod-asl-processor")) for d in rendered(helm, values)
    )

    default = [
        ("ConfigMap", ""),
        ("Deployment", "-janitor"),
        ("Deployment", "-timers"),
        ("Job", "-topics-1"),
        ("PodDisruptionBudget", "-processor"),
        ("PodDisruptionBudget", "-timers"),
        ("Service", "-processor"),
        ("ServiceAccount", "" if values == "default" else "engine"),
        ("StatefulSet", "-processor"),
    ]
    more = [
        ("ConfigMap", "-dashboard"),
        ("Deployment", "-worker-mails"),
        ("Deployment", "-worker-orders"),
        ("NetworkPolicy", ""),
        ("PodDisruptionBudget", "-worker-orders"),
        ("PodMonitor", ""),
        ("PrometheusRule", ""),
        ("ScaledObject", "-worker-orders"),
    ]
    assert found == sorted(default + (more if values == "full" else []))


@pytest.mark.parametrize("values", VALUES)
def test_every_container_runs_a_command_that_there_is(helm: str, values: str) -> None:
    for document in pods(rendered(helm, values)):
        command, arguments = get_command(app), list(container(document)["args"])
        while hasattr(command, "commands"):
            command = command.commands[arguments.pop(0)]
        command.make_context("asl", arguments)  # raises for an option that there is not
    assert container(one(rendered(helm, "default"), "Deployment", "prod-asl-processor-janitor"))["args"] == [
        "janitor",
        "--json",
        "--retention=30d",
    ]


@pytest.mark.parametrize("values", VALUES)
def test_every_variable_is_a_setting_that_there_is(helm: str, values: str) -> None:
    names = {e["name"] for d in pods(rendered(helm, values)) for e in container(d)["env"] if e["name"] != "STRIPE_KEY"}

    assert {n.removeprefix("ASL_").lower() for n in names} - {"settings"} <= set(Settings.model_fields)


def test_the_settings_are_read_as_they_were_given(helm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASL_KAFKA_SASL_USERNAME", "engine")
    file = tmp_path / "asl.toml"
    file.write_text(one(rendered(helm, "full"), "ConfigMap", "prod-asl-processor")["data"]["asl.toml"])

    settings = load_settings(file=file)

    assert (settings.log, settings.prefix, settings.write_format, settings.kafka) == (
        "kafka:broker-1:9093,broker-2:9093",
        "prod.",
        1,
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "engine",
            "socket.keepalive.enable": "true",
            "ssl.ca.location": "/etc/asl-tls/ca.pem",
            "ssl.certificate.location": "/etc/asl-tls/tls.crt",
            "ssl.key.location": "/etc/asl-tls/tls.key",
        },
    )


def test_a_pod_of_the_processor_is_a_slot_that_survives_it(helm: str) -> None:
    processor = one(rendered(helm, "full"), "StatefulSet", "prod-asl-processor-processor")

    (slot,) = [e for e in container(processor)["env"] if e["name"] == "ASL_SLOT"]
    assert slot == {"name": "ASL_SLOT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert processor["spec"]["replicas"] == 6


def test_a_worker_is_scaled_by_the_lag_of_its_own_group(helm: str) -> None:
    documents = rendered(helm, "full")
    scaled = one(documents, "ScaledObject", "prod-asl-processor-worker-orders")["spec"]

    assert scaled == {
        "scaleTargetRef": {"name": "prod-asl-processor-worker-orders"},
        "minReplicaCount": 2,
        "maxReplicaCount": 48,
        "triggers": [
            {
                "type": "kafka",
                "metadata": {
                    "bootstrapServers": "broker-1:9093,broker-2:9093",
                    "topic": "prod.tasks",
                    "consumerGroup": "prod.worker.orders",
                    "lagThreshold": "50",
                    "offsetResetPolicy": "latest",
                },
                "authenticationRef": {"name": "kafka"},
            }
        ],
    }
    # Else the two would take turns at the number of replicas.
    assert "replicas" not in one(documents, "Deployment", "prod-asl-processor-worker-orders")["spec"]


def test_alerts_and_dashboard_are_those_of_the_chart(helm: str) -> None:
    documents = rendered(helm, "full")
    rules = one(documents, "PrometheusRule", "prod-asl-processor")["spec"]
    dashboard = one(documents, "ConfigMap", "prod-asl-processor-dashboard")["data"]["asl-processor.json"]

    assert rules == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert len(rules["groups"]) > 0
    assert json.loads(dashboard) == json.loads((CHART / "files" / "dashboard.json").read_text())


@pytest.mark.parametrize("values", VALUES)
def test_every_pod_has_its_resources_and_no_rights_it_does_not_need(helm: str, values: str) -> None:
    for document in pods(rendered(helm, values)):
        pod, inside = document["spec"]["template"]["spec"], container(document)
        rights = inside["securityContext"]
        assert inside["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in inside["resources"]["limits"]
        assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"]) == (False, True)
        assert rights == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("kafka.bootstrapServers=broker", "bootstrapServers"),
        ("processor.replica=3", "replica"),
        ("workers[0].name=orders", "module"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_name(helm: str, value: str, said: str) -> None:
    done = subprocess.run(
        [helm, "template", "prod", str(CHART), *KUBERNETES, "--set", value], capture_output=True, text=True, check=False
    )

    assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_the_readme_names_values_that_there_are_with_the_defaults_that_they_have() -> None:
    values, readme = yaml.safe_load((CHART / "values.yaml").read_text()), (CHART / "README.md").read_text()
    names = re.findall(r"`([a-z]+(?:\.[a-zA-Z]+)+)`", readme)

    assert {name: value_of(values, name) for name in names if name.partition(".")[0] in values} == {
        "image.repository": "asl-processor",
        "image.tag": "",
        "kafka.bootstrapServers": "kafka:9092",
        "kafka.prefix": "asl.",
        "kafka.properties": {},
        "kafka.existingSecret": "",
        "kafka.tls.existingSecret": "",
        "kafka.tls.caKey": "ca.crt",
        "kafka.tls.certificateKey": "",
        "kafka.tls.keyKey": "",
        "topics.create": True,
        "topics.partitions": 24,
        "topics.replicationFactor": 3,
        "processor.replicas": 2,
        "timers.replicas": 2,
        "janitor.replicas": 1,
    }


def value_of(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found[part]
    return found
