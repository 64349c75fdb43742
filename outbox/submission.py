"""The statement that submits a transaction's jobs, and its parameters."""

from collections.abc import Sequence

from pydantic_core import to_json

from outbox import steps

Row = dict[str, str | None]
"""What is submitted of a job, as text; the names are those of SUBMIT's parameters."""


def submission(rows: Sequence[Row]) -> tuple[str, Row]:
    """The step that writes them all, and what it takes: JSON is ASCII, for any client_encoding."""
    if len(rows) == 1:
        return steps.SUBMIT, rows[0]
    return steps.SUBMIT_ALL, {"jobs": to_json(rows, ensure_ascii=True).decode()}
