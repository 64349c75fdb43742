"""Sensitive values stay in the payload: no table of errors and no log line shows them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from outbox import Actor, Job, Snooze
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for

SECRET = "hunter2-and-'quotes'\n-and-a-line" + 100 * "-long"


class Strict(BaseModel):
    """What an actor makes of the secret."""

    secret: int


def quote(note: Note, job: Job) -> None:
    """An error that quotes the secret, and its representation."""
    raise ValueError(f"cannot log in with {note.secret} or {note.secret!r}")


def quote_in_cause(note: Note, job: Job) -> None:
    """An error whose cause quotes it."""
    sessions: dict[str, str] = {}
    try:
        sessions[note.secret]
    except KeyError as error:
        raise ValueError("cannot log in") from error


def quote_in_validation(note: Note, job: Job) -> None:
    """A validation error, which quotes its input shortened."""
    Strict.model_validate({"secret": note.secret})


def quote_in_validation_cause(note: Note, job: Job) -> None:
    """The same as the cause of another error."""
    try:
        Strict.model_validate({"secret": note.secret})
    except ValueError as error:
        raise RuntimeError("cannot log in") from error


def quote_in_sql(note: Note, job: Job) -> None:
    """A statement that Postgres refuses, with the secret as its parameter."""
    with job.transaction() as tx:
        tx.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": note.secret})


def quote_when_done(note: Note, job: Job) -> None:
    """An error after the transaction, which is only logged."""
    with job.transaction():
        pass
    raise ValueError(f"cannot log out with {note.secret}")


def quote_in_snooze(note: Note, job: Job) -> None:
    """A reason to wait."""
    if job.dispatch == 1:
        raise Snooze(timedelta(), f"{note.secret} is not known yet")


@pytest.mark.parametrize(
    "do",
    [
        quote,
        quote_in_cause,
        quote_in_validation,
        quote_in_validation_cause,
        quote_in_sql,
        quote_when_done,
        quote_in_snooze,
    ],
)
def test_no_error_shows_a_sensitive_value(
    line: Line,
    by_hand: ByHand,
    queue: str,
    do: Callable[[Note, Job], Any],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    kind = note_kind(queue, sensitive=("secret",))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind(secret=SECRET))
    wait_for("its end", lambda: line.job(job).finished_at)
    line.stop()

    kept = by_hand.attempts(job), by_hand.letters(job)
    shown = f"{kept} {capfd.readouterr()} {caplog.text}"
    assert str(job) in shown
    for part in ("hunter2", "and-a-line", "-long-long"):
        assert part not in shown
    assert line.job(job).payload["secret"] == SECRET
