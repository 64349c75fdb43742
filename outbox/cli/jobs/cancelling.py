"""Cancels jobs for `duly jobs cancel`: those that were named, or all that a filter finds.

What a filter finds is found once, so the command acts on exactly what the person confirmed. Each
chunk is its own transaction; if the process dies, the chunks before it are done.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from outbox.cli.errors import Code, Stop
from outbox.cli.terminal.output import Output, print_message, show, show_rows
from outbox.cli.terminal.views import job_view
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter

CHUNK = 500
SAMPLE = 10
COLUMNS = ("id", "kind", "queue", "state", "subject")
OUTCOMES = {"cancelled": "cancelled", "running": "asked"}


def check_selection(
    ids: Sequence[UUID], wanted: JobFilter, limit: int | None, *, everything: bool
) -> None:
    """Raises Stop if the options do not say clearly which jobs are meant."""
    if "" in (wanted.kind, wanted.queue, wanted.subject):
        raise Stop("a filter must not be empty: an unset variable would match all", Code.USAGE)
    filtered = wanted != JobFilter() or everything
    if not (ids or filtered):
        raise Stop("which jobs? Give ids, a filter, or --all", Code.USAGE)
    if ids and (filtered or limit):
        raise Stop("ids cannot be combined with a filter, --all or --limit", Code.USAGE)


def find(db: Session, wanted: JobFilter, limit: int | None) -> list[UUID]:
    """The jobs that have not ended. Raises Stop if there are none."""
    with db.begin():
        found = jobs.find_open(db, wanted, limit)
    if not found:
        raise Stop("no job that has not ended matches", Code.NOTHING)
    return found


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


def cancel(db: Session, ids: Sequence[UUID], output: Output, *, by: str, why: str | None) -> None:
    """Cancel the jobs chunk by chunk, and print what became of each.

    On Ctrl-C it prints those of the chunks that are committed. Raises Stop if not all were
    cancelled or asked.
    """
    done: dict[UUID, str] = {}
    try:
        for start in range(0, len(ids), CHUNK):
            done |= _cancel_chunk(db, ids[start : start + CHUNK], by, why)
            if len(ids) > CHUNK:
                print_message(f"{len(done)} of {len(ids)} ...")
    except KeyboardInterrupt:
        _show(done, output)
        raise Stop(f"interrupted after {len(done)} of {len(ids)}", Code.INTERRUPTED) from None
    _show(done, output)
    _check(done)


def _cancel_chunk(db: Session, ids: Sequence[UUID], by: str, why: str | None) -> dict[UUID, str]:
    """What became of each: `cancelled`, `asked` (it runs), `ended` (before this) or `unknown`."""
    with db.begin():
        states = jobs.cancel_all(db, ids, by=by, why=why)
        left = [each for each in ids if each not in states]
        others = {each: "ended" if jobs.get_summary(db, each) else "unknown" for each in left}
    return {each: others.get(each) or OUTCOMES[states[each]] for each in ids}


def _show(done: Mapping[UUID, str], output: Output) -> None:
    show_rows(
        [{"id": each, "outcome": word} for each, word in done.items()], ("id", "outcome"), output
    )


def _check(done: Mapping[UUID, str]) -> None:
    found = Counter(done.values())
    missed = found["ended"] + found["unknown"]
    if not missed:
        return
    code = Code.PARTLY if missed < len(done) else Code.FAILED
    if set(found) == {"unknown"}:
        code = Code.NOTHING
    raise Stop(f"{missed} of {len(done)} could not be cancelled", code)
