"""The dashboard as one HTML page."""

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from dev.watch.chart import Points, draw, number

Ask = Callable[[str], list[tuple[dict[str, str], Points]]]
"""Answers an expression with series: the labels of each, and its points."""

STYLE = """
body{font:13px system-ui,sans-serif;margin:12px;background:#f4f5f5;color:#222}
h1{font-size:18px} h2{font-size:15px;margin:18px 0 6px}
main{display:grid;grid-template-columns:repeat(3,1fr);gap:8px}
section{background:#fff;border:1px solid #ddd;padding:8px;min-width:0}
h3{font-size:13px;margin:0 0 4px} p{margin:0 0 4px;color:#666;font-size:11px}
svg{width:100%} text{font-size:9px;text-anchor:end;fill:#666}
i{display:inline-block;width:10px;height:3px;margin:0 5px 3px 0} .stat{font-size:26px}
.good{color:#37872d} .bad{color:#c4162a}
"""
HEAD = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>{title}</title><style>{style}</style><h1>{title}</h1><main>"""
VARIABLES = {"$__rate_interval": "15s", "$queue": ".*", "$kind": ".*"}
"""What stands in an expression, and what is asked in its place: all queues and kinds."""


def render(dashboard: Mapping[str, Any], ask: Ask, begin: float, end: float) -> str:
    """The page of what Prometheus has between two moments. It loads itself again."""
    parts = [HEAD.format(title=escape(dashboard["title"]), style=STYLE)]
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            parts.append(f"</main><h2>{escape(panel['title'])}</h2><main>")
        else:
            parts.append(_panel(panel, _series(panel, ask), begin, end))
    return "".join([*parts, "</main>"])


def _panel(panel: Mapping[str, Any], series: dict[str, Points], begin: float, end: float) -> str:
    field = panel["fieldConfig"]["defaults"]
    if not series:
        body = "no data"
    elif panel["type"] == "stat":
        body = "".join(_stat(name, points, field) for name, points in series.items())
    else:
        body = draw(series, field["unit"], begin, end)
    title, description = escape(panel["title"]), escape(panel["description"])
    return f"<section><h3>{title}</h3><p>{description}</p>{body}</section>"


def _stat(name: str, points: Points, field: Mapping[str, Any]) -> str:
    value = points[-1][1]
    limits = [step["value"] for step in field["thresholds"]["steps"] if step["value"] is not None]
    color = "bad" if any(value >= limit for limit in limits) else "good"
    shown = escape(number(value, field["unit"]))
    return f'<span class="stat {color}">{shown}</span> {escape(name)}<br>'


def _series(panel: Mapping[str, Any], ask: Ask) -> dict[str, Points]:
    """All series of the panel, by their names in the legend."""
    return {
        _name(target["legendFormat"], labels): points
        for target in panel["targets"]
        for labels, points in ask(_filled(target["expr"]))
    }


def _filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)
