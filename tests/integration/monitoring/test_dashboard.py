"""promtool reads each expression of the dashboard."""

import json
from pathlib import Path

from outbox import monitoring
from tests.integration.monitoring.conftest import Promtool

VARIABLES = {"$__rate_interval": "1m", "$queue": ".*", "$kind": ".*"}


def expressions() -> list[str]:
    """Those of all panels, with something in the place of each variable."""
    panels = json.loads(monitoring.dashboard())["panels"]
    return [filled(target["expr"]) for each in panels for target in each.get("targets", [])]


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def as_rules(found: list[str]) -> str:
    """A file of recording rules, in JSON, which is YAML."""
    rules = [{"record": f"panel:{index}", "expr": each} for index, each in enumerate(found)]
    return json.dumps({"groups": [{"name": "panels", "rules": rules}]})


def test_prometheus_takes_each_expression(promtool: Promtool, folder: Path) -> None:
    found = expressions()
    (folder / "panels.yml").write_text(as_rules(found))
    done = promtool("check", "rules", "panels.yml")
    assert done.returncode == 0, done.stderr
    assert f"{len(found)} rules found" in done.stdout


def test_a_wrong_expression_is_noticed(promtool: Promtool, folder: Path) -> None:
    (folder / "panels.yml").write_text(as_rules([expressions()[0] + ")"]))
    assert promtool("check", "rules", "panels.yml").returncode == 1
