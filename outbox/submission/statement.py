"""The statement that submits a transaction's jobs, and its parameters."""

from collections.abc import Sequence

from pydantic_core import to_json
from sqlalchemy import TextClause

from outbox.postgres.any_driver import for_any_driver
from outbox.store import transitions

Row = dict[str, str | None]
"""One job as the parameters of SUBMIT, all of them text.

A job with keys has `keys`, the text of an array, and `is_ordered`. A member of a batch has a
`batch_id`, too. A row with `is_new` or `is_sealed` is no job, but a batch that is made or sealed.
"""


def submission(rows: Sequence[Row]) -> tuple[str, Row]:
    """The transition that writes all rows, and its parameters.

    JSON is written in ASCII, which is valid in any client_encoding.
    """
    if any("batch_id" in row for row in rows):
        return transitions.SUBMIT_MEMBERS, _with_batches(rows)
    if any("keys" in row for row in rows):
        return transitions.SUBMIT_KEYED, {"jobs": _as_json(rows)}
    if len(rows) == 1:
        return transitions.SUBMIT, rows[0]
    return transitions.SUBMIT_ALL, {"jobs": _as_json(rows)}


def submission_for_any_driver(rows: Sequence[Row]) -> tuple[TextClause, Row]:
    """The same for a driver whose parameters are not psycopg's, such as asyncpg."""
    if any("batch_id" in row for row in rows):
        return for_any_driver(transitions.SUBMIT_MEMBERS), _with_batches(rows)
    has_keys = any("keys" in row for row in rows)
    transition = transitions.SUBMIT_KEYED if has_keys else transitions.SUBMIT_ALL
    return for_any_driver(transition), {"jobs": _as_json(rows)}


def is_job(row: Row) -> bool:
    """Whether the row is a job, and no batch."""
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
