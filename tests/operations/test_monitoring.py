"""Alert rules and dashboard: every metric they name is one that is exported, and every alert fires when it should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from processor.adapters.clock import ManualClock
from processor.adapters.metrics import ProcessorMetrics, registry_of
from processor.apps.health import FleetHealth, JanitorMetrics, TimersMetrics, WorkerMetrics
from processor.apps.schedule import ScheduleStanding
from processor.apps.supervisor import Supervisor
from processor.apps.worker.runner import WorkerStanding
from processor.engine.ports import Backlog, Findings
from processor.engine.standing import PartitionStanding, Standing
from tests.operations.prom import promtool

REPOSITORY = Path(__file__).parents[2]
FILES = REPOSITORY / "helm" / "asl-processor" / "files"
ALERTS = FILES / "alerts.yaml"
DASHBOARD = FILES / "dashboard.json"
GUIDE = REPOSITORY / "docs" / "operations.md"


# ---- what is exported


def shown_each() -> list[str]:
    """Return everything that the roles and a supervisor can tell, in Prometheus's text format."""
    processor = ProcessorMetrics(clock=ManualClock())
    partition = PartitionStanding(
        partition=0,
        state="READY",
        open=1,
        runnable=1,
        quarantined=1,
        closed=1,
        closed_bytes=1,
        waiting_commands=1,
        restored={"events": 1},
        restoring_left=1,
        restore_seconds_left=1.0,
    )
    standing = Standing(ready=True, partition_count=1, counts={"purged": 1}, partitions=(partition,))
    processor.stepped(lambda: standing)
    processor.surveyed(
        Findings(
            backlogs={0: Backlog(records=1, oldest=ManualClock().now())},
            retention_ms=1,
            held_seconds={("asl.events", 0): 1.0},
            hanging=1,
        )
    )
    timers, worker, janitor = TimersMetrics(), WorkerMetrics(), JanitorMetrics()
    timers.stepped(lambda: ScheduleStanding(ready=True, counts={}, pending={0: 1}, lag_ms=1))
    worker.stepped(lambda: WorkerStanding(ready=True, counts={}, running=1, unresolved=1))
    janitor.stepped(lambda: ScheduleStanding(ready=True, counts={}, pending={0: 1}, lag_ms=1))
    supervisor = CollectorRegistry()
    supervisor.register(
        FleetHealth(Supervisor(["0"], lambda slot: (_ for _ in ()).throw(AssertionError), grace_seconds=1))
    )
    registries = [registry_of(processor), registry_of(timers), registry_of(worker), registry_of(janitor), supervisor]
    return [generate_latest(registry).decode() for registry in registries]


def shown() -> str:
    return "".join(shown_each())


def exported() -> set[str]:
    return {sample.name for family in text_string_to_metric_families(shown()) for sample in family.samples}


METRIC = re.compile(r"\b(?:asl|process)_[a-z_]+\b")


def names_in(expression: str) -> set[str]:
    return set(METRIC.findall(expression))


# ---- alerts


class Alert(NamedTuple):
    name: str
    expression: str
    severity: str
    annotations: dict[str, str]


def alerts() -> list[Alert]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [
        Alert(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"])
        for group in groups
        for rule in group["rules"]
    ]


def test_every_metric_of_an_alert_is_exported() -> None:
    assert {alert.name: names_in(alert.expression) - exported() for alert in alerts()} == {
        alert.name: set() for alert in alerts()
    }
    assert [alert.name for alert in alerts() if not names_in(alert.expression)] == []


def test_every_alert_says_what_is_wrong_how_bad_it_is_and_is_explained() -> None:
    explained = set(re.findall(r"^### (Asl\w+)$", GUIDE.read_text(), re.MULTILINE))

    assert {alert.name for alert in alerts()} == explained
    assert {alert.severity for alert in alerts()} <= {"critical", "warning", "info"}
    assert [alert.name for alert in alerts() if {*alert.annotations} != {"summary", "description"}] == []


def test_the_guide_tells_of_every_metric_and_of_none_that_is_not_there() -> None:
    families = {family.name for family in text_string_to_metric_families(shown())}
    ours = {name for name in families | exported() if name.startswith("asl_")}
    told = {name for name in names_in(GUIDE.read_text()) if name.startswith("asl_")}

    assert told <= ours
    missing = {
        family.name
        for family in text_string_to_metric_families(shown())
        if family.name.startswith("asl_") and not told & {family.name, *(s.name for s in family.samples)}
    }
    assert missing == set()


def test_the_rules_are_prometheus_rules() -> None:
    assert f"SUCCESS: {len(alerts())} rules found" in promtool("check", "rules", ALERTS)


def test_the_metrics_are_named_as_prometheus_advises() -> None:
    assert [promtool("check", "metrics", input=text) for text in shown_each()] == [""] * 5


WELL = {
    'asl_all_partitions{job="j",worker="0"}': "2x60",
    'asl_partitions{job="j",worker="0",state="ready"}': "2x60",
    'asl_partitions{job="j",worker="0",state="stopped"}': "0x60",
    'asl_partitions{job="j",worker="0",state="restoring"}': "0x60",
    'asl_ready{job="j",worker="0"}': "1x60",
    'asl_timer_lag_seconds{job="j"}': "1x60",
    'asl_commands_lag_seconds{job="j",worker="0",partition="0"}': "3x60",
    'asl_commands_retention_seconds{job="j",worker="0"}': "86400x60",
    'asl_hanging_transactions{job="j",worker="0"}': "0x60",
    'asl_quarantined_executions{job="j",worker="0",partition="0"}': "0x60",
    'asl_runnable_executions{job="j",worker="0",partition="0"}': "5x60",
    'asl_commands_total{job="j",worker="0",outcome="applied"}': "0+100x60",
    'asl_commands_total{job="j",worker="0",outcome="rejected"}': "0+1x60",
    'asl_commands_total{job="j",worker="0",outcome="dead_letter"}': "0x60",
    'asl_commands_total{job="j",worker="0",outcome="misrouted"}': "0x60",
    'asl_transactions_total{job="j",worker="0",outcome="aborted"}': "0x60",
    'asl_commit_seconds_bucket{job="j",worker="0",le="0.02"}': "0+100x60",
    'asl_commit_seconds_bucket{job="j",worker="0",le="2.5"}': "0+100x60",
    'asl_commit_seconds_bucket{job="j",worker="0",le="+Inf"}': "0+100x60",
    'asl_worker_restarts_total{job="j",worker="0"}': "0x60",
    'asl_survey_failures_total{job="j",worker="0"}': "0x60",
    'asl_timers_skipped_total{job="j"}': "0x60",
    'asl_tasks_skipped_total{job="j"}': "0x60",
    'asl_janitor_skipped_total{job="j"}': "0x60",
    'asl_janitor_lag_seconds{job="j"}': "0x60",
    'asl_definitions_unreadable_total{job="j",worker="0"}': "0x60",
    'asl_replies_lost_total{job="j",worker="0"}': "0x60",
}
"""Series, a value a minute, of which no alert fires."""

ILL: dict[str, dict[str, str | None]] = {
    "AslNoProcessor": {'asl_all_partitions{job="j",worker="0"}': None},
    "AslNoTimers": {'asl_timer_lag_seconds{job="j"}': None},
    "AslPartitionsUnowned": {'asl_partitions{job="j",worker="0",state="ready"}': "1x60"},
    "AslNotReady": {'asl_ready{job="j",worker="0"}': "0x60"},
    "AslWorkerRestarts": {'asl_worker_restarts_total{job="j",worker="0"}': "0+1x60"},
    "AslPartitionStopped": {
        'asl_partitions{job="j",worker="0",state="ready"}': "1x60",
        'asl_partitions{job="j",worker="0",state="stopped"}': "1x60",
    },
    "AslCommandsNearRetention": {
        'asl_commands_lag_seconds{job="j",worker="0",partition="0"}': "50x60",
        'asl_commands_retention_seconds{job="j",worker="0"}': "100x60",
    },
    "AslHangingTransaction": {'asl_hanging_transactions{job="j",worker="0"}': "1x60"},
    "AslCommandsLag": {'asl_commands_lag_seconds{job="j",worker="0",partition="0"}': "61x60"},
    "AslTimerLag": {'asl_timer_lag_seconds{job="j"}': "61x60"},
    "AslPurgeLag": {'asl_janitor_lag_seconds{job="j"}': "3601x60"},
    "AslCommitSlow": {'asl_commit_seconds_bucket{job="j",worker="0",le="0.02"}': "0+50x60"},
    "AslTransactionsAborted": {'asl_transactions_total{job="j",worker="0",outcome="aborted"}': "0+6x60"},
    "AslRestoreSlow": {
        'asl_partitions{job="j",worker="0",state="ready"}': "1x60",
        'asl_partitions{job="j",worker="0",state="restoring"}': "1x60",
    },
    "AslRunnableGrows": {'asl_runnable_executions{job="j",worker="0",partition="0"}': "1001x60"},
    "AslQuarantine": {'asl_quarantined_executions{job="j",worker="0",partition="0"}': "1x60"},
    "AslDeadLetters": {'asl_commands_total{job="j",worker="0",outcome="dead_letter"}': "0x28 1x30"},
    "AslRejections": {'asl_commands_total{job="j",worker="0",outcome="rejected"}': "0+20x60"},
    "AslMisrouted": {'asl_commands_total{job="j",worker="0",outcome="misrouted"}': "0x28 1x30"},
    "AslIndexUnreadable": {'asl_tasks_skipped_total{job="j"}': "0x28 1x30"},
    "AslDefinitionsUnreadable": {'asl_definitions_unreadable_total{job="j",worker="0"}': "0x28 1x30"},
    "AslRepliesLost": {'asl_replies_lost_total{job="j",worker="0"}': "0x28 1x30"},
    "AslSurveyFails": {'asl_survey_failures_total{job="j",worker="0"}': "0+1x60"},
}
"""What is otherwise where the alert fires, and no other does, after half an hour; None: the series is not there."""


def scenarios() -> Iterator[dict[str, Any]]:
    all_is_well: dict[str, dict[str, str | None]] = {"": {}}
    for name, otherwise in (all_is_well | ILL).items():
        series = {key: values for key, values in (WELL | otherwise).items() if values is not None}
        firing = [{"labels": f'{{alertname="{name}"}}', "value": 1}] if name else []
        yield {
            "name": name or "all is well",
            "interval": "1m",
            "input_series": [{"series": key, "values": values} for key, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "31m",
                    "exp_samples": firing,
                }
            ],
        }


def test_there_is_a_case_in_which_each_alert_fires() -> None:
    assert sorted(ILL) == sorted(alert.name for alert in alerts())


def test_each_alert_fires_of_what_it_is_for_and_no_other_and_none_where_all_is_well(tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": list(scenarios())})
    )
    assert "SUCCESS" in promtool("test", "rules", cases)


# ---- the dashboard


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> dict[str, str]:
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel.get("targets", [])
    }


def test_every_metric_of_the_dashboard_is_exported() -> None:
    assert {title: names_in(expr) - exported() for title, expr in expressions().items()} == {
        title: set() for title in expressions()
    }
    assert [title for title, expr in expressions().items() if not names_in(expr)] == []


def test_everything_that_is_exported_is_on_the_dashboard() -> None:
    drawn = set[str]().union(*map(names_in, expressions().values()))
    families = [f for f in text_string_to_metric_families(shown()) if f.name.startswith("asl_")]

    assert [f.name for f in families if not drawn & {f.name, *(s.name for s in f.samples)}] == []


def test_panels_have_ids_and_places_of_their_own() -> None:
    ids = [panel["id"] for panel in panels()]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert sorted(ids) == sorted(set(ids))
    assert sorted(cells) == sorted(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_dashboards_queries_are_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{n}", "expr": expr.replace("$__rate_interval", "5m").replace("$job", ".*")}
        for n, expr in enumerate(expressions().values())
    ]
    written = tmp_path / "panels.yaml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", written)
