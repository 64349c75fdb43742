import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox import Retry, Snooze
from outbox.errors import LONGEST_WAIT, TimeLimitExceeded

spans = st.timedeltas(timedelta(), timedelta(days=3650))


class Busy(Exception):
    """An error that brings its own delay."""

    def __init__(self, retry_in: timedelta) -> None:
        super().__init__("busy")
        self.retry_in = retry_in


@given(st.integers(1, 10_000), spans, spans)
def test_the_delay_is_never_negative_and_never_above_longest(
    spent: int, first: timedelta, longest: timedelta
) -> None:
    policy = Retry(first=first, longest=longest)
    assert timedelta() <= policy.delay(spent, ValueError()) <= longest


@given(st.integers(1, 30))
def test_the_bound_doubles_with_each_attempt_up_to_longest(spent: int) -> None:
    policy = Retry(first=timedelta(seconds=5), longest=timedelta(hours=1))
    highest = policy.delay(spent, ValueError(), uniform=lambda _, high: high)
    assert highest == timedelta(seconds=min(5 * 2 ** (spent - 1), 3600))


def test_full_jitter_draws_from_the_whole_range() -> None:
    policy = Retry(first=timedelta(seconds=100))
    draw = random.Random(1).uniform
    delays = [policy.delay(1, ValueError(), draw).total_seconds() for _ in range(500)]
    assert min(delays) < 5
    assert max(delays) > 95


@given(st.timedeltas())
def test_an_errors_own_delay_is_taken_within_bounds(asked: timedelta) -> None:
    policy = Retry(longest=timedelta(hours=1))
    assert policy.delay(1, Busy(asked)) == min(max(asked, timedelta()), timedelta(hours=1))


class Unreadable(Exception):
    """An error that takes a date for a number of seconds."""

    @property
    def retry_in(self) -> timedelta:
        return timedelta(seconds=int("Wed, 21 Oct 2015 07:28:00 GMT"))


def test_an_error_that_fails_to_say_its_delay_gets_the_ordinary_one() -> None:
    policy = Retry(first=timedelta(seconds=5))
    assert policy.delay(2, Unreadable(), lambda _, high: high) == timedelta(seconds=10)


@pytest.mark.parametrize("error", [ValueError(), OSError(), TimeLimitExceeded()])
def test_by_default_every_error_and_a_time_limit_are_retried(error: BaseException) -> None:
    assert Retry().allows(error)


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt()])
def test_by_default_the_will_to_exit_is_not_retried(error: BaseException) -> None:
    assert not Retry().allows(error)


def test_an_error_in_never_or_of_its_subclasses_is_not_retried() -> None:
    policy = Retry(never=(LookupError,))
    assert not policy.allows(KeyError("x"))
    assert policy.allows(ValueError("x"))


def test_with_only_no_other_error_is_retried() -> None:
    policy = Retry(only=(OSError,))
    assert policy.allows(ConnectionResetError())
    assert not policy.allows(ValueError())


def test_never_goes_before_only() -> None:
    assert not Retry(only=(OSError,), never=(FileNotFoundError,)).allows(FileNotFoundError())


def test_a_policy_without_an_attempt_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one attempt"):
        Retry(attempts=0)


@pytest.mark.parametrize("wrong", [{"never": ["LookupError"]}, {"first": 5}, {"longest": "1h"}])
def test_what_is_of_another_type_is_found_where_it_is_declared(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, AttributeError)):
        Retry(**wrong)


def test_a_snooze_says_how_long_and_why() -> None:
    snooze = Snooze(timedelta(seconds=3), "the report is being made")
    assert (snooze.delay, str(snooze)) == (timedelta(seconds=3), "the report is being made")


def test_no_wait_ends_beyond_the_dates_that_python_knows() -> None:
    assert Snooze(timedelta.max).delay == LONGEST_WAIT
    endless = Retry(first=timedelta.max, longest=timedelta.max)
    assert endless.delay(1, ValueError(), uniform=lambda _, high: high) == LONGEST_WAIT
    assert endless.delay(1, Busy(timedelta.max)) == LONGEST_WAIT


@given(st.timedeltas(max_value=timedelta()))
def test_a_snooze_into_the_past_ends_now(delay: timedelta) -> None:
    assert Snooze(delay).delay == timedelta()
