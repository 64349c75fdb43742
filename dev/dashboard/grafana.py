"""The dashboard as Grafana reads it: its classic JSON, which Grafana 11 and newer take."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from dev.dashboard.panel import Panel, Row

SCHEMA = 39
UID = "duly"
COLUMNS, HEIGHT, ACROSS = 24, 8, 3
"""A row of Grafana's grid; how high a panel is, and how many stand side by side."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
VALUES = {
    "queue": "label_values(duly_work, queue)",
    "kind": "label_values(duly_attempts_total, kind)",
}


def as_json(rows: Iterable[Row]) -> str:
    """The whole file."""
    return json.dumps(_dashboard(rows), indent=1, ensure_ascii=False) + "\n"


def _dashboard(rows: Iterable[Row]) -> dict[str, Any]:
    return {
        "uid": UID,
        "title": "Duly",
        "description": "Jobs, their promises, and the processes that do them.",
        "tags": ["duly"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "fiscalYearStartMonth": 0,
        "links": [],
        "annotations": {"list": []},
        "templating": {"list": [_source(), *map(_variable, VALUES)]},
        "panels": list(_placed(rows)),
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "current": {},
        "options": [],
    }


def _variable(label: str) -> dict[str, Any]:
    """A list of the label's values, to choose from; all of them at first."""
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "definition": VALUES[label],
        "query": {"query": VALUES[label], "refId": label},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _placed(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Each row's heading and panels, with their numbers and places."""
    number, y = 0, 0
    for row in rows:
        number += 1
        yield _heading(row, number, y)
        y += 1
        for index, panel in enumerate(row.panels):
            number += 1
            x = index % ACROSS * COLUMNS // ACROSS
            yield _panel(panel, number, x, y + index // ACROSS * HEIGHT)
        y += -(-len(row.panels) // ACROSS) * HEIGHT


def _heading(row: Row, number: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        "panels": [],
    }


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.sort,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": COLUMNS // ACROSS, "x": x, "y": y},
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": OPTIONS[panel.sort],
        "targets": [
            _target(chr(ord("A") + index), legend, query)
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _target(name: str, legend: str, expression: str) -> dict[str, Any]:
    return {
        "refId": name,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": expression,
        "legendFormat": legend,
        "range": True,
    }


def _field(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    field = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "thresholds" if panel.sort == "stat" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    return field if panel.sort == "stat" else field | {"custom": _drawing(panel)}


def _drawing(panel: Panel) -> dict[str, Any]:
    limit = "off" if panel.red_from is None else "line"
    return {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter" if panel.unit == "bool_yes_no" else "linear",
        "lineWidth": 1,
        "fillOpacity": 10,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "none"},
        "thresholdsStyle": {"mode": limit},
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "calcs": ["lastNotNull", "max"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "background",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
}
