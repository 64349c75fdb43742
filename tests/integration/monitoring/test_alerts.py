"""promtool runs the cases of alerts.test.yml: each alert is silent, fires, and clears."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from outbox import monitoring
from tests.integration.monitoring.conftest import Promtool

CASES = Path(__file__).with_name("alerts.test.yml")
FIRES = re.compile(r'alertname="(\w+)"')


@pytest.fixture(autouse=True)
def rules(folder: Path) -> Path:
    """The rules, beside their cases."""
    (folder / "alerts.yml").write_text(monitoring.alerts())
    shutil.copy(CASES, folder)
    return folder / "alerts.yml"


def test_prometheus_takes_the_rules(promtool: Promtool) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_silent_below_its_threshold_fires_and_clears(promtool: Promtool) -> None:
    done = promtool("test", "rules", CASES.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_fires_elsewhere_fails_its_case(promtool: Promtool, rules: Path) -> None:
    rules.write_text(
        rules.read_text().replace("_oldest_due_seconds) > 60", "_oldest_due_seconds) > 59")
    )
    assert promtool("test", "rules", CASES.name).returncode == 1


def test_each_alert_has_cases_before_while_and_after_it_fires() -> None:
    rules = yaml.safe_load(monitoring.alerts())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    cases = yaml.safe_load(CASES.read_text())["tests"]
    assert {name for case in cases if _is_whole(case) for name in _fired(case)} == alerts


def _fired(case: dict[str, object]) -> list[str]:
    return FIRES.findall(str(case["promql_expr_test"]))


def _is_whole(case: dict[str, object]) -> bool:
    """Whether it asks in silence, in alarm, and in silence again."""
    asked: list[dict[str, object]] = case["promql_expr_test"]  # type: ignore[assignment]
    fires = ["exp_samples" in each for each in asked]
    return True in fires and not fires[0] and not fires[-1]
