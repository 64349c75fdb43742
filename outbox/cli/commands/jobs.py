"""`duly jobs`: submit, list, show, cancel, reschedule, watch and wait for jobs."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeVar, get_args
from uuid import UUID

import typer

from outbox import Priority, flush_jobs, submit
from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.jobs import cancelling
from outbox.cli.jobs.options import (
    ContinueOption,
    KindOption,
    ParentOption,
    QueueOption,
    SinceOption,
    SubjectOption,
    UntilOption,
)
from outbox.cli.jobs.waiting import check_states, wait_for
from outbox.cli.payloads import work_from
from outbox.cli.person import ByOption, WhyOption
from outbox.cli.terminal.confirm import DryRunOption, YesOption, confirm
from outbox.cli.terminal.output import (
    Output,
    OutputOption,
    print_message,
    show,
    show_rows,
)
from outbox.cli.terminal.pages import print_continuation
from outbox.cli.terminal.progress_bar import ProgressLine, progress_text
from outbox.cli.terminal.text import as_text
from outbox.cli.terminal.times import duration, moment
from outbox.cli.terminal.views import PayloadsOption, attempt_views, job_view
from outbox.cli.watch import Passage, ending, looks
from outbox.kinds import QUEUE
from outbox.operations import acts, jobs
from outbox.operations.jobs import JobFilter
from outbox.operations.reschedule import reschedule
from outbox.store.records import fields

commands = typer.Typer(
    help="Submit, list, show, cancel, reschedule, watch and wait for jobs.", no_args_is_help=True
)

COLUMNS = ("id", "kind", "queue", "state", "attempt", "run_at", "subject")
SPARE = ("run_at", "queue", "subject")
"""What a narrow terminal does without."""
VALUES = ("payload", "result")

State = Literal["queued", "running", "succeeded", "dead", "cancelled", "scheduled"]
T = TypeVar("T")
JobId = Annotated[UUID, typer.Argument(metavar="ID", help="The job's id.")]


@commands.command("submit")
def submit_job(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="The kind, such as email.send.")],
    *,
    payload: Annotated[str, typer.Option(metavar="JSON", help="JSON, @FILE, or - for stdin.")],
    run_at: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="ISO", help="Do not run it before then."),
    ] = None,
    expires_at: Annotated[
        datetime | None,
        typer.Option(
            "--expires", parser=moment, metavar="ISO", help="Cancel it if it has not begun by then."
        ),
    ] = None,
    priority: Annotated[
        Literal["high", "normal", "low"] | None, typer.Option(help="Default: the kind's own.")
    ] = None,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Submit a job and print its id. Once it is printed, the job is committed and will run.

    If the kind is unique and there is such a job already, prints the id of that.
    """
    work = work_from(kind, payload)
    level = None if priority is None else Priority[priority.upper()]
    if run_at and expires_at and expires_at <= run_at:
        raise Stop("--expires must be later than --run-at", Code.USAGE)
    with session() as db, db.begin():
        job = submit(db, work, run_at=run_at, expires_at=expires_at, priority=level, by=by)
        flush_jobs(db)
        acts.record(db, "submit", [f"job:{job.id}"], who=by, why=why)
    if output is not Output.TABLE:
        show(fields(job), output)
        return
    typer.echo(job.id)
    if job.is_duplicate:
        print_message(f"{job.kind} is unique, and there is this job already")
        return
    later = "" if job.run_at is None else f", to run at {as_text(job.run_at)}"
    print_message(f"submitted {job.kind} to the queue {job.queue}{later}")


@commands.command("list")
def list_jobs(
    *,
    state: Annotated[
        State | None,
        typer.Option(
            metavar="STATE",
            help=f"Only jobs in this state: {', '.join(get_args(State))} (queued, for later).",
        ),
    ] = None,
    kind: KindOption = None,
    queue: QueueOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    parent: ParentOption = None,
    limit: Annotated[
        int, typer.Option(min=1, max=jobs.LARGEST_PAGE, metavar="N", help="Page size.")
    ] = 50,
    after: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Continue after this job.")
    ] = None,
    payloads: PayloadsOption = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List jobs, newest first."""
    wanted = JobFilter(state, kind, queue, subject, since, until, parent)
    with session() as db, db.begin():
        found = jobs.find(db, wanted, limit=limit + 1, before=after)
        page = found[:limit]
        if payloads:
            about = (f"job:{job.id}" for job in page if job.shows_values)
            acts.look(db, about, who=by, why=why)
    columns = (*COLUMNS, *VALUES) if payloads else COLUMNS
    spare = (*SPARE, "attempt", "state") if payloads else SPARE
    show_rows([job_view(job, payloads=payloads) for job in page], columns, output, spare=spare)
    print_continuation(found, limit)


@commands.command("show")
def show_job(
    job_id: JobId,
    *,
    payloads: PayloadsOption = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a job with its failed attempts and their errors."""
    with session() as db, db.begin():
        job = _found(jobs.get(db, job_id), job_id)
        if payloads:
            acts.look(db, [f"job:{job_id}"], who=by, why=why)
        attempts = attempt_views(jobs.attempts(db, job_id), output)
    shown = job_view(job, payloads=payloads) | {"attempts": attempts}
    if job.progress and output is Output.TABLE:
        shown["progress"] = progress_text(job.progress)
    show(shown, output)


@commands.command("cancel")
def cancel_jobs(
    job_ids: Annotated[
        list[UUID] | None, typer.Argument(metavar="ID", help="The jobs' ids.")
    ] = None,
    *,
    state: Annotated[
        Literal["queued", "running", "scheduled"] | None,
        typer.Option(metavar="STATE", help="Only queued, running or scheduled ones."),
    ] = None,
    kind: KindOption = None,
    queue: QueueOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    parent: ParentOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every job that has not ended, without a filter.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most this many, newest first.")
    ] = None,
    continued: ContinueOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Cancel queued jobs at once. The actors of running jobs are interrupted within a second."""
    ids, wanted = job_ids or [], JobFilter(state, kind, queue, subject, since, until, parent)
    cancelling.check_selection(ids, wanted, limit, continued, everything=everything)
    with session() as db:
        if continued:
            plan = cancelling.resume(db, continued, by, why)
        else:
            plan = cancelling.Plan(ids or cancelling.find(db, wanted, limit), by, why)
        if dry_run:
            cancelling.preview(db, plan.ids, output)
            return
        if not (ids or continued):
            if not yes:
                confirm("cancel", len(plan.ids), "jobs")
            plan = cancelling.record(db, plan)
        cancelling.cancel(db, plan, output)


@commands.command("reschedule")
def reschedule_job(
    job_id: JobId,
    *,
    at: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="ISO", help="Run it then.")
    ] = None,
    priority: Annotated[
        Literal["high", "normal", "low"] | None, typer.Option(help="With this priority.")
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(metavar="QUEUE", help="In this queue, whose workers have to know its kind."),
    ] = None,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give a queued job another time, priority or queue. What is not given stays."""
    if (at, priority, queue) == (None, None, None):
        raise Stop("what is to change? Give --at, --priority or --queue", Code.USAGE)
    if queue is not None and not QUEUE.fullmatch(queue):
        raise Stop(f"{queue!r} is no name of a queue", Code.USAGE)
    level = None if priority is None else Priority[priority.upper()]
    with session() as db, db.begin():
        done = reschedule(db, job_id, run_at=at, priority=level, queue=queue, by=by, why=why)
        job = _found(jobs.get_summary(db, job_id), job_id)
    if not done:
        late = "would expire before it may run" if job.state == "queued" else f"is {job.state}"
        raise Stop(f"job {job_id} {late}, and was not rescheduled")
    view = job_view(job, payloads=False)
    show({name: view[name] for name in ("id", "state", "run_at", "priority", "queue")}, output)


@commands.command("watch")
def watch_job(job_id: JobId) -> None:
    """Print each state of a job, and its progress, until it ends.

    Exits with 0 if it succeeded, else 1.
    """
    passage, line = Passage(), ProgressLine()
    with session() as db:
        for look in looks(db, job_id):
            job, attempts = _found(look, job_id)
            for state in passage.lines(job, attempts):
                line.print(state)
            if job.progress and job.state == "running":
                line.show(job.progress)
        line.end()
        if job.state != "succeeded":
            raise Stop(ending(db, job))


@commands.command("wait")
def wait_for_jobs(
    job_ids: Annotated[list[UUID], typer.Argument(metavar="ID", help="The jobs' ids.")],
    *,
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="DURATION", help="No longer than 90s, 15m, 2h, ..."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Wait until all of these jobs have ended. Exits with 0 if all succeeded.

    Exits with 1 if one is dead or cancelled, else with 124 if the time is over before all ended.
    """
    with session() as db:
        states = wait_for(db, job_ids, timeout)
    show_rows(
        [{"id": each, "state": state} for each, state in states.items()], ("id", "state"), output
    )
    check_states(states)


def _found(found: T | None, job_id: UUID) -> T:
    if found is None:
        raise Stop(f"there is no job {job_id}", Code.NOTHING)
    return found
