"""The oracle finds orders that were lost on a job, and two jobs of an account at a time."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.accounts import Run, Wish
from tests.chaos.orders import Order, Sort
from tests.chaos.uniques import absorbed, wrong

ASKED = {"a": 1.0, "b": 3.0}
TOLD = {"a": 2.0, "b": 4.0}


def faults(sort: Sort, wishes: list[Wish], runs: list[Run], **more: Any) -> list[str]:
    """On two orders of an account, of which b was placed after a was accepted."""
    orders = [Order(key=key, sort=sort, account=f"{sort}-0") for key in "ab"]
    return wrong(orders, runs, wishes, ASKED, TOLD, **more)


def wish(key: str, job: str, done: int | None = None) -> Wish:
    return Wish(key, "account", job, done)


def run(job: str, key: str, begin: int, last: int, *, ended: bool = True) -> Run:
    return Run(job, key, "unique-0", begin, last, ended)


def once(*about: Any, **more: Any) -> Run:
    """A run of a job that holds its key to the end."""
    return replace(run(*about, **more), account="once-0")


BOTH = [wish("a", "one", 5), wish("b", "one", 6)]


def test_one_job_may_do_both_and_another_what_was_left() -> None:
    assert faults(Sort.UNIQUE, BOTH, [run("one", "a", 1, 9)]) == []
    assert faults(Sort.DEBOUNCED, BOTH, [run("one", "b", 1, 9)]) == []
    assert absorbed(BOTH) == 1
    two = [wish("a", "one", 5), wish("b", "two", 15)]
    runs = [run("one", "a", 1, 9), run("two", "b", 11, 19)]
    for sort in (Sort.UNIQUE, Sort.DEBOUNCED):
        assert faults(sort, two, runs) == []
    assert absorbed(two) == 0


def test_a_retry_beside_a_newer_job_may_find_nothing_to_do() -> None:
    two = [wish("a", "one", 5), wish("b", "two", 6)]
    runs = [run("two", "b", 3, 7), run("one", "a", 1, 2, ended=False), run("one", "a", 8, 9)]
    assert faults(Sort.UNIQUE, two, runs) == []


@pytest.mark.parametrize("done", [None, 10])
def test_an_order_that_became_a_job_which_had_begun_is_told(done: int | None) -> None:
    wishes = [wish("a", "one", 5), wish("b", "one", done)]
    assert faults(Sort.UNIQUE, wishes, [run("one", "a", 1, 9)]) == [
        "b: it became a job that had begun"
    ]


@pytest.mark.parametrize("sort", [Sort.UNIQUE, Sort.ONCE])
def test_an_order_whose_job_has_not_run_to_its_end_is_told(sort: Sort) -> None:
    runs = [run("one", "a", 1, 9, ended=False)]
    assert faults(sort, [wish("a", "one", 5)], runs) == ["a: its job has not run to its end"]


def test_a_debounced_job_that_ran_for_an_older_order_is_told_and_another_for_a_newer() -> None:
    old, new = [run("one", "a", 1, 9)], [run("one", "b", 1, 9)]
    assert faults(Sort.DEBOUNCED, BOTH, old) == ["b: its job ran for the older a"]
    assert faults(Sort.UNIQUE, BOTH, new) == ["a: its job ran for the newer b"]


def test_two_jobs_at_a_time_where_the_key_is_held_to_the_end_are_told() -> None:
    wishes = [wish("a", "one"), wish("b", "two")]
    ended = once("one", "a", 1, 9)
    assert faults(Sort.ONCE, wishes, [ended, once("two", "b", 10, 11)]) == []
    early = once("two", "b", 8, 11)
    fault = "once-0: two began before one had ended"
    assert faults(Sort.ONCE, wishes, [ended, early]) == [fault]
    failed = [once("one", "a", 1, 2, ended=False), early, once("one", "a", 12, 13)]
    assert faults(Sort.ONCE, wishes, failed) == [fault]
    assert "its job has not" in faults(Sort.ONCE, wishes, [*failed[:2]], dead={"a"})[0]
    assert fault not in faults(Sort.ONCE, wishes, [*failed[:2]], dead={"a"})
