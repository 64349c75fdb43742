"""The statement that submits a transaction's jobs, and its parameters."""

from collections.abc import Sequence

from pydantic_core import to_json
from sqlalchemy import TextClause

from outbox.postgres.any_driver import for_any_driver
from outbox.store import transitions

Row = dict[str, str | None]
"""One job as the parameters of SUBMIT, all of them text."""


def submission(rows: Sequence[Row]) -> tuple[str, Row]:
    """The transition that writes all rows, and its parameters.

    JSON is written in ASCII, which is valid in any client_encoding.
    """
    if len(rows) == 1:
        return transitions.SUBMIT, rows[0]
    return transitions.SUBMIT_ALL, _as_json(rows)


def submission_for_any_driver(rows: Sequence[Row]) -> tuple[TextClause, Row]:
    """The same for a driver whose parameters are not psycopg's, such as asyncpg."""
    return for_any_driver(transitions.SUBMIT_ALL), _as_json(rows)


def _as_json(rows: Sequence[Row]) -> Row:
    return {"jobs": to_json(rows, ensure_ascii=True).decode()}
