"""The alert rules and the dashboard: what they ask is there in `/metrics`, and each alert fires when it should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.urls import resolve
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric, SummaryMetricFamily

from cwconnect.site.health import _LOOKS, label
from cwconnect.site.metrics import DatabaseCollector
from polling.models import CallbackRegistration, Health, Notification, PollRun
from tests.docs.test_links import anchors_of
from tests.support.services import ROOT

RULES = ROOT / "cwconnect" / "deploy" / "prometheus" / "cwconnect.rules.yml"
DASHBOARD: dict[str, Any] = json.loads((RULES.parents[1] / "grafana" / "cwconnect.json").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
OF_SCRAPES = {"job", "instance", "namespace"}  # Prometheus' own
OPERATIONS = ROOT / "docs" / "operations.md"
WITH_PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: see .ci/deploy")
VALUES = {
    ("cwconnect_part_ok", "part"): {label(name) for name in _LOOKS},
    ("cwconnect_resources", "health"): {value.replace(" ", "_") for value in Health.values},
    ("cwconnect_undelivered", "state"): {state.value for state in Notification.UNDELIVERED},
    ("cwconnect_callback_registrations", "status"): set(CallbackRegistration.Status.values),
    ("cwconnect_polls_total", "outcome"): set(PollRun.Status.values),
    ("cwconnect_callbacks_total", "outcome"): {"verified"},
}


def samples_of(family: Metric) -> dict[str, set[str]]:
    """Return the names of a family's samples, each with its labels."""
    labels = set(family._labelnames)  # type: ignore[attr-defined]  # all our families have them
    if isinstance(family, CounterMetricFamily):
        return {f"{family.name}_total": labels}
    if isinstance(family, HistogramMetricFamily):
        return {f"{family.name}_bucket": labels | {"le"}, f"{family.name}_sum": labels, f"{family.name}_count": labels}
    if isinstance(family, SummaryMetricFamily):
        return {f"{family.name}_sum": labels, f"{family.name}_count": labels}
    return {family.name: labels}


@pytest.fixture
def families(db: None) -> list[Metric]:
    return list(DatabaseCollector(timezone.now()).collect())


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *(alert["expr"] for alert in ALERTS)])
def test_every_metric_label_and_value_that_is_asked_for_is_there(expression: str, families: list[Metric]) -> None:
    there = {name: labels for family in families for name, labels in samples_of(family).items()}
    used = re.findall(r"\b(cwconnect_\w+)(?:\{([^}]*)\})?", expression)
    assert used
    for name, matchers in used:
        assert name in there
        for key, value in re.findall(r'(\w+)\s*[!=~]+\s*"([^"]*)"', matchers):
            assert key in there[name] | OF_SCRAPES
            assert key in OF_SCRAPES or set(value.split("|")) <= VALUES[name, key]
    known = OF_SCRAPES.union(*(there[name] for name, _ in used))
    for listed in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(listed.split(", ")) <= known


def test_no_figure_of_the_whole_service_is_added_up_over_those_who_tell_it() -> None:
    summed = re.compile(r"\bsum(?: by \([^)]*\))? \((?!max by)(?!.*instance)|\bsum\((?!max by)")
    kept_apart = [each for each in EXPRESSIONS if summed.search(each)]
    assert kept_apart == []
    assert all("instance" in each for alert in ALERTS for each in re.findall(r"sum by \(([^)]*)\)", alert["expr"]))


def test_the_dashboard_shows_every_metric(families: list[Metric]) -> None:
    shown = set(re.findall(r"\bcwconnect_\w+", " ".join(EXPRESSIONS)))
    assert [family.name for family in families if not samples_of(family).keys() & shown] == []


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_leads_to_what_helps(alert: dict[str, Any]) -> None:
    address = alert["annotations"]["runbook_url"].removeprefix("https://cwconnect.example.com")
    path, _, anchor = address.partition("#")
    assert resolve(path).url_name == "help-document"
    assert anchor in anchors_of(OPERATIONS)
    assert anchor == f"alert-{alert['alert'].lower()}"
    assert alert["labels"]["severity"] in ("critical", "warning")


# Of each alert: what is scraped when it fires, what when it must not, and after how many minutes.
A, B = 'job="cwconnect", instance="a"', 'job="cwconnect", instance="b"'
FIRES: dict[str, tuple[dict[str, str], dict[str, str], int]] = {
    "CwconnectSilent": ({}, {f"cwconnect_instances{{{A}}}": "0x9"}, 6),
    **{
        f"Cwconnect{name}": (
            {f'cwconnect_part_ok{{{A}, part="{part}"}}': "1 0x9"},
            {
                f'cwconnect_part_ok{{{A}, part="{part}"}}': "1 0 1x9",
                f'cwconnect_part_ok{{{A}, part="poll_lag"}}': "0x9",
            },
            4,
        )
        for name, part in (("DatabaseFails", "database"), ("BrokerFails", "broker"), ("WorkerDead", "worker"))
    },
    **{
        f"Cwconnect{name}": (
            {f"{metric}{{{A}}}": over},
            {f"{metric}{{{A}}}": under, f"{metric}{{{B}}}": under},
            minutes,
        )
        for name, metric, over, under, minutes in (
            ("PollLag", "cwconnect_poll_lag_seconds", "61x9", "40x9", 6),
            ("DeliveryLag", "cwconnect_delivery_lag_seconds", "0 61x9", "60x9", 7),
            ("FanOutLag", "cwconnect_fan_out_lag_seconds", "0 61x9", "90x4 0 90x4", 7),
            ("QueueStands", "cwconnect_queue_tasks", "11x9", "10x9", 6),
            ("GivenUp", "cwconnect_given_up", "0 1x9", "0x9", 1),
            ("DeliveryPaused", "cwconnect_paused_deliveries", "1x9", "0x9", 6),
            ("ReceiverFails", "cwconnect_failing_receivers", "1x30", "0x3 1x10 0x17", 16),
            ("RecordsSkipped", "cwconnect_skipped_total", "0 0 2x9", "5x9", 3),
            ("CallbacksSilent", "cwconnect_callbacks_silent", "1x30", "0x30", 16),
            ("SpaceRunsOut", "cwconnect_data_free_bytes", "999999999x9", "2000000000x9", 6),
            ("DeletionStands", "cwconnect_instances_being_deleted", "1x1800", "1x1400 0x400", 1570),
        )
    },
    "CwconnectBacklogGrows": (
        {f'cwconnect_undelivered{{{A}, state="pending"}}': "101+1x150"},
        {
            f'cwconnect_undelivered{{{A}, state="pending"}}': "500x150",
            f'cwconnect_undelivered{{{B}, state="pending"}}': "501x150",
        },
        140,
    ),
    "CwconnectPollsFail": (
        {
            f'cwconnect_polls_total{{{A}, kind="poll", outcome="failed"}}': "0+2x90",
            f'cwconnect_polls_total{{{A}, kind="poll", outcome="complete"}}': "0+10x90",
        },
        {
            f'cwconnect_polls_total{{{one}, kind="poll", outcome="{outcome}"}}': f"0+{each}x90"
            for one in (A, B)
            for outcome, each in (("failed", 1), ("complete", 10))
        },
        60,
    ),
    "CwconnectResourceStopped": (
        {f'cwconnect_resources{{{A}, health="held"}}': "1x9", f'cwconnect_resources{{{A}, health="retrying"}}': "1x9"},
        {f'cwconnect_resources{{{A}, health="retrying"}}': "3x9", f'cwconnect_resources{{{A}, health="held"}}': "0x9"},
        6,
    ),
    "CwconnectCallbacksNotRegistered": (
        {f'cwconnect_callback_registrations{{{A}, status="refused"}}': "1x150"},
        {f'cwconnect_callback_registrations{{{A}, status="active"}}': "9x150"},
        121,
    ),
    "CwconnectCallbacksRefused": (
        {f'cwconnect_callbacks_total{{{A}, type="ticket", outcome="no_signature"}}': "0+2x60"},
        {
            f'cwconnect_callbacks_total{{{A}, type="ticket", outcome="verified"}}': "0+50x60",
            f'cwconnect_callbacks_total{{{A}, type="ticket", outcome="no_signature"}}': "0+1x60",
            f'cwconnect_callbacks_total{{{B}, type="ticket", outcome="no_signature"}}': "0+1x60",
        },
        45,
    ),
    "CwconnectGuesses": (
        {f'cwconnect_guessed_at{{{A}, kind="account"}}': "6x9"},
        {f'cwconnect_guessed_at{{{A}, kind="account"}}': "5x9", f'cwconnect_guessed_at{{{A}, kind="browser"}}': "5x9"},
        6,
    ),
}


def test_each_alert_is_tried() -> None:
    assert [alert["alert"] for alert in ALERTS if alert["alert"] not in FIRES] == []
    assert len(FIRES) == len(ALERTS)


def promtool_test(name: str, series: dict[str, str], minutes: int, firing: int) -> dict[str, Any]:
    """Return one of promtool's tests: so many alerts of that name fire after so many minutes."""
    return {
        "name": f"{name}: {firing} expected",
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)',
                "eval_time": f"{minutes}m",
                "exp_samples": [{"labels": "{}", "value": firing}],
            }
        ],
    }


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)


@WITH_PROMTOOL
def test_promtool_accepts_the_rules() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


@WITH_PROMTOOL
def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    tests = [
        promtool_test(name, series, minutes, firing)
        for name, (fires, quiet, minutes) in FIRES.items()
        for series, firing in ((fires, 1), (quiet, 0))
    ]
    asked = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    done = promtool("test", "rules", str(tmp_path / "tests.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


@WITH_PROMTOOL
def test_promtool_reads_what_the_dashboard_asks(tmp_path: Path) -> None:
    rules = [
        {"record": "one", "labels": {"number": str(number)}, "expr": each.replace("$__rate_interval", "5m")}
        for number, each in enumerate(EXPRESSIONS)
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": rules}]}), encoding="utf-8")
    done = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
