"""Moments and durations from the command line."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from outbox.cli.terminal.times import duration, moment, since


def test_durations_have_a_unit() -> None:
    assert [duration(text) for text in ("90s", "15m", "2h", "3d", "1w")] == [
        timedelta(seconds=90),
        timedelta(minutes=15),
        timedelta(hours=2),
        timedelta(days=3),
        timedelta(weeks=1),
    ]


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "2y", "٢h", "9999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)


def test_a_moment_has_its_time_zone() -> None:
    assert moment("2026-01-31T09:00:00+01:00") == datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-01-31T09:00:00", "9999-12-31T00:00:00Z"])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        moment(text)


def test_since_takes_an_age_or_a_moment() -> None:
    now = datetime.now(UTC)
    assert now <= since("2h") + timedelta(hours=2) < now + timedelta(minutes=1)
    assert since("2026-01-31T08:00:00Z") == datetime(2026, 1, 31, 8, tzinfo=UTC)
