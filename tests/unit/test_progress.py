import json
import math
from typing import Any

import pytest

from outbox.job import progress
from outbox.job.progress import Progress
from outbox.operations.progress import read


@pytest.mark.parametrize(
    ("done", "total", "note"),
    [
        (3, 0, None),
        (-1, None, None),
        (-1, 5, None),
        (1, -5, None),
        (math.nan, 5, None),
        (1, math.nan, None),
        (math.inf, None, None),
        (10**400, None, None),
        (1, 2, "x" * 201),
        (1, 2, "a\0b"),
        (1, 2, "\ud800"),
    ],
)
def test_what_is_no_progress_is_refused_at_once(
    done: float, total: float | None, note: str | None
) -> None:
    reports = Progress()
    with pytest.raises(ValueError, match=r"number|done|note|surrogates"):
        reports.report(done, total, note)
    assert reports.take_last() is None


@pytest.mark.parametrize(("done", "total"), [(0, 0), (0, None), (0.5, 1), (7, 7)])
def test_what_is_progress_is_taken(done: float, total: float | None) -> None:
    reports = Progress()
    reports.report(done, total, None)
    assert json.loads(reports.take_last() or "") == {"done": done, "total": total, "note": None}


def test_only_the_newest_report_is_taken_and_only_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports = Progress()
    for done in range(1000):
        reports.report(done, 1000, None)
    assert json.loads(reports.take() or "")["done"] == 999
    reports.report(1000, 1000, None)
    assert reports.take() is None
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0)
    assert json.loads(reports.take() or "")["done"] == 1000
    reports.report(1000, 1000, None)
    assert reports.take() is None  # it is no news


def test_a_report_that_was_not_written_is_news_again() -> None:
    reports = Progress()
    reports.report(1, None, None)
    first = reports.take_last()
    assert reports.take_last() is None
    reports.not_written()
    assert reports.take_last() == first


def stored(**more: Any) -> dict[str, Any]:
    """What SAVE_PROGRESS stores of the second report of attempt 2: 30 of 60, after 10 s."""
    first = {"from": 10, "since": "2026-01-31T09:00:00+00:00"}
    report = {"done": 30, "total": 60, "note": None, "at": "2026-01-31T09:00:10+00:00"}
    return first | report | {"attempt": 2} | more


def test_the_end_is_estimated_by_the_rate_of_this_attempt() -> None:
    found = read(stored(), running=2)
    assert found
    assert found.ends_at
    assert found.ends_at.isoformat() == "2026-01-31T09:00:25+00:00"
    assert found.share == 0.5


@pytest.mark.parametrize(
    ("change", "running"),
    [
        ({}, 3),
        ({}, None),
        ({"total": None}, 2),
        ({"done": 10}, 2),
        ({"done": 5}, 2),
        ({"at": "2026-01-31T09:00:00+00:00"}, 2),
        ({"total": 1e300}, 2),
    ],
)
def test_an_unknown_rate_gives_no_estimate(change: dict[str, Any], running: int | None) -> None:
    found = read(stored(**change), running)
    assert found
    assert found.ends_at is None


def test_nothing_to_do_is_all_done() -> None:
    found = read(stored(done=0, total=0), None)
    assert found
    assert found.share == 1
