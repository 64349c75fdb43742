"""promtool takes what Prometheus is told by docker-compose.yml, `make watch` and the docs."""

import re
import shutil
from pathlib import Path

import pytest

from dev import prometheus
from dev.say import CHECKOUT
from outbox import monitoring
from tests.integration.monitoring.conftest import Promtool

TARGETS = {"relay": ["127.0.0.1:9101"], "api": ["127.0.0.1:8000"]}


@pytest.fixture(autouse=True)
def key(folder: Path) -> Path:
    """A file for the API key that opens the api's metrics, where each of them looks for it."""
    (folder / "keys").mkdir()
    for name in ("keys/scraper", "prometheus.key"):
        (folder / name).write_text("a key")
    return folder / "keys" / "scraper"


def test_that_of_compose(promtool: Promtool, folder: Path) -> None:
    shutil.copy(CHECKOUT / "dev" / "monitoring" / "prometheus.yml", folder)
    (folder / "alerts.yml").write_text(monitoring.alerts())
    assert_taken(promtool, "prometheus.yml")


def test_that_of_watch(promtool: Promtool, folder: Path, key: Path) -> None:
    keys = {"api": key}
    prometheus.configure(folder, monitoring.alerts(), TARGETS, every="2s", keys=keys)
    assert_taken(promtool, prometheus.CONFIGURATION)


def test_that_of_the_page(promtool: Promtool, folder: Path) -> None:
    page = (CHECKOUT / "docs" / "monitoring.md").read_text()
    (block,) = re.findall(r"```yaml\n(rule_files:.*?)```", page, re.DOTALL)
    (folder / "duly-alerts.yml").write_text(monitoring.alerts())
    (folder / "prometheus.yml").write_text(block)
    assert_taken(promtool, "prometheus.yml")


def assert_taken(promtool: Promtool, name: str) -> None:
    """With its rules, and the files that it names."""
    done = promtool("check", "config", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout
