"""The metrics that docs/metrics.md lists, and the queries of runbooks in docs/alerts.md."""

import re

from dev.say import CHECKOUT

NAME = re.compile(r"^\| `(duly_\w+)` \|", re.MULTILINE)
QUERY = re.compile(r"```sql\n(.*?)```", re.DOTALL)


def documented_metrics() -> set[str]:
    """Their names."""
    return set(NAME.findall((CHECKOUT / "docs" / "metrics.md").read_text()))


def runbook_query(alert: str, verb: str) -> str:
    """The query of the alert's runbook that begins so."""
    page = (CHECKOUT / "docs" / "alerts.md").read_text()
    section, _, _ = page.partition(f"\n## {alert}\n")[2].partition("\n## ")
    found: str = next(query for query in QUERY.findall(section) if query.startswith(verb))
    return found
