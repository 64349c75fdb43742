"""The page of `make watch` shows what Prometheus says of each panel of the shipped dashboard."""

import json

import pytest

from dev.watch.chart import Points, draw, number
from dev.watch.page import render
from outbox import monitoring

DASHBOARD = json.loads(monitoring.dashboard())
PANELS = [each for each in DASHBOARD["panels"] if each["type"] != "row"]


def test_each_panel_is_on_the_page_with_its_series() -> None:
    asked: list[str] = []

    def ask(expression: str) -> list[tuple[dict[str, str], Points]]:
        asked.append(expression)
        return [({"queue": "mail <b>", "kind": "a.b"}, [(0, 1), (10, 2)])]

    page = render(DASHBOARD, ask, 0, 10)
    assert [each["title"] for each in PANELS if f"<h3>{each['title']}</h3>" not in page] == []
    assert len(asked) == sum(len(each["targets"]) for each in PANELS)
    assert not [each for each in asked if "$" in each]
    assert "mail &lt;b&gt; <b>2</b>" in page
    assert "no data" not in page


def test_a_panel_without_series_says_so() -> None:
    assert render(DASHBOARD, lambda _: [], 0, 10).count("no data") == len(PANELS)


def test_the_series_with_the_largest_last_value_comes_first() -> None:
    drawn = draw({"falls": [(0, 9), (9, 1)], "rises": [(0, 1), (9, 9)]}, "short", 0, 9)
    assert drawn.index("rises") < drawn.index("falls")


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0042, "s", "4.2 ms"),
        (90, "s", "1.5 min"),
        (0.5, "percentunit", "50.0%"),
        (1, "bool_yes_no", "yes"),
        (12345.6, "short", "12,346"),
        (0.25, "ops", "0.25"),
    ],
)
def test_a_value_is_shown_in_its_unit(value: float, unit: str, shown: str) -> None:
    assert number(value, unit) == shown
