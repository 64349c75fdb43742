"""The statements that write a transaction's jobs and messages, and their parameters."""

from collections.abc import Sequence

from pydantic_core import to_json
from sqlalchemy import TextClause

from outbox.postgres.any_driver import for_any_driver
from outbox.store import transitions

Row = dict[str, str | None]
"""One job as the parameters of SUBMIT, all of them text.

A member of a batch has a `batch_id`, too. A row with `is_new` or `is_sealed` is no job, but a batch
that is made or sealed. One with `exchange` is a message to another service.
"""


def submission(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """The transitions that write all rows, each with its parameters.

    JSON is written in ASCII, which is valid in any client_encoding.
    """
    messages = [row for row in rows if is_message(row)]
    if not messages:
        return [_of_jobs(rows)]
    jobs = [row for row in rows if not is_message(row)]
    publication: tuple[str, Row] = transitions.PUBLISH, {"messages": _as_json(messages)}
    return [_of_jobs(jobs), publication] if jobs else [publication]


def submission_for_any_driver(rows: Sequence[Row]) -> list[tuple[TextClause, Row]]:
    """The same for a driver whose parameters are not psycopg's, such as asyncpg."""
    return [
        (for_any_driver(transitions.SUBMIT_ALL), {"jobs": _as_json([parameters])})
        if transition is transitions.SUBMIT
        else (for_any_driver(transition), parameters)
        for transition, parameters in submission(rows)
    ]


def _of_jobs(rows: Sequence[Row]) -> tuple[str, Row]:
    if any("batch_id" in row for row in rows):
        return transitions.SUBMIT_MEMBERS, _with_batches(rows)
    if len(rows) == 1:
        return transitions.SUBMIT, rows[0]
    return transitions.SUBMIT_ALL, {"jobs": _as_json(rows)}


def is_message(row: Row) -> bool:
    """Whether the row is a message to another service."""
    return "exchange" in row


def is_job(row: Row) -> bool:
    """Whether the row is a job, and no batch or message."""
    return "kind" in row


def _with_batches(rows: Sequence[Row]) -> Row:
    batches: dict[str | None, Row] = {}
    for row in rows:
        if not is_job(row):
            unsaid: Row = {"id": row["batch_id"], "is_new": "false", "is_sealed": "false"}
            batches.setdefault(row["batch_id"], unsaid).update(row)
    jobs = [row for row in rows if is_job(row)]
    return {"jobs": _as_json(jobs), "batches": _as_json([*batches.values()])}


def _as_json(rows: Sequence[Row]) -> str:
    return to_json(rows, ensure_ascii=True).decode()
