"""Statements that go to Postgres in one write, and what comes back."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import AdminShutdown, DivisionByZero, UniqueViolation
from psycopg.pq import TransactionStatus

from outbox.postgres.round_trip import Ask, PreparedStatement, array, named_rows, plain, round_trip
from tests.support.network import proxy

ECHO = PreparedStatement(
    "echo", "SELECT * FROM unnest(%(texts)s::text[], %(numbers)s::float8[]) AS echo (text, number)"
)
KEEP = PreparedStatement("keep", "INSERT INTO kept VALUES (%(text)s)")
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False)
Connection = psycopg.Connection[Any]


def ask(connection: Connection, *asks: Ask) -> list[list[tuple[Any, ...]]]:
    """What each was answered."""
    answers = connection.wait(round_trip(connection, *asks))
    return [named_rows(connection, answer) for answer in answers]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """One that knows the statements, and a table of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE kept (text text)")
        ask(connection, ECHO.prepare, KEEP.prepare)
        yield connection


def kept(connection: Connection) -> list[str]:
    """What is in the table."""
    return [text for (text,) in connection.execute("SELECT text FROM kept")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS | st.none(), NUMBERS)))
def test_arrays_arrive_as_they_are_and_none_as_an_empty_text(
    connection: Connection, sent: list[tuple[str | None, float]]
) -> None:
    columns = {"texts": array(text for text, _ in sent), "numbers": array(n for _, n in sent)}
    (received,) = ask(connection, ECHO.of(connection, columns))
    assert received == [(text or "", number) for text, number in sent]


def test_statements_without_a_begin_are_one_transaction(connection: Connection) -> None:
    with pytest.raises(DivisionByZero):
        ask(connection, KEEP.of(connection, {"text": "undone"}), plain("SELECT 1 / 0"))
    assert kept(connection) == []
    ask(connection, *(KEEP.of(connection, {"text": text}) for text in ("one", "other")))
    assert kept(connection) == ["one", "other"]


def test_the_first_error_is_raised_and_what_comes_behind_it_is_not_done(
    connection: Connection,
) -> None:
    behind = KEEP.of(connection, {"text": "behind"}), plain("SELECT * FROM nothing")
    with pytest.raises(DivisionByZero):
        ask(connection, plain("BEGIN"), plain("SELECT 1 / 0"), *behind, plain("COMMIT"))
    assert connection.info.transaction_status == TransactionStatus.INERROR
    connection.rollback()
    assert kept(connection) == []


def test_an_error_of_the_commit_is_raised_and_the_next_answer_is_to_the_next_question(
    connection: Connection,
) -> None:
    connection.execute("ALTER TABLE kept ADD UNIQUE (text) DEFERRABLE INITIALLY DEFERRED")
    twice = KEEP.of(connection, {"text": "twice"})
    with pytest.raises(UniqueViolation):
        ask(connection, twice, twice)
    assert ask(connection, plain("SELECT 1 AS n"), plain("SELECT 2 AS n")) == [[(1,)], [(2,)]]


@pytest.mark.parametrize(("text", "why"), [("cut \0 here", "NUL"), ("half a pair \ud800", "utf-8")])
def test_a_text_that_cannot_be_sent_is_refused_before_anything_is(
    connection: Connection, text: str, why: str
) -> None:
    with pytest.raises(psycopg.DataError, match=why):
        ask(connection, plain("BEGIN"), KEEP.of(connection, {"text": text}))
    assert connection.info.transaction_status == TransactionStatus.IDLE


def test_where_postgres_ends_the_connection_it_has_said_why(connection: Connection) -> None:
    with pytest.raises(AdminShutdown):
        ask(connection, plain("SELECT pg_terminate_backend(pg_backend_pid())"), plain("SELECT 1"))


def test_a_connection_that_is_cut_before_the_answer_is_an_error(database_url: str) -> None:
    with (
        proxy.before(database_url) as way,
        closing(psycopg.connect(way.url(database_url), autocommit=True)) as connection,
    ):
        way.swallow()
        answers = round_trip(connection, plain("SELECT 1"))
        next(answers)
        way.cut_swallowed()
        with pytest.raises(psycopg.OperationalError, match=r"server closed|reset by peer"):
            connection.wait(answers)
