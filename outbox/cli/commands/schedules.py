"""`duly schedules`: list, show, create, edit, pause, resume, run, backfill and delete schedules."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from outbox import Missed, Overlap, Schedule
from outbox.cli.app import kinds
from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.payloads import work_from
from outbox.cli.person import ByOption, WhyOption
from outbox.cli.terminal.output import Output, OutputOption, print_message, show, show_rows
from outbox.cli.terminal.times import duration
from outbox.cli.terminal.times import since as parse_since
from outbox.cli.terminal.views import PayloadsOption, schedule_view
from outbox.operations import acts, schedules
from outbox.operations.schedules import Refused, Unknown
from outbox.store.records import fields

commands = typer.Typer(
    help="List, show, create, edit, pause, run and delete schedules.", no_args_is_help=True
)

COLUMNS = ("name", "cron", "zone", "kind", "next_run", "paused", "source")
SPARE = ("source", "kind", "zone")
SHOWN_RUNS = 10
SHOWN_TICKS = 20

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Length = Annotated[
    timedelta | None, typer.Option(parser=duration, metavar="DURATION", help="90s, 15m, 2h, 3d.")
]
CronOption = Annotated[
    str | None,
    typer.Option(
        help="Minute, hour, day, month, weekday; six fields begin with seconds.", metavar="CRON"
    ),
]
ZoneOption = Annotated[str | None, typer.Option(help="The time zone, such as Europe/Berlin.")]
OverlapOption = Annotated[
    Overlap | None,
    typer.Option(
        metavar="POLICY", help="While an earlier job runs: skip, queue, allow, cancel_other."
    ),
]
MissedOption = Annotated[
    Missed | None,
    typer.Option(metavar="POLICY", help="Ticks missed by all relays: run_once, run_all, skip."),
]
CatchUpOption = Annotated[
    timedelta | None,
    typer.Option(
        parser=duration, metavar="DURATION", help="How late a missed tick may be: 15m, 2h, 3d."
    ),
]
JitterOption = Annotated[
    timedelta | None,
    typer.Option(parser=duration, metavar="DURATION", help="Hold each job back by up to this."),
]
SubjectOption = Annotated[str | None, typer.Option(help="What its jobs are about.")]


@commands.command("list")
def list_schedules(
    *,
    payloads: PayloadsOption = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List schedules with their next run."""
    with session() as db, db.begin():
        found = schedules.find(db)
        if payloads:
            acts.look(db, (f"schedule:{each.name}" for each in found), who=by, why=why)
    rows = [schedule_view(each, payloads=payloads) for each in found]
    show_rows(rows, COLUMNS, output, spare=SPARE)


@commands.command("show")
def show_schedule(
    name: Name,
    *,
    payloads: PayloadsOption = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a schedule, its next runs, and its newest ticks with why they were skipped."""
    with session() as db, db.begin(), _refusals():
        record = schedules.get(db, name)
        ticks = schedules.ticks(db, name, limit=SHOWN_TICKS)
        if payloads:
            acts.look(db, [f"schedule:{name}"], who=by, why=why)
    runs = record.next_runs(SHOWN_RUNS)
    shown = schedule_view(record, payloads=payloads)
    show(shown | {"next_runs": runs, "ticks": [fields(tick) for tick in ticks]}, output)


@commands.command("create")
def create_schedule(
    name: Name,
    *,
    cron: Annotated[
        str,
        typer.Option(
            help="Minute, hour, day, month, weekday; six fields begin with seconds.",
            metavar="CRON",
        ),
    ],
    kind: Annotated[str, typer.Option(help="The kind of its jobs, such as email.send.")],
    payload: Annotated[str, typer.Option(metavar="JSON", help="JSON, @FILE, or - for stdin.")],
    zone: ZoneOption = None,
    overlap: OverlapOption = None,
    missed: MissedOption = None,
    catch_up: CatchUpOption = None,
    jitter: JitterOption = None,
    subject: SubjectOption = None,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a schedule. Its first tick is the first after now."""
    options = _given(zone, overlap, missed, catch_up, jitter, subject)
    with _refusals():
        schedule = Schedule(name, cron, work_from(kind, payload), **options)
        with session() as db, db.begin():
            schedules.create(db, schedule, by=by, why=why)
            record = schedules.get(db, name)
    _say(f"created {name}", record, output)


@commands.command("edit")
def edit_schedule(
    name: Name,
    *,
    cron: CronOption = None,
    kind: Annotated[str | None, typer.Option(help="Another kind; needs --payload.")] = None,
    payload: Annotated[
        str | None, typer.Option(metavar="JSON", help="JSON, @FILE, or - for stdin.")
    ] = None,
    zone: ZoneOption = None,
    overlap: OverlapOption = None,
    missed: MissedOption = None,
    catch_up: CatchUpOption = None,
    jitter: JitterOption = None,
    subject: SubjectOption = None,
    version: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Only if it still has this version."),
    ] = None,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change a schedule from its first tick after now. What is not given stays."""
    changes = _given(zone, overlap, missed, catch_up, jitter, subject)
    if cron is not None:
        changes["cron"] = cron
    if kind is not None and payload is None:
        raise Stop("another kind needs its --payload", Code.USAGE)
    with session() as db, db.begin(), _refusals():
        record = schedules.get(db, name)
        if payload is not None:
            changes["work"] = work_from(kind or record.kind, payload)
        edited = replace(record.schedule(kinds()), **changes)
        schedules.edit(db, edited, version or record.version, by=by, why=why)
        record = schedules.get(db, name)
    _say(f"changed {name}", record, output)


@commands.command("pause")
def pause_schedule(
    name: Name, *, by: ByOption, why: WhyOption = None, output: OutputOption = Output.TABLE
) -> None:
    """List its ticks as skipped until it is resumed. Jobs that it made go on."""
    with session() as db, db.begin(), _refusals():
        schedules.pause(db, name, by=by, why=why)
        record = schedules.get(db, name)
    _say(f"paused {name}", record, output)


@commands.command("resume")
def resume_schedule(
    name: Name, *, by: ByOption, why: WhyOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Have its ticks make jobs again, from the next one on."""
    with session() as db, db.begin(), _refusals():
        schedules.resume(db, name, by=by, why=why)
        record = schedules.get(db, name)
    _say(f"resumed {name}", record, output)


@commands.command("run")
def run_schedule(
    name: Name, *, by: ByOption, why: WhyOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Submit its job now and print its id, even if it is paused or another of its jobs runs."""
    with session() as db, db.begin(), _refusals():
        job = schedules.run(db, name, by=by, why=why)
    show_rows([{"job_id": job}], ("job_id",), output)


@commands.command("backfill")
def backfill_schedule(
    name: Name,
    *,
    since: Annotated[
        datetime,
        typer.Option(parser=parse_since, metavar="ISO|AGE", help="From this time, or 2h, 3d ago."),
    ],
    until: Annotated[
        datetime | None,
        typer.Option(parser=parse_since, metavar="ISO|AGE", help="Before it; default: now."),
    ] = None,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Submit the jobs of past ticks that have none, and print their ids. All may run at once."""
    with session() as db, db.begin(), _refusals():
        made = schedules.backfill(db, name, since, until or schedules.now(db), by=by, why=why)
    show_rows([{"job_id": job} for job in made], ("job_id",), output)
    print_message(f"submitted {len(made)} jobs")


@commands.command("delete")
def delete_schedule(name: Name, *, by: ByOption, why: WhyOption = None) -> None:
    """End a schedule. Its ticks stay on record, and jobs that it made go on."""
    with session() as db, db.begin(), _refusals():
        schedules.delete(db, name, by=by, why=why)
    print_message(f"deleted {name}")


def _given(
    zone: str | None,
    overlap: Overlap | None,
    missed: Missed | None,
    catch_up: timedelta | None,
    jitter: timedelta | None,
    subject: str | None,
) -> dict[str, Any]:
    """The fields of a Schedule that were given."""
    found = {
        "zone": zone,
        "overlap": overlap,
        "missed": missed,
        "catch_up": catch_up,
        "jitter": jitter,
        "subject": subject,
    }
    return {name: value for name, value in found.items() if value is not None}


def _say(what: str, record: Any, output: Output) -> None:
    if output is not Output.TABLE:
        show(schedule_view(record, payloads=False), output)
        return
    run = next(iter(record.next_runs(1)), None)
    print_message(f"{what}; its next run is {run.isoformat() if run else 'never'}")


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what cannot be into a message and an exit code."""
    try:
        yield
    except Unknown as error:
        raise Stop(str(error), Code.NOTHING) from None
    except Refused as error:
        raise Stop(str(error)) from None
    except ValueError as error:
        raise Stop(str(error), Code.USAGE) from None
