"""The files that are made of the rows."""

from dev.dashboard import grafana
from dev.dashboard.jobs import BACKLOG, FAILURES, PROMISES, WORK
from dev.dashboard.panel import Panel
from dev.dashboard.processes import API, LIMITS, RELAY, WORKERS
from dev.say import CHECKOUT

ROWS = (PROMISES, BACKLOG, WORK, FAILURES, RELAY, WORKERS, API, LIMITS)
JSON = CHECKOUT / "outbox" / "monitoring" / "dashboard.json"
PAGE = CHECKOUT / "docs" / "monitoring.md"
BEGIN, END = "<!-- panels -->\n", "<!-- end of panels -->\n"


def as_json() -> str:
    """The dashboard."""
    return grafana.as_json(ROWS)


def written(page: str) -> str:
    """The page with the tables of today's panels between its marks."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + _tables() + END + rest.partition(END)[2]


def _tables() -> str:
    """A table in Markdown for each row: its panels, what they show, and of which metrics."""
    tables = []
    for row in ROWS:
        lines = ["| panel | what it shows | from |", "|---|---|---|", *map(_line, row.panels)]
        tables.append(f"### {row.title}\n\n" + "".join(f"{line}\n" for line in lines))
    return "\n" + "\n".join(tables) + "\n"


def _line(panel: Panel) -> str:
    metrics = ", ".join(f"`{name}`" for name in panel.metrics) or "Prometheus's `ALERTS`"
    return f"| {panel.title} | {panel.description} | {metrics} |"
