"""When a key was last used: written after the answer, once a minute, and best effort."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx2
import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from outbox.http.requests import late_writes
from outbox.operations import api_keys
from outbox.operations.api_keys import ApiKey, Scope
from tests.support.engine.by_hand import WAITING
from tests.support.wait import wait_for

SEEN = "UPDATE duly.api_keys SET last_seen_at = now() - interval '{}'"


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to Postgres meanwhile."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


def notes(sent: list[str]) -> int:
    return sum("last_seen_at" in statement for statement in sent)


def stored(session: Session) -> ApiKey:
    session.rollback()
    (key,) = api_keys.all_keys(session)
    return key


def test_the_first_use_of_a_key_is_noted_after_the_answer(
    client: httpx2.Client, session: Session
) -> None:
    assert stored(session).last_seen_at is None
    assert client.get("/v1/jobs").status_code == 200

    wait_for("the key to be seen", lambda: stored(session).last_seen_at)

    seen = stored(session).last_seen_at
    assert seen
    assert datetime.now(UTC) - seen < timedelta(minutes=1)


def test_a_request_within_the_minute_adds_no_statement(client: httpx2.Client) -> None:
    with statements() as sent:
        assert client.get("/v1/jobs").status_code == 200
        wait_for("the key to be seen", lambda: notes(sent))
    with statements() as sent:
        for _ in range(5):
            assert client.get("/v1/jobs").status_code == 200
    of_keys = [statement for statement in sent if "duly.api_keys" in statement]
    assert notes(sent) == 0
    assert len(of_keys) <= 1  # a lookup, if the last one is more than a second old


def test_a_process_notes_a_key_again_after_the_minute(
    client: httpx2.Client, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/v1/jobs")
    first = wait_for("the key to be seen", lambda: stored(session).last_seen_at)
    monkeypatch.setattr(api_keys, "SEEN_EVERY", timedelta(0))
    client.get("/v1/jobs")
    wait_for("a later use", lambda: (seen := stored(session).last_seen_at) and seen > first)


def test_processes_that_share_a_key_note_it_once_a_minute_together(
    session: Session, sql_now: psycopg.Connection
) -> None:
    prefix = api_keys.create(session, "shop", [Scope.READ], by="ops").split("_")[1]
    session.commit()

    def note_when_seen(ago: str) -> bool:
        sql_now.execute(SEEN.format(ago).encode())
        before = stored(session).last_seen_at
        api_keys.note_use(session, prefix)
        session.commit()
        return stored(session).last_seen_at != before

    assert [note_when_seen(ago) for ago in ("30 seconds", "2 minutes")] == [False, True]


def test_a_write_that_must_wait_delays_no_request_and_is_given_up(
    client: httpx2.Client, session: Session, sql_now: psycopg.Connection, database_url: str
) -> None:
    with psycopg.connect(database_url) as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr(late_writes, "LONGEST_SECONDS", 0.5)
        other.execute("SELECT FROM duly.api_keys FOR UPDATE")

        assert client.get("/v1/jobs").status_code == 200
        wait_for("the write to wait", lambda: sql_now.execute(WAITING).fetchone())
        assert client.get("/v1/jobs").status_code == 200
        assert sql_now.execute(WAITING).fetchone(), "a request waited for the write"

        wait_for("the write to be given up", lambda: not sql_now.execute(WAITING).fetchone())
    assert stored(session).last_seen_at is None


def test_a_write_that_fails_fails_no_request(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    sql_now.execute("ALTER TABLE duly.api_keys DROP COLUMN last_seen_at")  # as in an older version
    with statements() as sent:
        assert client.get("/v1/jobs").status_code == 200
        wait_for("the write", lambda: notes(sent))
        assert client.get("/v1/jobs").status_code == 200
