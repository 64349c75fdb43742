"""Jobs with keys, limits and an order in an app's tests; some of their kinds are unique, too."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Job, Key, Kind, Retry, SubmittedJob, Unique, Work, actor, submit_all
from outbox.testing import drain, run

DAY = timedelta(days=1)
HOURLY = Retry(attempts=3, first=timedelta(hours=1))


class Booking(BaseModel):
    """Whose it is, and which one; how often it fails."""

    account: int
    number: int = 0
    failures: int = 0


def by_account(booking: Booking) -> str:
    return f"account:{booking.account}"


ORDERED = Kind("book.next", Booking, retry=HOURLY, key=Key(by_account, ordered=True))
UNIQUE = Kind(
    "book.all",
    Booking,
    key=(Key(by_account, ordered=True), Key(lambda _: "books", at_most=1)),
    unique=Unique("number"),
)
DEBOUNCED = Kind(
    "book.newest",
    Booking,
    key=Key(by_account, at_most=1),
    unique=Unique("number", debounce=timedelta(minutes=1), cap=timedelta(hours=1)),
)


@actor(ORDERED)
def book_next(booking: Booking, job: Job) -> int:
    """Its number, once it does not fail any more."""
    if job.attempt <= booking.failures:
        raise ValueError("not yet")
    return booking.number


@actor(UNIQUE)
def book_all(booking: Booking, _: Job) -> int:
    """Its number."""
    return booking.number


@actor(DEBOUNCED)
def book_newest(booking: Booking, _: Job) -> int:
    """Whose it was in the end."""
    return booking.account


ACTORS = (book_next, book_all, book_newest)


def submitted(engine: Engine, *works: Work[Booking]) -> list[SubmittedJob]:
    """All in one transaction."""
    with Session(engine) as session, session.begin():
        return submit_all(session, works)


def test_drain_keeps_the_order_of_a_key_also_while_its_first_job_waits_for_a_retry(
    engine: Engine,
) -> None:
    failing = ORDERED(account=1, number=1, failures=1)
    works = (failing, ORDERED(account=1, number=2), ORDERED(account=2, number=3))
    first, second, other = (job.id for job in submitted(engine, *works))
    assert [(job.id, job.state) for job in drain(ACTORS, engine)] == [
        (first, "queued"),
        (other, "succeeded"),
    ]
    later = drain(ACTORS, engine, until=datetime.now(UTC) + DAY)
    assert [(job.id, job.result) for job in later] == [(first, 1), (second, 2)]


def test_drain_runs_each_unique_job_once_whatever_limits_its_keys_have(engine: Engine) -> None:
    works = [UNIQUE(account=number % 2, number=number % 3) for number in range(6)]
    jobs = submitted(engine, *works)
    assert [job.is_duplicate for job in jobs] == [False] * 3 + [True] * 3
    assert [(job.id, job.result) for job in drain(ACTORS, engine)] == [
        (job.id, number) for number, job in enumerate(jobs[:3])
    ]
    (again,) = submitted(engine, works[0])
    assert [job.id for job in drain(ACTORS, engine)] == [again.id]


def test_drain_runs_a_debounced_job_under_the_key_of_its_newest_payload(engine: Engine) -> None:
    (first,) = submitted(engine, DEBOUNCED(account=1, number=7))
    (again,) = submitted(engine, DEBOUNCED(account=2, number=7))
    assert drain(ACTORS, engine) == []
    (ran,) = drain(ACTORS, engine, until=datetime.now(UTC) + DAY)
    assert (ran.id, ran.keys, ran.result) == (first.id, ["account:2"], 2)
    assert again.id == first.id


def test_run_waits_for_no_other_job_of_the_key_and_leaves_it_as_it_is(engine: Engine) -> None:
    waiting = submitted(engine, ORDERED(account=1, number=1), UNIQUE(account=1, number=2))
    assert run(book_next, Booking(account=1, number=5), engine) == 5
    assert run(book_all, Booking(account=1, number=2), engine) == 2
    assert run(book_newest, Booking(account=1), engine) == 1
    with pytest.raises(ValueError, match="not yet"):
        run(book_next, Booking(account=1, failures=1), engine)
    assert [job.id for job in drain(ACTORS, engine)] == [job.id for job in waiting]
