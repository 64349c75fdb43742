"""Acting on dead letters, one or many: find them, ask, act on exactly those, report.

The ids are found once, so that what the person was asked about is what is done. Each chunk is a
transaction of its own: after a crash the chunks before it are done, and the same command does the
rest.
"""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal
from uuid import UUID

import typer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from outbox import dead_letters
from outbox.dead_letters import Closed, DeadLetter, DeadLetterFilter
from service.cli.database import session
from service.cli.errors import Code, Stop, explain
from service.cli.output import Output, show, show_rows, talk
from service.cli.views import LETTER_COLUMNS, letter_view

PAGE = 1000
CHUNK = 500
SAMPLE = 10

Act = Literal["replay", "discard"]
ACTS = {"replay": dead_letters.replay, "discard": dead_letters.discard}
DONE = {"replay": "replayed", "discard": "discarded"}

Found = Mapping[int, UUID | None]
"""The ids of dead letters that match, the newest first, and their jobs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person wants done with which dead letters, at most `limit` of them."""

    act: Act
    wanted: DeadLetterFilter
    limit: int | None
    by: str
    why: str | None


def preview(plan: Plan, output: Output) -> None:
    """Print how many dead letters match, and the newest of them. Changes nothing."""
    with session() as db:
        found = _find(db, plan)
        sample = list(islice(_letters(db, plan.wanted), min(SAMPLE, len(found))))
    rows = [letter_view(letter, payloads=False) for letter in sample]
    if output is Output.TABLE:
        talk(f"{len(found)} dead letters match; the newest of them:")
        show_rows(rows, LETTER_COLUMNS, output)
    else:
        show({"matched": len(found), "sample": rows}, output)


def carry_out(plan: Plan, output: Output, *, yes: bool) -> None:
    """Do it, and print the dead letters that it closed.

    Asks first, unless `yes` or they were named one by one. Raises Stop where not all were closed.
    """
    with session() as db:
        found = _find(db, plan)
        if not yes and plan.wanted.ids is None:
            _ask(plan.act, len(found))
        closed = _close(db, plan, list(found))
    show_rows([{"id": each.id, "job_id": each.job_id} for each in closed], ("id", "job_id"), output)
    _report(plan, found, closed)


def _find(db: Session, plan: Plan) -> Found:
    with db.begin():
        matching = islice(_letters(db, plan.wanted), plan.limit)
        found = {letter.id: letter.job_id for letter in matching}
    if not found:
        raise Stop("no open dead letter matches", Code.NOTHING)
    return found


def _letters(db: Session, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
    last = None
    while page := dead_letters.find(db, wanted, limit=PAGE, before=last):
        yield from page
        last = page[-1].id


def _ask(act: Act, count: int) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop(f"{count} dead letters match: say --yes to {act} them", Code.USAGE)
    if not typer.confirm(f"{act.capitalize()} {count} dead letters?", err=True):
        raise Stop("nothing was done")


def _close(db: Session, plan: Plan, ids: Sequence[int]) -> list[Closed]:
    """Those that were closed for certain: it ends early where Postgres is lost on the way."""
    closed: list[Closed] = []
    try:
        for start in range(0, len(ids), CHUNK):
            with db.begin():
                chunk = ids[start : start + CHUNK]
                done = ACTS[plan.act](db, chunk, by=plan.by, why=plan.why)
            closed += done
            if len(ids) > CHUNK:
                talk(f"{start + len(chunk)} of {len(ids)} ...")
    except DBAPIError as error:
        if not closed:
            raise
        talk(f"{explain(error)}; the same command does the rest")
    return closed


def _report(plan: Plan, found: Found, closed: Sequence[Closed]) -> None:
    missing = set(plan.wanted.ids or ()) - found.keys()
    foreign = [letter_id for letter_id, job_id in found.items() if job_id is None]
    if missing:
        talk(f"not there, or not open: {_some(sorted(missing))}")
    if foreign and plan.act == "replay":
        talk(f"no job of ours, to discard and not to replay: {_some(foreign)}")
    total = len(found) + len(missing)
    summary = f"{len(closed)} of {total} {DONE[plan.act]}"
    if len(closed) < total:
        raise Stop(summary, Code.PARTLY if closed else Code.FAILED)
    talk(summary)


def _some(ids: Collection[int]) -> str:
    more = f" and {len(ids) - SAMPLE} more" if len(ids) > SAMPLE else ""
    return ", ".join(map(str, islice(ids, SAMPLE))) + more
