"""`duly dlq`: list, show, replay and discard dead letters."""

from contextlib import suppress
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from outbox.cli.database import session
from outbox.cli.dead_letters import bulk
from outbox.cli.dead_letters.options import (
    AllOption,
    BatchOption,
    ContinueOption,
    ErrorOption,
    Ids,
    KindOption,
    LimitOption,
    OldestFirstOption,
    QueueOption,
    ReasonOption,
    SinceOption,
    UntilOption,
    check_selection,
)
from outbox.cli.errors import Code, Stop
from outbox.cli.person import ByOption, WhyOption
from outbox.cli.terminal.confirm import DryRunOption, YesOption
from outbox.cli.terminal.ids import row_id
from outbox.cli.terminal.output import Output, OutputOption, show, show_rows
from outbox.cli.terminal.pages import print_continuation
from outbox.cli.terminal.views import (
    LETTER_COLUMNS,
    LETTER_SPARE,
    PayloadsOption,
    attempt_views,
    job_view,
    letter_view,
)
from outbox.operations import acts, dead_letters, jobs
from outbox.operations.dead_letters import DeadLetter, DeadLetterFilter

commands = typer.Typer(help="List, show, replay and discard dead letters.", no_args_is_help=True)


@commands.command("list")
def list_letters(
    *,
    kind: KindOption = None,
    queue: QueueOption = None,
    reason: ReasonOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    batch: BatchOption = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="List replayed and discarded ones, not open ones.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=jobs.LARGEST_PAGE, metavar="N", help="Page size.")
    ] = 50,
    oldest_first: OldestFirstOption = False,
    after: Annotated[
        int | None,
        typer.Option(parser=row_id, metavar="ID", help="Continue after this one."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List dead letters, newest first by default."""
    wanted = DeadLetterFilter(None, kind, queue, reason, error, since, until, not closed, batch)
    with session() as db:
        found = dead_letters.find(
            db, wanted, limit=limit + 1, after=after, oldest_first=oldest_first
        )
    columns = (*LETTER_COLUMNS, "resolution", "closed_by") if closed else LETTER_COLUMNS
    show_rows(
        [letter_view(each, payloads=False) for each in found[:limit]],
        columns,
        output,
        spare=LETTER_SPARE,
    )
    print_continuation(found, limit)


@commands.command("show")
def show_letter(
    letter_id: Annotated[
        int, typer.Argument(metavar="ID", parser=row_id, help="The dead letter's id.")
    ],
    *,
    payloads: PayloadsOption = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a dead letter, its job, and the error and traceback of every attempt."""
    with session() as db:
        with db.begin():
            letter = dead_letters.get(db, letter_id)
            if letter is None:
                raise Stop(f"there is no dead letter {letter_id}", Code.NOTHING)
            shown = letter_view(letter, payloads=payloads)
            job = jobs.get(db, letter.job_id) if letter.job_id else None
            if job is not None:
                shown["job"] = job_view(job, payloads=payloads)
                shown["attempts"] = attempt_views(jobs.attempts(db, job.id), output)
            if payloads:
                acts.look(db, _about(letter), who=by, why=why)
        _note_look(db, letter)
    show(shown, output)


def _note_look(db: Session, letter: DeadLetter) -> None:
    """Note the first look, best effort: a Postgres that takes no writes shows the letter, too."""
    if letter.looked_at is None:
        with suppress(SQLAlchemyError), db.begin():
            dead_letters.note_look(db, letter.id)


def _about(letter: DeadLetter) -> list[str]:
    job = [f"job:{letter.job_id}"] if letter.job_id else []
    return [f"dead-letter:{letter.id}", *job]


def _add(act: bulk.Act, summary: str) -> None:
    @commands.command(act, help=summary)
    def close_letters(
        ids: Ids = None,
        *,
        kind: KindOption = None,
        queue: QueueOption = None,
        reason: ReasonOption = None,
        error: ErrorOption = None,
        since: SinceOption = None,
        until: UntilOption = None,
        batch: BatchOption = None,
        everything: AllOption = False,
        limit: LimitOption = None,
        oldest_first: OldestFirstOption = False,
        continued: ContinueOption = None,
        dry_run: DryRunOption = False,
        yes: YesOption = False,
        by: ByOption,
        why: WhyOption = None,
        output: OutputOption = Output.TABLE,
    ) -> None:
        wanted = DeadLetterFilter(
            ids or None, kind, queue, reason, error, since, until, batch=batch
        )
        check_selection(wanted, limit, continued, everything=everything)
        plan = bulk.Plan(act, wanted, limit, oldest_first, by, why, continued)
        if dry_run:
            bulk.preview(plan, output)
        else:
            bulk.execute(plan, output, yes=yes)


_add("replay", "Queue the jobs of dead letters again, each with a fresh budget of attempts.")
_add("discard", "Close dead letters without running the jobs again; jobs and their history stay.")
