"""Acting on dead letters, one or many: find them, ask, act on exactly those, report.

The ids are found once, so that what the person was asked about is what is done. Each chunk is a
transaction of its own: after a crash the chunks before it are done. Letters that were found by a
filter are first put on record as an act of its own, a plan, so that a command can do the rest of
them: the same filter would find others, too.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal
from uuid import UUID

import typer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from outbox.cli.database import session
from outbox.cli.errors import Code, Stop, explain
from outbox.cli.letters import outcomes
from outbox.cli.letters.outcomes import Outcome
from outbox.cli.terminal.output import Output, show, show_rows, talk
from outbox.cli.terminal.views import LETTER_COLUMNS, letter_view
from outbox.operations import acts, dead_letters
from outbox.operations.dead_letters import DeadLetterFilter

CHUNK = 500
SAMPLE = 10
COLUMNS = ("id", "job_id", "outcome", "closed_by")
LETTER = "dead-letter:"

Act = Literal["replay", "discard"]
ACTS = {"replay": dead_letters.replay, "discard": dead_letters.discard}
DONE = {"replay": "replayed", "discard": "discarded"}

Letters = Mapping[int, UUID | None]
"""The ids of dead letters, in order, and of their jobs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person wants done with which dead letters, at most `limit` of them."""

    act: Act
    wanted: DeadLetterFilter
    limit: int | None
    oldest_first: bool
    by: str
    why: str | None
    rest_of: int | None = None
    """The plan on record that an interrupted command left, to be done in place of `wanted`."""


def preview(plan: Plan, output: Output) -> None:
    """Print how many dead letters match, and the first of them. Changes nothing."""
    with session() as db, db.begin():
        plan = _resumed(db, plan)
        found = _find(db, plan)
        first = DeadLetterFilter(ids=list(found)[:SAMPLE])
        sample = dead_letters.find(db, first, oldest_first=plan.oldest_first)
        missed = outcomes.why_not(db, [each for each in plan.wanted.ids or () if each not in found])
    outcomes.tell(missed, DONE[plan.act])
    rows = [letter_view(letter, payloads=False) for letter in sample]
    if output is Output.TABLE:
        talk(f"{len(found)} dead letters match; the first of them:")
        show_rows(rows, LETTER_COLUMNS, output)
    else:
        show({"matched": len(found), "sample": rows}, output)
    if not found:
        raise Stop("none of these dead letters is open", outcomes.code_of_none(missed))


def carry_out(plan: Plan, output: Output, *, yes: bool) -> None:
    """Do it, and print what became of each dead letter.

    Asks first, unless `yes`, they were named one by one, or they are the rest of a plan, about
    which the person was asked before. Raises Stop where not all were closed. Interrupted by Ctrl-C
    it prints those that were closed for certain, and how to go on.
    """
    with session() as db:
        with db.begin():
            plan = _resumed(db, plan)
            found = _find(db, plan)
        if plan.wanted.ids is None:
            if not yes:
                _ask(plan.act, len(found))
            plan = _on_record(db, plan, found)
        closed: dict[int, UUID | None] = {}
        try:
            others = _carry_out(db, plan, found, closed)
        except KeyboardInterrupt:
            _show(_closed(plan, closed), output)
            raise _interrupted(plan, len(closed), len(found)) from None
    done = [*_closed(plan, closed), *others]
    _show(done, output)
    _report(plan, done)


def _resumed(db: Session, plan: Plan) -> Plan:
    """The plan with the letters that are on record, where it is the rest of another."""
    if plan.rest_of is None:
        return plan
    begun = acts.get(db, plan.rest_of)
    if begun is None or begun.act != f"{plan.act}-plan":
        raise Stop(f"act {plan.rest_of} is no {plan.act} that can be continued", Code.USAGE)
    ids = [int(thing.removeprefix(LETTER)) for thing in begun.about]
    still_open = dead_letters.matching(db, DeadLetterFilter(ids=ids))
    wanted = DeadLetterFilter(ids=[each for each in ids if each in still_open])
    talk(f"{len(still_open)} of {len(ids)} are left of act {begun.id}, by {begun.who}")
    return replace(plan, wanted=wanted, why=plan.why or begun.why)


def _find(db: Session, plan: Plan) -> Letters:
    """The open letters; where letters were named, also none of them: each is reported."""
    found = dead_letters.matching(db, plan.wanted, limit=plan.limit, oldest_first=plan.oldest_first)
    if not (found or plan.wanted.ids):
        raise Stop("no open dead letter matches", Code.NOTHING)
    return found


def _ask(act: Act, count: int) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop(f"{count} dead letters match: say --yes to {act} them", Code.USAGE)
    if not typer.confirm(f"{act.capitalize()} {count} dead letters?", err=True):
        raise Stop("nothing was done")


def _on_record(db: Session, plan: Plan, found: Letters) -> Plan:
    """Commit which letters it is about, and say how to do the rest of them."""
    with db.begin():
        about = (f"{LETTER}{each}" for each in found)
        act = acts.record(db, f"{plan.act}-plan", about, who=plan.by, why=plan.why)
    plan = replace(plan, rest_of=act)
    talk(f"act {act} begins; if it is interrupted: {_rest(plan)}")
    return plan


def _rest(plan: Plan) -> str:
    if plan.rest_of is None:
        return "the same command does the rest"
    return f"`duly dlq {plan.act} --continue {plan.rest_of}` does the rest"


def _carry_out(
    db: Session, plan: Plan, found: Letters, closed: dict[int, UUID | None]
) -> list[Outcome]:
    """Note in `closed` what was closed for certain; returns what became of the other letters.

    It ends early where Postgres is lost on the way.
    """
    asked = [*dict.fromkeys([*found, *(plan.wanted.ids or ())])]
    try:
        _close(db, plan, list(found), closed)
        with db.begin():
            return outcomes.why_not(db, [each for each in asked if each not in closed])
    except DBAPIError as error:
        if not closed:
            raise
        talk(f"{explain(error)}; {_rest(plan)}")
        left = {each: found.get(each) for each in asked if each not in closed}
        return outcomes.not_known(left)


def _close(db: Session, plan: Plan, ids: Sequence[int], closed: dict[int, UUID | None]) -> None:
    """Note in `closed` what was closed for certain."""
    for start in range(0, len(ids), CHUNK):
        with db.begin():
            chunk = ids[start : start + CHUNK]
            done = ACTS[plan.act](db, chunk, by=plan.by, why=plan.why)
        closed.update((each.id, each.job_id) for each in done)
        if len(ids) > CHUNK:
            talk(f"{start + len(chunk)} of {len(ids)} ...")


def _closed(plan: Plan, closed: Letters) -> list[Outcome]:
    return [Outcome(each, job, DONE[plan.act], plan.by) for each, job in closed.items()]


def _show(done: Sequence[Outcome], output: Output) -> None:
    show_rows([asdict(each) for each in done], COLUMNS, output)


def _interrupted(plan: Plan, closed: int, count: int) -> Stop:
    message = f"interrupted, {closed} of {count} {DONE[plan.act]}; {_rest(plan)}"
    return Stop(message, Code.INTERRUPTED)


def _report(plan: Plan, done: Sequence[Outcome]) -> None:
    word = DONE[plan.act]
    outcomes.tell(done, word)
    closed = sum(each.outcome == word for each in done)
    summary = f"{closed} of {len(done)} {word}"
    if closed < len(done):
        raise Stop(summary, Code.PARTLY if closed else outcomes.code_of_none(done))
    talk(summary)
