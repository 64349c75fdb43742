"""The statements that submit a transaction's jobs, and their parameters."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json

from outbox.store import transitions
from outbox.submission.unique_rows import Row, UniqueRow, one_of_each_key, tell

__all__ = ["STATEMENTS", "Row", "Submission", "is_job", "submissions"]

STATEMENTS = (
    transitions.SUBMIT,
    transitions.SUBMIT_ALL,
    transitions.SUBMIT_MEMBERS,
    transitions.SUBMIT_UNIQUE,
    transitions.DEBOUNCE,
)
"""All statements that submit jobs."""


class Submission(NamedTuple):
    """One statement. It returns rows if there are jobs to be told what has become of them."""

    transition: str
    parameters: Row
    unique: Sequence[UniqueRow] = ()

    def tell(self, answer: Iterable[Any]) -> None:
        """Tell the jobs of unique kinds which jobs they are, given the statement's rows."""
        tell(self.unique, {(row.kind, row.key): UUID(row.job_id) for row in answer})


def submissions(rows: Sequence[Row], *, one: str = transitions.SUBMIT) -> list[Submission]:
    """The transitions that write all rows, in order; `one` is that of a single job.

    Those of unique kinds come last: they lock the keys, and others may wait for that.
    """
    unique = [row for row in rows if isinstance(row, UniqueRow)]
    if not unique:
        return [_plain(rows, one)]
    plain = [row for row in rows if not isinstance(row, UniqueRow)]
    return [*([_plain(plain, one)] if plain else []), *_unique(unique)]


def is_job(row: Row) -> bool:
    """Whether the row is a job, and no batch."""
    return "kind" in row


def _plain(rows: Sequence[Row], one: str) -> Submission:
    if any("batch_id" in row for row in rows):
        return Submission(transitions.SUBMIT_MEMBERS, _with_batches(rows))
    if len(rows) == 1 and one == transitions.SUBMIT:
        return Submission(transitions.SUBMIT, rows[0])
    return Submission(transitions.SUBMIT_ALL, {"jobs": _as_json(rows)})


def _unique(rows: Sequence[UniqueRow]) -> Iterable[Submission]:
    """One job of each key, then what debounces those that there were already."""
    jobs: Row = {"jobs": _as_json(one_of_each_key(rows))}
    yield Submission(transitions.SUBMIT_UNIQUE, jobs, rows)
    if any(row["debounce_seconds"] is not None for row in rows):
        yield Submission(transitions.DEBOUNCE, jobs)


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
