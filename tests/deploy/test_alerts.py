"""The alert rules: promtool's word on them, and what holds between the rules and their tests."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_process import promtool

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = PROMETHEUS / "alerts.yml"
TESTS = PROMETHEUS / "alerts_test.yml"

ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
EXPECTED: list[dict[str, Any]] = [
    check
    for test in yaml.safe_load(TESTS.read_text())["tests"]
    for check in test["alert_rule_test"]
]


def test_prometheus_takes_the_configuration() -> None:
    """prometheus.yml is valid, and so are the rules that it names."""
    said = promtool("check", "config", PROMETHEUS / "prometheus.yml")
    assert "1 rule files found" in said


def test_every_alert_fires_when_it_should_and_not_before() -> None:
    """Promtool computes what the rules make of series, and what each alert then says."""
    assert "SUCCESS" in promtool("test", "rules", TESTS)


@pytest.mark.parametrize("number", range(len(ALERTS)), ids=[rule["alert"] for rule in ALERTS])
def test_a_rule_that_never_fires_is_found_out(number: int, tmp_path: Path) -> None:
    """Without one rule, the tests of the rules fail: each has a case in which it fires."""
    rules = yaml.safe_load(RULES.read_text())
    gone = ALERTS[number]
    for group in rules["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule != gone]
    (tmp_path / RULES.name).write_text(yaml.safe_dump(rules))
    tests = tmp_path / TESTS.name
    tests.write_text(TESTS.read_text())
    with pytest.raises(ValueError, match=gone["alert"]):
        promtool("test", "rules", tests)


def test_every_alert_is_seen_quiet() -> None:
    """Each alert has a moment, too, at which it does not fire."""
    quiet = {check["alertname"] for check in EXPECTED if not check["exp_alerts"]}
    assert quiet == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_a_person_needs(rule: dict[str, Any]) -> None:
    """How bad it is, what is wrong, what follows, and where the runbook has it."""
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
    assert re.fullmatch(r".{10,120}[.]", notes["summary"])


def test_the_worse_of_two_rules_is_the_stricter() -> None:
    """An alert has one rule for each severity, so that they can be told apart."""
    rules = Counter((rule["alert"], rule["labels"]["severity"]) for rule in ALERTS)
    assert set(rules.values()) == {1}
