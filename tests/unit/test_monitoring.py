"""The alert rules say what they have to say, and docs/alerts.md has a section for each."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dev.say import CHECKOUT
from outbox import monitoring
from outbox.cli.main import commands

RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load(monitoring.alerts())["groups"]
    for rule in group["rules"]
}
RUNBOOKS = {
    heading: text
    for heading, _, text in (
        section.partition("\n")
        for section in (CHECKOUT / "docs" / "alerts.md").read_text().split("\n## ")[1:]
    )
}
PARTS = ("Means", "Look", "Do", "Clears")


def each_rule(test: Any) -> Any:
    return pytest.mark.parametrize("name", RULES)(test)


def test_each_alert_has_a_runbook_and_each_runbook_an_alert_in_the_same_order() -> None:
    assert list(RUNBOOKS) == list(RULES)


@each_rule
def test_a_runbook_says_what_is_meant_where_to_look_what_to_do_and_what_clears_it(
    name: str,
) -> None:
    assert re.findall(r"^- \*\*(\w+)\*\*: ", RUNBOOKS[name], re.MULTILINE) == list(PARTS)


@each_rule
def test_a_runbook_begins_with_the_severity_and_ends_with_how_long_it_takes(name: str) -> None:
    rule = RULES[name]
    opening = RUNBOOKS[name].split("\n- ")[0].strip()
    assert opening.startswith(f"{rule['labels']['severity'].capitalize()}. ")
    if spell := rule.get("for"):
        number, unit = int(spell[:-1]), {"m": "minute", "h": "hour"}[spell[-1]]
        lasting = rf"for\s({number}\s{unit}s|one\s{unit}|an\s{unit})\b"
        assert re.search(lasting, opening), spell


@each_rule
def test_an_alert_is_told_in_a_summary_and_a_description(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    texts = rule["annotations"]
    assert texts.keys() == {"summary", "description", "runbook_url"}
    assert len(texts["summary"]) <= 80
    assert texts["description"].endswith(".")
    assert texts["runbook_url"] == f"{monitoring.DOCS}#{name.lower()}"


def test_the_command_prints_the_rules() -> None:
    done = CliRunner().invoke(commands("monitoring"), ["monitoring", "alerts"])
    assert done.stdout == monitoring.alerts()


def test_runbooks_may_be_elsewhere() -> None:
    address = ["--runbooks", "https://wiki.example/duly"]
    done = CliRunner().invoke(commands("monitoring"), ["monitoring", "alerts", *address])
    assert "runbook_url: https://wiki.example/duly#dulyrescues\n" in done.stdout
    assert monitoring.DOCS + "#" not in done.stdout


PAGE = (CHECKOUT / "docs" / "monitoring.md").read_text()
KUBECTL = "kubectl apply -f -"


def test_the_pages_yaml_is_yaml() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    kinds = [each.get("kind", "") for block in blocks for each in yaml.safe_load_all(block)]
    assert kinds == ["", "PodMonitor", "ServiceMonitor"]


def test_the_pages_command_makes_a_prometheus_rule_of_all_alerts() -> None:
    (command,) = re.findall(rf"```sh\n({KUBECTL} .*?)```", PAGE, re.DOTALL)
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    shown = subprocess.check_output(["sh", "-c", command.replace(KUBECTL, "cat")], env=path)
    rule = yaml.safe_load(shown)
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == yaml.safe_load(monitoring.alerts())
