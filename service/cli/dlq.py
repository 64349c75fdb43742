"""`duly dlq`: list, show, replay and discard dead letters."""

from datetime import datetime
from typing import Annotated

import typer

from outbox import acts, dead_letters, jobs
from outbox.dead_letters import DeadLetter, DeadLetterFilter
from service.cli import bulk
from service.cli.database import session
from service.cli.errors import Code, Stop
from service.cli.output import Output, OutputOption, show, show_rows
from service.cli.person import ByOption, WhyOption
from service.cli.times import since as parse_since
from service.cli.views import LETTER_COLUMNS, PayloadsOption, attempt_views, job_view, letter_view

app = typer.Typer(help="List, show, replay and discard dead letters.", no_args_is_help=True)

LARGEST_ID = 2**63 - 1
Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The dead letters' ids."),
]
KindOption = Annotated[str | None, typer.Option("--kind", help="Only those of this kind.")]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Only those of this queue.")]
ErrorOption = Annotated[
    str | None, typer.Option("--error", help="Only those whose error's type or text has this.")
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        parser=parse_since,
        metavar="ISO|AGE",
        help="Only those that died since this moment, or in the last 2h, 3d, ...",
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="Really every one, without a filter.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many, the newest first.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only print how many match, and some of them.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_letters(
    *,
    kind: KindOption = None,
    queue: QueueOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="Those replayed or discarded, instead of the open.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=jobs.LARGEST_PAGE, help="How many.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """List dead letters, the newest first."""
    wanted = DeadLetterFilter(kind=kind, queue=queue, error=error, since=since, open=not closed)
    with session() as db:
        found = dead_letters.find(db, wanted, limit=limit)
    columns = (*LETTER_COLUMNS, "resolution", "closed_by") if closed else LETTER_COLUMNS
    show_rows([letter_view(each, payloads=False) for each in found], columns, output)


@app.command("show")
def show_letter(
    letter_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The dead letter's id.")
    ],
    *,
    payloads: PayloadsOption = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a dead letter, its job, and the error and traceback of every attempt."""
    with session() as db, db.begin():
        letter = dead_letters.get(db, letter_id)
        if letter is None:
            raise Stop(f"there is no dead letter {letter_id}", Code.NOTHING)
        shown = letter_view(letter, payloads=payloads)
        job = jobs.get(db, letter.job_id) if letter.job_id else None
        if job is not None:
            shown["job"] = job_view(job, payloads=payloads)
            shown["attempts"] = attempt_views(jobs.attempts(db, job.id), output)
        if payloads:
            acts.look(db, _things(letter), who=by, why=why)
    show(shown, output)


def _things(letter: DeadLetter) -> list[str]:
    job = [f"job:{letter.job_id}"] if letter.job_id else []
    return [f"dead-letter:{letter.id}", *job]


def _offer(act: bulk.Act, promise: str) -> None:
    @app.command(act, help=promise)
    def close_letters(
        ids: Ids = None,
        *,
        kind: KindOption = None,
        queue: QueueOption = None,
        error: ErrorOption = None,
        since: SinceOption = None,
        everything: AllOption = False,
        limit: LimitOption = None,
        dry_run: DryRunOption = False,
        yes: YesOption = False,
        by: ByOption,
        why: WhyOption = None,
        output: OutputOption = Output.TABLE,
    ) -> None:
        wanted = DeadLetterFilter(ids=ids or None, kind=kind, queue=queue, error=error, since=since)
        _check_choice(wanted, limit, everything=everything)
        plan = bulk.Plan(act, wanted, limit, by, why)
        if dry_run:
            bulk.preview(plan, output)
        else:
            bulk.carry_out(plan, output, yes=yes)


_offer("replay", "Queue the jobs of dead letters again, each with a fresh budget of attempts.")
_offer("discard", "Close dead letters without another run; jobs and their history stay.")


def _check_choice(wanted: DeadLetterFilter, limit: int | None, *, everything: bool) -> None:
    """Raises Stop where it is not clear which dead letters are meant."""
    if "" in (wanted.kind, wanted.queue, wanted.error):
        raise Stop("a filter must not be empty: an unset variable would match all", Code.USAGE)
    filtered = wanted != DeadLetterFilter(ids=wanted.ids)
    if not (wanted.ids or filtered or everything):
        raise Stop("name dead letters, filter them, or say --all", Code.USAGE)
    if wanted.ids and (filtered or everything or limit):
        raise Stop("name dead letters or filter them, not both", Code.USAGE)
