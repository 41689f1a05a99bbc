"""The runbook of docs/operations.md is about the alerts, panels and log lines that there are."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
OPERATIONS = REPOSITORY / "docs" / "operations.md"

PARTS = ["Means", "Look", "Do", "Over"]


def read_entries() -> dict[str, str]:
    """What the runbook says of each alert."""
    chapter = OPERATIONS.read_text().split("\n## Runbook\n")[1].split("\n## ")[0]
    _, *entries = chapter.split("\n### ")
    return {name: text for name, _, text in (entry.partition("\n") for entry in entries)}


def read_severities() -> dict[str, set[str]]:
    """The severities of each alert, by name."""
    severities: dict[str, set[str]] = {}
    rules = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "alerts.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        if "alert" in rule:
            severities.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    return severities


@cache
def read_source() -> str:
    """The code of the server, where its log lines are."""
    files = (REPOSITORY / "server" / "src").rglob("*.py")
    return "".join(path.read_text() for path in files)


ENTRIES = read_entries()


def test_each_alert_has_its_entry() -> None:
    """And each entry an alert, in the order of the rules."""
    assert list(ENTRIES) == list(read_severities())


@pytest.mark.parametrize("alert", ENTRIES)
def test_an_entry_answers_all_questions(alert: str) -> None:
    """What it means, where to look, what to do, when it is over; and how bad it is."""
    assert re.findall(r"^- \*\*(\w+)\*\*", ENTRIES[alert], re.MULTILINE) == PARTS
    means = re.search(r"\*\*Means\*\* \((.*?)\)", ENTRIES[alert], re.DOTALL)
    assert means
    assert set(re.findall("critical|warning|info", means[1])) == read_severities()[alert]


@pytest.mark.parametrize("alert", ENTRIES)
def test_what_an_entry_names_is_there(alert: str) -> None:
    """Panels in italics, lines of the log, and other chapters."""
    text = " ".join(ENTRIES[alert].split())
    board = json.loads((REPOSITORY / "deploy/grafana/dashboards/flatdense.json").read_text())
    titles = {panel["title"] for panel in board["panels"]}
    assert set(re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", text)) <= titles
    for line in re.findall(r"\blog `([^`]+)`", text):
        assert f'"{line}' in read_source()
    headings = re.findall(r"^#+ (.*)$", OPERATIONS.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_the_dashboard_names_each_alert() -> None:
    """Where an alert's figure is drawn, the panel says which alert it is."""
    board = json.loads((REPOSITORY / "deploy/grafana/dashboards/flatdense.json").read_text())
    described = " ".join(panel.get("description", "") for panel in board["panels"])
    assert set(re.findall(r"\bFlatdense\w+", described)) == read_severities().keys()
