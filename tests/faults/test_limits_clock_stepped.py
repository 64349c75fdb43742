"""Postgres's clock is stepped while limited, ordered and unique jobs run and wait."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from outbox import Actor, Job, Key, Kind, Unique, flush_jobs, submit
from tests.faults.test_clock_stepped import postgres as postgres
from tests.faults.test_clock_stepped_at_a_tick import AHEAD
from tests.faults.test_clock_stepped_at_a_tick import engine as engine
from tests.support.engine.keyed import sampled
from tests.support.engine.line import Line, Note, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.servers.stepped_clock import SteppedPostgres
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

BOOKED = "CREATE TABLE booked (text text, number serial)"
ASKED = "CREATE TABLE asked (done boolean DEFAULT false)"
BOOK = text("INSERT INTO booked (text) VALUES (:text)")
DO = text("UPDATE asked SET done = true WHERE NOT done")
UNFINISHED = "SELECT FROM duly.jobs WHERE state <> 'succeeded'"
BACKLOG = 25
"""Each step finds more jobs than end before every session of Postgres has noticed it."""
OFFSET = "SELECT extract(epoch FROM now()) - %s"


def by_text(note: Note) -> str:
    return f"text:{note.text}"


class Shop:
    """Three kinds, relays and workers for them, and what their actors have done."""

    def __init__(self, engine: Engine, queue: str) -> None:
        self._engine = engine
        self.kinds: tuple[Kind[..., Any], ...] = (
            note_kind(queue, "test.limited", key=Key(by_text, at_most=2)),
            note_kind(queue, "test.ordered", key=Key(by_text, ordered=True)),
            note_kind(queue, "test.unique", unique=Unique("text"), key=Key(by_text, at_most=1)),
        )
        self.asked = 0
        """How many of each kind were submitted."""
        self._working: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        """How many actors of each text worked at once at most."""

    @property
    def actors(self) -> list[Actor[Any, Any]]:
        """They take a while, so that some run and some wait whenever the clock is stepped."""
        limited, ordered, unique = self.kinds
        return [Actor(limited, self._book), Actor(ordered, self._book), Actor(unique, self._do)]

    def ask(self) -> None:
        """One of each."""
        limited, ordered, unique = self.kinds
        with Session(self._engine) as session, session.begin():
            submit(session, limited(text="limited"))
            submit(session, ordered(text="ordered", secret=f"{self.asked:03}"))
            submit(session, unique(text="unique"))
            flush_jobs(session)
            session.execute(text("INSERT INTO asked DEFAULT VALUES"))
        self.asked += 1

    def _book(self, note: Note, job: Job) -> None:
        with self._counted(note.text):
            time.sleep(0.1)
            if note.secret.endswith("5") and job.attempt == 1:
                raise ValueError("for once")
            with job.transaction() as tx:
                tx.execute(BOOK, {"text": note.secret or note.text})

    def _do(self, note: Note, job: Job) -> None:
        with self._counted(note.text), job.transaction() as tx:
            tx.execute(DO)
            time.sleep(0.1)

    @contextmanager
    def _counted(self, text: str) -> Iterator[None]:
        self._working[text] += 1
        self.most[text] = max(self.most[text], self._working[text])
        try:
            yield
        finally:
            self._working[text] -= 1


@pytest.fixture
def queue(amqp_url: str) -> Iterator[str]:
    """A queue that was never used, and is gone afterwards."""
    name = f"clock.{token_hex(4)}"
    yield name
    with closing(Rabbit(amqp_url)) as rabbit:
        rabbit.delete(name)


def test_no_step_of_the_clock_lets_a_job_run_before_its_turn_or_loses_what_it_is_to_do(
    postgres: SteppedPostgres, engine: Engine, amqp_url: str, queue: str
) -> None:
    """Two seconds back, and ninety minutes ahead."""
    url, shop = postgres.url("postgres"), Shop(engine, queue)
    line = Line(engine, url, amqp_url)
    with ExitStack() as exits, psycopg.connect(url, autocommit=True) as sql:
        exits.callback(line.stop)
        for table in (BOOKED, ASKED):
            sql.execute(table)
        most_running = exits.enter_context(sampled(url))
        for _ in range(2):
            line.start_relay(queue, kinds=shop.kinds)
            line.start_worker(*shop.actors)
        for seconds in (-2, AHEAD):
            postgres.step(seconds)
            while abs(_offset(sql) - seconds) > 1 or shop.asked % BACKLOG:
                shop.ask()
        wait_for("all done", lambda: not sql.execute(UNFINISHED).rowcount)
        booked = [each for (each,) in sql.execute("SELECT text FROM booked ORDER BY number")]
        undone = sql.execute("SELECT FROM asked WHERE NOT done").rowcount
        ends = {outcome for (outcome,) in sql.execute("SELECT outcome FROM duly.attempts")}
    assert most_running == {"text:limited": 2, "text:ordered": 1, "text:unique": 1}
    assert [each for each in booked if each != "limited"] == [f"{n:03}" for n in range(shop.asked)]
    assert booked.count("limited") == shop.asked
    assert undone == 0
    assert shop.most == {"limited": 2, "ordered": 1, "unique": 1}
    assert ends == {"failed"}


def _offset(sql: "psycopg.Connection[Any]") -> float:
    """How far Postgres's clock is ahead."""
    row = sql.execute(OFFSET, [time.time()]).fetchone()
    assert row
    return float(row[0])
