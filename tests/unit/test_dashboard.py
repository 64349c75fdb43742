"""The dashboard is what dev/dashboard makes, and is written as Grafana reads it."""

import json
from itertools import combinations
from typing import Any

import pytest
from typer.testing import CliRunner

from dev.dashboard.files import JSON, PAGE, ROWS, as_json, written
from outbox import monitoring
from outbox.cli.main import commands
from tests.support.monitoring.documented import documented_metrics

DASHBOARD: dict[str, Any] = json.loads(monitoring.dashboard())
PANELS: list[dict[str, Any]] = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
UNITS = {"short", "s", "ops", "reqps", "percentunit", "bool_yes_no"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def each_panel(test: Any) -> Any:
    return pytest.mark.parametrize("panel", PANELS, ids=[each["title"] for each in PANELS])(test)


def test_the_file_and_the_page_are_those_of_today() -> None:
    assert JSON.read_text() == as_json(), "run `make dashboard`"
    assert PAGE.read_text() == written(PAGE.read_text()), "run `make dashboard`"


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(commands("monitoring"), ["monitoring", "dashboard"])
    assert json.loads(done.stdout) == DASHBOARD


def test_numbers_and_titles_are_unique() -> None:
    numbers = [each["id"] for each in DASHBOARD["panels"]]
    titles = [each["title"] for each in PANELS]
    assert len(set(numbers)) == len(numbers)
    assert len(set(titles)) == len(titles)


def test_nothing_lies_on_something_else_or_beside_the_grid() -> None:
    places = [each["gridPos"] for each in DASHBOARD["panels"]]
    assert [each for each in places if each["x"] + each["w"] > 24] == []
    assert [pair for pair in combinations(places, 2) if _overlap(*pair)] == []


def test_the_reader_chooses_the_data_source_queues_and_kinds() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "queue", "kind"]
    assert variables["datasource"]["query"] == "prometheus"
    for name in ("queue", "kind"):
        assert variables[name]["datasource"] == SOURCE
        assert variables[name]["query"]["query"].endswith(f", {name})")


@each_panel
def test_a_panel_says_what_it_shows_in_which_unit_and_from_where(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE
        assert target["legendFormat"]


@each_panel
def test_a_panel_that_tells_queues_or_kinds_apart_shows_those_chosen(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for name in ("queue", "kind"):
            if f"{{{{{name}}}}}" in target["legendFormat"]:
                assert f'{name}=~"${name}"' in target["expr"]


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


def test_each_metric_is_shown_in_a_panel() -> None:
    shown = {name for row in ROWS for panel in row.panels for name in panel.metrics}
    assert sorted(documented_metrics() - shown) == []
