"""Takes jobs through the steps that a worker and a relay would take."""

import json
from typing import Any

import psycopg

from outbox.store import transitions

MAILBOX_FULL = ("SMTPError", "mailbox full")
"""The type of an error, and its message."""


def claim(
    database: psycopg.Connection, job_id: str, dispatch: int = 1, kind: str = "email.send"
) -> dict[str, Any]:
    """A worker takes the job; what names its run."""
    asked = {"id": [job_id], "dispatch": [dispatch], "kind": [kind]}
    row = database.execute(transitions.CLAIM, {**asked, "worker": "w1"}).fetchone()
    assert row
    return {**asked, "worker": "w1", "attempt": [row[1]]}


def succeed(database: psycopg.Connection, run: dict[str, Any], result: str) -> None:
    """The run succeeds with a result in JSON."""
    assert database.execute(transitions.SUCCEED, {**run, "result": [result]}).rowcount == 1


def progress(database: psycopg.Connection, run: dict[str, Any], **report: Any) -> None:
    """The run says how far it is."""
    told = {**run, "progress": [json.dumps(report)]}
    assert database.execute(transitions.SAVE_PROGRESS, told).rowcount == 1


def stop(database: psycopg.Connection, run: dict[str, Any]) -> None:
    """The run is interrupted, because somebody asked to cancel the job."""
    assert database.execute(transitions.STOP, run).rowcount == 1


def retry(database: psycopg.Connection, run: dict[str, Any], delay_seconds: float = 0) -> None:
    """The run fails, and the job waits for its next."""
    retried = {**run, **_failed(*MAILBOX_FULL), "delay_seconds": [delay_seconds]}
    assert database.execute(transitions.RETRY, retried).rowcount == 1


def die(
    database: psycopg.Connection, run: dict[str, Any], error: tuple[str, str] = MAILBOX_FULL
) -> int:
    """The run fails, and the job is dead; its dead letter's id."""
    died = {**run, **_failed(*error), "reason": ["exhausted"]}
    assert database.execute(transitions.DIE, died).rowcount == 1
    return _newest_letter(database)


def foreign(database: psycopg.Connection, body: bytes, headers: str = "{}") -> int:
    """The relay finds a message that is no job of ours; its dead letter's id."""
    letter = {"queue": "email", "error_message": "no JSON", "body": body, "headers": headers}
    database.execute(transitions.KEEP_FOREIGN, {name: [value] for name, value in letter.items()})
    return _newest_letter(database)


def _failed(error_type: str, message: str) -> dict[str, list[str]]:
    return {
        "outcome": ["failed"],
        "error_type": [error_type],
        "error_message": [message],
        "traceback": [f"Traceback:\n  {error_type}: {message}"],
        "trace": [""],
    }


def _newest_letter(database: psycopg.Connection) -> int:
    row = database.execute("SELECT max(id) FROM duly.dead_letters").fetchone()
    assert row
    return int(row[0])
