from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.web.retry_after import retry_in

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_seconds_are_read() -> None:
    assert retry_in("120", NOW) == timedelta(minutes=2)


def test_a_date_is_read() -> None:
    in_an_hour = format_datetime(NOW + timedelta(hours=1), usegmt=True)
    assert retry_in(in_an_hour, NOW) == timedelta(hours=1)


def test_a_date_in_the_past_means_now() -> None:
    assert retry_in("Wed, 21 Oct 2015 07:28:00 GMT", NOW) == timedelta()


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1.5", "²"])
def test_what_is_neither_is_no_wish(header: str | None) -> None:
    assert retry_in(header, NOW) is None


@given(st.text() | st.integers().map(str) | st.datetimes().map(format_datetime))
def test_no_header_makes_it_fail_or_go_back_in_time(header: str) -> None:
    delay = retry_in(header, NOW)
    assert delay is None or delay >= timedelta()
