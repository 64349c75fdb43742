"""Files for Prometheus and Grafana. `duly monitoring` prints them."""

from importlib.resources import files

DOCS = "docs/alerts.md"
"""Where the rules say that their runbooks are."""


def alerts(runbooks: str | None = None) -> str:
    """The alert rules, for Prometheus's `rule_files`.

    Each alert's `runbook_url` names a section of docs/alerts.md, or of the address in its place.
    """
    rules = _text("alerts.yml")
    return rules.replace(f"{DOCS}#", f"{runbooks}#") if runbooks else rules


def dashboard() -> str:
    """The dashboard as JSON, for Grafana to import or provision."""
    return _text("dashboard.json")


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
