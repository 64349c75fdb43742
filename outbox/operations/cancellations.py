"""Cancels of many jobs: a list of jobs on record, of which one piece after the other is cancelled.

The list is frozen: it is found once, and kept as an act, so that nobody cancels others than were
looked at. It holds all that is needed to go on, and how far it is can be read from the jobs: if
whoever cancels dies, anybody does the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox.operations import acts, jobs

ACT = "cancel-plan"
PIECE = 500
"""How many jobs one transaction cancels."""
JOB = "job:"

Outcome = Literal["open", "cancelled", "asked", "ended", "unknown"]
"""`open` is still to be cancelled; `asked` runs, and its actor is interrupted; `ended` succeeded or
is dead; `unknown` is not there."""

_OUTCOME = """
CASE WHEN job.id IS NULL THEN 'unknown'
     WHEN job.state = 'cancelled' THEN 'cancelled'
     WHEN job.finished_at IS NOT NULL THEN 'ended'
     WHEN job.cancel_requested_at IS NOT NULL THEN 'asked'
     ELSE 'open' END
"""
# Each job is read by its index, whatever Postgres thinks of the length of the list.
_LISTED = f"""
SELECT listed.place, listed.id, {_OUTCOME} AS outcome
FROM (SELECT place, substr(thing, {len(JOB) + 1})::uuid AS id
      FROM duly.acts CROSS JOIN LATERAL unnest(about) WITH ORDINALITY AS things (thing, place)
      WHERE acts.id = :act AND acts.act = '{ACT}' AND place > :after) AS listed
LEFT JOIN LATERAL (
    SELECT id, state, finished_at, cancel_requested_at FROM duly.jobs
    WHERE jobs.id = listed.id LIMIT 1
) AS job ON true
"""  # noqa: S608 - no input
_COUNTED = text(f"SELECT outcome, count(*) AS jobs FROM ({_LISTED}) AS found GROUP BY outcome")  # noqa: S608
_PAGE = text(f"{_LISTED} ORDER BY listed.place LIMIT :most")
_NEXT = text(
    f"SELECT id FROM ({_LISTED}) AS found "  # noqa: S608
    "WHERE outcome = 'open' ORDER BY place LIMIT :most"
)
_NAMED = text(f"""
SELECT asked.id, {_OUTCOME} AS outcome
FROM unnest(CAST(:ids AS uuid[])) AS asked (id)
LEFT JOIN LATERAL (
    SELECT id, state, finished_at, cancel_requested_at FROM duly.jobs
    WHERE jobs.id = asked.id LIMIT 1
) AS job ON true
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A list of jobs to cancel, as it was recorded."""

    id: int
    at: datetime
    who: str
    why: str | None
    jobs: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A job of the list, and what has become of it by now. `place` counts from 1."""

    place: int
    id: UUID
    outcome: Outcome


def record(session: Session, ids: Sequence[UUID], *, by: str, why: str | None = None) -> int:
    """Record that these jobs are to be cancelled, and cancel none; returns the list's id."""
    return acts.record(session, ACT, (f"{JOB}{each}" for each in ids), who=by, why=why)


def get(session: Session, act_id: int) -> Cancellation | None:
    """The list of this id, or None."""
    found = acts.get_summary(session, act_id)
    if found is None or found.act != ACT:
        return None
    return Cancellation(found.id, found.at, found.who, found.why, found.things)


def count(session: Session, act_id: int) -> dict[Outcome, int]:
    """How many jobs of the list have come to which outcome by now."""
    found = session.execute(_COUNTED, {"act": act_id, "after": 0})
    return {row.outcome: row.jobs for row in found}


def page(session: Session, act_id: int, *, after: int = 0, limit: int = 50) -> list[Listed]:
    """The jobs of the list in its order, from the one after the place `after`."""
    found = session.execute(_PAGE, {"act": act_id, "after": after, "most": limit})
    return [Listed(row.place, row.id, row.outcome) for row in found]


def left(session: Session, act_id: int, *, most: int | None = None) -> list[UUID]:
    """The jobs of the list that are still to be cancelled, in its order."""
    return [*session.scalars(_NEXT, {"act": act_id, "after": 0, "most": most})]


def cancel(
    session: Session, ids: Sequence[UUID], *, by: str, why: str | None = None
) -> dict[UUID, Outcome]:
    """Cancel these jobs, and tell what became of each, in one statement or two.

    It is `cancelled` or `asked` for those that this call cancelled or asked, and `ended` or
    `unknown` for the others. Records who and why in the same transaction.
    """
    states = jobs.cancel_all(session, ids, by=by, why=why)
    words: dict[str, Outcome] = {"cancelled": "cancelled", "running": "asked"}
    others = [each for each in ids if each not in states]
    found = session.execute(_NAMED, {"ids": others}) if others else ()
    missed: dict[UUID, Outcome] = {
        row.id: "unknown" if row.outcome == "unknown" else "ended" for row in found
    }
    return {each: words[states[each]] if each in states else missed[each] for each in ids}
