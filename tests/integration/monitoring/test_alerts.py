"""promtool runs the cases of alerts.test.yml: each alert is silent, fires, and clears."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from dev import memory, prometheus
from dev.private import home
from outbox import monitoring

CASES = Path(__file__).with_name("alerts.test.yml")
FIRES = re.compile(r'alertname="(\w+)"')
PROMTOOL_SECONDS = 60

Promtool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: promtool writes its series to the disk, and waits for it, for each case."""
    where = memory.MEMORY if memory.MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="duly-promtool-", dir=where) as folder:
        Path(folder, "alerts.yml").write_text(monitoring.alerts())
        shutil.copy(CASES, folder)
        yield Path(folder)


@pytest.fixture
def promtool(folder: Path) -> Promtool:
    """Runs promtool on files of the folder."""
    command = prometheus.promtool(home() / "prometheus")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env={"TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=PROMTOOL_SECONDS,
            check=False,
        )

    return run


def test_prometheus_takes_the_rules(promtool: Promtool) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_silent_below_its_threshold_fires_and_clears(promtool: Promtool) -> None:
    done = promtool("test", "rules", CASES.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_fires_elsewhere_fails_its_case(promtool: Promtool, folder: Path) -> None:
    rules = folder / "alerts.yml"
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
