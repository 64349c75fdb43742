"""Takes jobs through the steps that a worker and a relay would take."""

from typing import Any

import psycopg

from outbox.store import transitions

FAILED = {
    "outcome": ["failed"],
    "error_type": ["SMTPError"],
    "error_message": ["mailbox full"],
    "traceback": ["Traceback: mailbox full"],
}


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


def retry(database: psycopg.Connection, run: dict[str, Any], delay_seconds: float = 0) -> None:
    """The run fails, and the job waits for its next."""
    assert (
        database.execute(
            transitions.RETRY, {**run, **FAILED, "delay_seconds": [delay_seconds]}
        ).rowcount
        == 1
    )


def die(database: psycopg.Connection, run: dict[str, Any]) -> int:
    """The run fails, and the job is dead; its dead letter's id."""
    assert (
        database.execute(transitions.DIE, {**run, **FAILED, "reason": ["exhausted"]}).rowcount == 1
    )
    row = database.execute("SELECT max(id) FROM duly.dead_letters").fetchone()
    assert row
    return int(row[0])


def foreign(database: psycopg.Connection, body: bytes) -> int:
    """The relay finds a message that is no job of ours; its dead letter's id."""
    letter = {"queue": "email", "error_message": "no JSON", "body": body, "headers": "{}"}
    database.execute(transitions.KEEP_FOREIGN, {name: [value] for name, value in letter.items()})
    row = database.execute("SELECT max(id) FROM duly.dead_letters").fetchone()
    assert row
    return int(row[0])
