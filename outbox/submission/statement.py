"""The statement that submits a transaction's jobs, and its parameters."""

from collections.abc import Sequence

from pydantic_core import to_json
from sqlalchemy import TextClause, text

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


_FOR_ANY_DRIVER = text(transitions.SUBMIT_ALL.replace("%(jobs)s::json", "CAST(:jobs AS json)"))


def submission_for_any_driver(rows: Sequence[Row]) -> tuple[TextClause, Row]:
    """The same for a driver whose parameters are not psycopg's, such as asyncpg."""
    return _FOR_ANY_DRIVER, _as_json(rows)


def _as_json(rows: Sequence[Row]) -> Row:
    return {"jobs": to_json(rows, ensure_ascii=True).decode()}
