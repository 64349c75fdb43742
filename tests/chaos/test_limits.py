"""The oracle finds too many runs of an account at once, and orders that began before their turn."""

import pytest

from tests.chaos.accounts import Run
from tests.chaos.limits import most_at_once, wrong
from tests.chaos.orders import Order, Sort

FIRST = Order(key="first", sort=Sort.ORDERED, account="ordered-0")
SECOND = Order(key="second", sort=Sort.ORDERED, account="ordered-0")
ASKED = {"first": 1.0, "second": 3.0}
TOLD = {"first": 2.0, "second": 4.0}


def run(account: str, begin: int, last: int, key: str = "first", *, ended: bool = True) -> Run:
    """A run of a job of its own."""
    return Run(f"job-{begin}", key, account, begin, last, ended)


def faults(*runs: Run, asked: dict[str, float] = ASKED, told: dict[str, float] = TOLD) -> list[str]:
    """On two ordered orders, of which the second was placed after the first was accepted."""
    return wrong([FIRST, SECOND], runs, asked, told)


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ([], 0),
        ([(1, 1)], 1),
        ([(1, 3), (4, 6)], 1),
        ([(1, 5), (4, 6)], 2),
        ([(1, 9), (2, 3), (4, 4)], 2),
        ([(1, 9), (2, 8), (3, 3)], 3),
    ],
)
def test_those_that_ran_at_the_same_time_are_counted(
    spans: list[tuple[int, int]], most: int
) -> None:
    assert most_at_once(run("limited-0", *span) for span in spans) == most


def test_as_many_as_the_limit_says_may_run_at_once_in_each_account() -> None:
    both = [run("limited-0", 1, 5), run("limited-0", 2, 6)]
    assert faults(*both, run("limited-1", 3, 4), run("once-0", 3, 4)) == []


@pytest.mark.parametrize("account", ["limited-0", "ordered-0", "unique-0"])
def test_one_more_is_told_also_if_nobody_knows_how_it_ended(account: str) -> None:
    spans = [(1, 6), (2, 7), (3, 3)][0 if account == "limited-0" else 1 :]
    runs = [run(account, *span, ended=False) for span in spans]
    (fault,) = faults(*runs)
    assert fault.startswith(f"{account}: {len(runs)} jobs ran at once")


def test_ordered_ones_follow_each_other_whatever_attempts_they_took() -> None:
    failed = run("ordered-0", 1, 2, ended=False)
    assert faults(failed, run("ordered-0", 3, 4), run("ordered-0", 5, 6, "second")) == []


def test_one_that_began_before_the_earlier_one_had_ended_is_told() -> None:
    failed = run("ordered-0", 1, 2, ended=False)
    between = run("ordered-0", 3, 4, "second")
    fault = "second: began before first had ended"
    assert faults(failed, between, run("ordered-0", 5, 6)) == [fault]
    assert faults(between, run("ordered-0", 5, 6)) == [fault]


def test_those_that_were_placed_at_the_same_time_come_in_either_order() -> None:
    runs = [run("ordered-0", 1, 2, "second"), run("ordered-0", 3, 4)]
    assert faults(*runs, asked={"first": 1, "second": 1.5}) == []
