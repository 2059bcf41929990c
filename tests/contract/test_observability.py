"""Alerts, dashboard, runbook and metrics name each other, and nothing that does not exist."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import yaml

from ironclaw_chassis.metrics import REGISTRY
from ironclaw_contracts.endpoints import ALL

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "observability"
PAGE = (ROOT / "docs" / "observe.md").read_text(encoding="utf-8")
METRIC = re.compile(r"\bironclaw_[a-z_]+")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    return [target["expr"] for panel in panels for target in panel["targets"]]


def metrics_there_are() -> set[str]:
    """The families that the services register, and the names that Prometheus knows their samples by."""
    for service in ALL:
        importlib.import_module(f"ironclaw_{service.value}.app")
    names: set[str] = set()
    for family in REGISTRY.collect():
        if family.type == "counter":
            names.add(f"{family.name}_total")
        elif family.type == "histogram":
            names |= {family.name, *(f"{family.name}_{part}" for part in ("bucket", "count", "sum"))}
        else:
            names.add(family.name)
    return names


def test_given_an_alert_when_its_runbook_is_sought_then_the_page_has_an_entry_of_its_name() -> None:
    headings = set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE))
    assert {rule["alert"] for rule in rules()} == headings
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/observe.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in {"warning", "critical"}


def test_given_a_metric_in_alerts_or_dashboard_when_sought_then_a_service_has_it() -> None:
    known = metrics_there_are()
    told = [rule["expr"] for rule in rules()] + expressions()
    named = {name for expression in told for name in METRIC.findall(expression)}
    assert named and named <= known, named - known


def test_given_the_page_when_read_then_it_names_every_metric_and_none_that_is_not_there() -> None:
    known = {name for name in metrics_there_are() if name.startswith("ironclaw_")}
    named = set(re.findall(r"`(ironclaw_[a-z_]+)`", PAGE))
    assert named <= known, named - known
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in known}
    assert families <= {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}, families - named


def test_given_the_scrape_configuration_when_read_then_it_has_every_service_at_its_port() -> None:
    from ironclaw_contracts.enums import SERVICE_PORTS

    document = yaml.safe_load((FOLDER / "prometheus.yaml").read_text(encoding="utf-8"))
    scraped = {
        target["labels"]["service"]: target["targets"]
        for job in document["scrape_configs"]
        for target in job["static_configs"]
    }
    assert scraped == {s.value: [f"{s.value}:{SERVICE_PORTS[s]}"] for s in ALL}
