"""Cancels jobs for `duly jobs cancel`: those that were named, or all that a filter finds.

What a filter finds is found once, so the command acts on exactly what the person confirmed. It is
first put on record, as a list from which another command can do the rest. Each chunk is its own
transaction; if the process dies, the chunks before it are done.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from outbox.cli.errors import Code, Stop, explain
from outbox.cli.terminal.output import Output, print_message, show, show_rows
from outbox.cli.terminal.views import job_view
from outbox.operations import cancellations, jobs
from outbox.operations.cancellations import PIECE, Outcome
from outbox.operations.jobs import JobFilter

SAMPLE = 10
COLUMNS = ("id", "kind", "queue", "state", "subject")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which jobs to cancel, who does it and why."""

    ids: Sequence[UUID]
    by: str
    why: str | None
    recorded: int | None = None
    """The id of their list, if they are on record."""


def check_selection(
    ids: Sequence[UUID],
    wanted: JobFilter,
    limit: int | None,
    continued: int | None,
    *,
    everything: bool,
) -> None:
    """Raises Stop if the options do not say clearly which jobs are meant."""
    if "" in (wanted.kind, wanted.queue, wanted.subject):
        raise Stop("a filter must not be empty: an unset variable would match all", Code.USAGE)
    filtered = wanted != JobFilter() or everything
    if not (ids or filtered or continued):
        raise Stop("which jobs? Give ids, a filter, or --all", Code.USAGE)
    if ids and (filtered or limit):
        raise Stop("ids cannot be combined with a filter, --all or --limit", Code.USAGE)
    if continued and (ids or filtered or limit):
        raise Stop("--continue cannot be combined with ids, filters, --all or --limit", Code.USAGE)


def find(db: Session, wanted: JobFilter, limit: int | None) -> list[UUID]:
    """The jobs that have not ended. Raises Stop if there are none."""
    with db.begin():
        found = jobs.find_open(db, wanted, limit)
    if not found:
        raise Stop("no job that has not ended matches", Code.NOTHING)
    return found


def resume(db: Session, act: int, by: str, why: str | None) -> Plan:
    """The jobs that are left of a list on record. Raises Stop if there are none."""
    with db.begin():
        begun = cancellations.get(db, act)
        if begun is None:
            raise Stop(f"act {act} is not a cancel that can be continued", Code.USAGE)
        left = cancellations.left(db, act)
    print_message(f"{len(left)} of {begun.jobs} are left of act {act}, by {begun.who}")
    if not left:
        raise Stop("none of these jobs is left to cancel", Code.NOTHING)
    return Plan(left, by, why or begun.why, act)


def record(db: Session, plan: Plan) -> Plan:
    """Commit the list of the jobs, and print how to continue it."""
    with db.begin():
        act = cancellations.record(db, plan.ids, by=plan.by, why=plan.why)
    plan = replace(plan, recorded=act)
    print_message(f"act {act} begins; if it is interrupted: {_how_to_continue(plan)}")
    return plan


def preview(db: Session, ids: Sequence[UUID], output: Output) -> None:
    """Print how many jobs there are, and the first of them."""
    with db.begin():
        sample = [jobs.get_summary(db, each) for each in ids[:SAMPLE]]
    rows = [job_view(job, payloads=False) for job in sample if job]
    if output is Output.TABLE:
        print_message(f"{len(ids)} jobs match; the first of them:")
        show_rows(rows, COLUMNS, output, spare=("subject", "queue"))
    else:
        show({"matched": len(ids), "sample": rows}, output)


def cancel(db: Session, plan: Plan, output: Output) -> None:
    """Cancel the jobs chunk by chunk, and print what became of each.

    On Ctrl-C, or if the connection is lost, it prints those of the chunks that are committed, and
    how to do the rest. Raises Stop if not all were cancelled or asked.
    """
    done: dict[UUID, Outcome] = {}
    try:
        for start in range(0, len(plan.ids), PIECE):
            done |= _cancel_chunk(db, plan, plan.ids[start : start + PIECE])
            if len(plan.ids) > PIECE:
                print_message(f"{len(done)} of {len(plan.ids)} ...")
    except KeyboardInterrupt:
        _show(done, output)
        raise _broken_off(plan, len(done), "interrupted", Code.INTERRUPTED) from None
    except DBAPIError as error:
        if not done:
            raise
        _show(done, output)
        raise _broken_off(plan, len(done), str(explain(error)), Code.PARTLY) from None
    _show(done, output)
    _check(done)


def _cancel_chunk(db: Session, plan: Plan, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    with db.begin():
        return cancellations.cancel(db, ids, by=plan.by, why=plan.why)


def _broken_off(plan: Plan, done: int, why: str, code: Code) -> Stop:
    return Stop(f"{why}, after {done} of {len(plan.ids)}; {_how_to_continue(plan)}", code)


def _how_to_continue(plan: Plan) -> str:
    if plan.recorded is None:
        return "the same command does the rest"
    return f"`duly jobs cancel --continue {plan.recorded}` does the rest"


def _show(done: Mapping[UUID, Outcome], output: Output) -> None:
    show_rows(
        [{"id": each, "outcome": word} for each, word in done.items()], ("id", "outcome"), output
    )


def _check(done: Mapping[UUID, Outcome]) -> None:
    found = Counter(done.values())
    missed = found["ended"] + found["unknown"]
    if not missed:
        return
    code = Code.PARTLY if missed < len(done) else Code.FAILED
    if set(found) == {"unknown"}:
        code = Code.NOTHING
    raise Stop(f"{missed} of {len(done)} could not be cancelled", code)
