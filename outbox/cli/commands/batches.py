"""`duly batches`: make batches and add to them; list, show, seal and cancel them."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from outbox import add_to_batch, batch, submit
from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.jobs.lines import callback, jobs_in
from outbox.cli.person import ByOption, WhyOption
from outbox.cli.terminal.output import Output, OutputOption, print_message, show, show_rows
from outbox.cli.terminal.pages import print_continuation
from outbox.cli.terminal.views import job_view
from outbox.operations import acts, batches, jobs
from outbox.operations.batches import BatchFilter, BatchRecord
from outbox.operations.jobs import JobFilter
from outbox.store.records import fields
from outbox.submission.batch import seal_batch as seal_with_commit

commands = typer.Typer(
    help="Make batches and add to them; list, show, seal and cancel them.", no_args_is_help=True
)

COLUMNS = ("id", "state", "generation", "members", "open", "succeeded", "dead", "cancelled")
SPARE = ("generation", "cancelled", "succeeded")
"""What a narrow terminal does without."""
MEMBER_COLUMNS = ("id", "kind", "queue", "state", "attempt", "run_at")
MEMBER_SPARE = ("run_at", "queue")

CallbackOption = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="A job that follows: its kind and payload, or @FILE."),
]
BatchId = Annotated[UUID, typer.Argument(metavar="ID", help="The batch's id.")]
LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=jobs.LARGEST_PAGE, metavar="N", help="Page size.")
]
AfterOption = Annotated[
    UUID | None, typer.Option("--after", metavar="ID", help="Continue after this one.")
]


@commands.command("create")
def create_batch(
    source: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Its jobs as JSON lines, or - for stdin."),
    ] = None,
    *,
    on_success: CallbackOption = None,
    on_settled: CallbackOption = None,
    on_first_death: CallbackOption = None,
    subject: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    stays_open: Annotated[
        bool, typer.Option("--open", help="Do not seal it: jobs are added later.")
    ] = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a batch of jobs, all in one transaction, and print its id."""
    members = jobs_in(source, by) if source else []
    if not (members or stays_open):
        raise Stop("a batch of no jobs: give a FILE that has some, or --open", Code.USAGE)
    then = {
        "on_success": callback(on_success, "--on-success"),
        "on_settled": callback(on_settled, "--on-settled"),
        "on_first_death": callback(on_first_death, "--on-first-death"),
    }
    with session() as db, db.begin():
        with batch(db, **then, subject=subject, by=by, seal=not stays_open) as group:
            ids = [submit(db, work, **options).id for work, options in members]
        _record(db, "create-batch", group.id, ids, by, why)
    _show_submitted(group.id, ids, output, sealed=not stays_open)


@commands.command("add")
def add_members(
    batch_id: BatchId,
    source: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines, or - for stdin.")],
    *,
    seal: Annotated[bool, typer.Option("--seal", help="These are the last: seal it.")] = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Add jobs to a batch that is not sealed, all in one transaction."""
    members = jobs_in(source, by)
    if not (members or seal):
        raise Stop("no jobs to add", Code.USAGE)
    with session() as db, db.begin():
        held = _found(batches.hold(db, batch_id, to_seal=seal), batch_id)
        if held.state != "growing":
            raise Stop(f"nothing added: the batch is {held.state}")
        with add_to_batch(db, batch_id):
            ids = [submit(db, work, **options).id for work, options in members]
        if seal:
            seal_with_commit(db, batch_id)
        _record(db, "add-to-batch", batch_id, ids, by, why)
        if seal:
            acts.record(db, "seal-batch", [f"batch:{batch_id}"], who=by, why=why)
    _show_submitted(batch_id, ids, output, sealed=seal)


@commands.command("list")
def list_batches(
    *,
    is_open: Annotated[
        bool | None, typer.Option("--open/--settled", help="Only those that have not, or have.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only batches about this.")] = None,
    parent: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Only members of this batch.")
    ] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List batches, newest first, with how many members ended how."""
    wanted = BatchFilter(is_open, subject, parent)
    with session() as db, db.begin():
        found = batches.find(db, wanted, limit=limit + 1, before=after)
    show_rows([_view(batch) for batch in found[:limit]], COLUMNS, output, spare=SPARE)
    print_continuation(found, limit)


@commands.command("show")
def show_batch(batch_id: BatchId, *, output: OutputOption = Output.TABLE) -> None:
    """Show a batch with its counts and its callbacks."""
    with session() as db, db.begin():
        batch = _found(batches.get(db, batch_id), batch_id)
    show(_view(batch), output)


@commands.command("members")
def list_members(
    batch_id: BatchId,
    *,
    state: Annotated[
        Literal["scheduled", "queued", "running", "succeeded", "dead", "cancelled"] | None,
        typer.Option(metavar="STATE", help="Only jobs in this state."),
    ] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the jobs that are members, newest first."""
    with session() as db, db.begin():
        _found(batches.get(db, batch_id), batch_id)
        wanted = JobFilter(state=state, batch_id=batch_id)
        found = jobs.find(db, wanted, limit=limit + 1, before=after)
    rows = [job_view(job, payloads=False) for job in found[:limit]]
    show_rows(rows, MEMBER_COLUMNS, output, spare=MEMBER_SPARE)
    print_continuation(found, limit)


@commands.command("seal")
def seal_batch(batch_id: BatchId, *, by: ByOption, why: WhyOption = None) -> None:
    """End the growth of a batch: it settles once no member is open."""
    _act(batches.seal, batch_id, "sealed", by, why)


@commands.command("cancel")
def cancel_batch(batch_id: BatchId, *, by: ByOption, why: WhyOption = None) -> None:
    """Cancel what has not ended of a batch. Running jobs are asked to stop."""
    _act(batches.cancel, batch_id, "is being cancelled", by, why)


def _record(
    db: Session, act: str, batch_id: UUID, ids: Sequence[UUID], by: str, why: str | None
) -> None:
    about = [f"batch:{batch_id}", *(f"job:{each}" for each in ids)]
    acts.record(db, act, about, who=by, why=why)


def _show_submitted(batch_id: UUID, ids: Sequence[UUID], output: Output, *, sealed: bool) -> None:
    if output is not Output.TABLE:
        show({"id": batch_id, "state": "open" if sealed else "growing", "job_ids": ids}, output)
        return
    typer.echo(batch_id)
    print_message(f"{len(ids):,} jobs submitted; the batch {'is sealed' if sealed else 'grows'}")


def _act(act: Callable[..., bool], batch_id: UUID, done: str, by: str, why: str | None) -> None:
    with session() as db, db.begin():
        is_done = act(db, batch_id, by=by, why=why)
        batch = _found(batches.get(db, batch_id), batch_id)
    if not is_done:
        raise Stop(f"nothing done: the batch is {batch.state}")
    print_message(f"batch {batch_id} {done}")


def _found(batch: BatchRecord | None, batch_id: UUID) -> BatchRecord:
    if batch is None:
        raise Stop(f"there is no batch {batch_id}", Code.NOTHING)
    return batch


def _view(batch: BatchRecord) -> dict[str, Any]:
    first = {"id": batch.id, "state": batch.state, "open": batch.open}
    return first | {name: value for name, value in fields(batch).items() if name != "outcome"}
