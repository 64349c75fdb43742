"""Acts on dead letters, one or many: finds them, asks, acts on exactly those, reports.

The ids are found once, so the command acts on exactly what the person confirmed. Each chunk is its
own transaction; if the process dies, the chunks before it are done. Letters found by a filter are
first recorded as an act of their own, a plan. From it another command can do the rest. Running the
filter again would also find other letters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from outbox.cli.database import session
from outbox.cli.dead_letters import outcomes
from outbox.cli.dead_letters.outcomes import Outcome
from outbox.cli.errors import Code, Stop, explain
from outbox.cli.terminal.confirm import confirm
from outbox.cli.terminal.output import Output, print_message, show, show_rows
from outbox.cli.terminal.views import LETTER_COLUMNS, LETTER_SPARE, letter_view
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
    """What to do with which dead letters, at most `limit` of them."""

    act: Act
    wanted: DeadLetterFilter
    limit: int | None
    oldest_first: bool
    by: str
    why: str | None
    recorded: int | None = None
    """The id of the recorded plan. If given at the start, its open letters replace `wanted`."""


def preview(plan: Plan, output: Output) -> None:
    """Print how many dead letters match, and the first of them. Changes nothing."""
    with session() as db, db.begin():
        plan = _resume(db, plan)
        found = _find(db, plan)
        first = DeadLetterFilter(ids=list(found)[:SAMPLE])
        sample = dead_letters.find(db, first, oldest_first=plan.oldest_first)
        missed = outcomes.why_not(db, [each for each in plan.wanted.ids or () if each not in found])
    outcomes.print_failures(missed, DONE[plan.act])
    rows = [letter_view(letter, payloads=False) for letter in sample]
    if output is Output.TABLE:
        print_message(f"{len(found)} dead letters match; the first of them:")
        show_rows(rows, LETTER_COLUMNS, output, spare=LETTER_SPARE)
    else:
        show({"matched": len(found), "sample": rows}, output)
    if not found:
        raise Stop("none of these dead letters is open", outcomes.code_if_none_closed(missed))


def execute(plan: Plan, output: Output, *, yes: bool) -> None:
    """Carry out the plan, and print what became of each dead letter.

    Asks first, except with `yes`, for ids that were given, and for a plan that continues: the
    person confirmed it when it began. Raises Stop if not all were closed. On Ctrl-C it prints the
    letters whose closing is committed, and how to do the rest.
    """
    with session() as db:
        with db.begin():
            plan = _resume(db, plan)
            found = _find(db, plan)
        if plan.wanted.ids is None:
            if not yes:
                confirm(plan.act, len(found), "dead letters")
            plan = _record(db, plan, found)
        closed: dict[int, UUID | None] = {}
        try:
            others = _close_and_explain(db, plan, found, closed)
        except KeyboardInterrupt:
            _show(_closed(plan, closed), output)
            raise _interrupted(plan, len(closed), len(found)) from None
    done = [*_closed(plan, closed), *others]
    _show(done, output)
    _report(plan, done)


def _resume(db: Session, plan: Plan) -> Plan:
    """The plan with the open letters of the recorded plan that it continues, if any."""
    if plan.recorded is None:
        return plan
    begun = acts.get(db, plan.recorded)
    if begun is None or begun.act != f"{plan.act}-plan":
        raise Stop(f"act {plan.recorded} is not a {plan.act} that can be continued", Code.USAGE)
    ids = [int(thing.removeprefix(LETTER)) for thing in begun.about]
    still_open = dead_letters.matching(db, DeadLetterFilter(ids=ids))
    wanted = DeadLetterFilter(ids=[each for each in ids if each in still_open])
    print_message(f"{len(still_open)} of {len(ids)} are left of act {begun.id}, by {begun.who}")
    return replace(plan, wanted=wanted, why=plan.why or begun.why)


def _find(db: Session, plan: Plan) -> Letters:
    """The open letters. May be none if ids were given, as each id is reported."""
    found = dead_letters.matching(db, plan.wanted, limit=plan.limit, oldest_first=plan.oldest_first)
    if not (found or plan.wanted.ids):
        raise Stop("no open dead letter matches", Code.NOTHING)
    return found


def _record(db: Session, plan: Plan, found: Letters) -> Plan:
    """Commit the ids of the plan's letters, and print how to continue it."""
    with db.begin():
        about = (f"{LETTER}{each}" for each in found)
        act = acts.record(db, f"{plan.act}-plan", about, who=plan.by, why=plan.why)
    plan = replace(plan, recorded=act)
    print_message(f"act {act} begins; if it is interrupted: {_how_to_continue(plan)}")
    return plan


def _how_to_continue(plan: Plan) -> str:
    if plan.recorded is None:
        return "the same command does the rest"
    return f"`duly dlq {plan.act} --continue {plan.recorded}` does the rest"


def _close_and_explain(
    db: Session, plan: Plan, found: Letters, closed: dict[int, UUID | None]
) -> list[Outcome]:
    """Add the letters whose closing is committed to `closed`; return the outcomes of the others.

    Ends early if the connection to Postgres is lost.
    """
    asked = [*dict.fromkeys([*found, *(plan.wanted.ids or ())])]
    try:
        _close(db, plan, list(found), closed)
        with db.begin():
            return outcomes.why_not(db, [each for each in asked if each not in closed])
    except DBAPIError as error:
        if not closed:
            raise
        print_message(f"{explain(error)}; {_how_to_continue(plan)}")
        left = {each: found.get(each) for each in asked if each not in closed}
        return outcomes.not_known(left)


def _close(db: Session, plan: Plan, ids: Sequence[int], closed: dict[int, UUID | None]) -> None:
    """Close the letters chunk by chunk. Each chunk is added to `closed` after its commit."""
    for start in range(0, len(ids), CHUNK):
        with db.begin():
            chunk = ids[start : start + CHUNK]
            done = ACTS[plan.act](db, chunk, by=plan.by, why=plan.why)
        closed.update((each.id, each.job_id) for each in done)
        if len(ids) > CHUNK:
            print_message(f"{start + len(chunk)} of {len(ids)} ...")


def _closed(plan: Plan, closed: Letters) -> list[Outcome]:
    return [Outcome(each, job, DONE[plan.act], plan.by) for each, job in closed.items()]


def _show(done: Sequence[Outcome], output: Output) -> None:
    show_rows([asdict(each) for each in done], COLUMNS, output, spare=("closed_by", "job_id"))


def _interrupted(plan: Plan, closed: int, count: int) -> Stop:
    message = f"interrupted, {closed} of {count} {DONE[plan.act]}; {_how_to_continue(plan)}"
    return Stop(message, Code.INTERRUPTED)


def _report(plan: Plan, done: Sequence[Outcome]) -> None:
    word = DONE[plan.act]
    outcomes.print_failures(done, word)
    closed = sum(each.outcome == word for each in done)
    summary = f"{closed} of {len(done)} {word}"
    if closed < len(done):
        raise Stop(summary, Code.PARTLY if closed else outcomes.code_if_none_closed(done))
    print_message(summary)
