"""`duly queues`: list, pause and resume queues."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from outbox.cli.app import kinds, settings
from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.person import ByOption, WhyOption
from outbox.cli.terminal.numbers import numbers
from outbox.cli.terminal.output import Output, OutputOption, print_message, show_rows
from outbox.operations import status
from outbox.operations.backlog.queue_status import QueueStatus
from outbox.operations.flow import queue_pauses
from outbox.operations.flow.queue_pauses import Refused, UnknownQueue

commands = typer.Typer(help="List, pause and resume queues.", no_args_is_help=True)

COLUMNS = ("queue", "due", "held", "scheduled", "running", "dead", "paused", "who", "why")
SPARE = ("dead", "running")

Queue = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.")]


@commands.command("list")
def list_queues(*, output: OutputOption = Output.TABLE) -> None:
    """List queues with how many jobs each has, and who paused it."""
    with session() as db:
        found = status.queues(db, kinds(), settings().worker_silence)
    rows = [_row(each) if output is Output.TABLE else each.record() for each in found]
    show_rows(rows, COLUMNS, output, spare=SPARE)


@commands.command("pause")
def pause_queue(queue: Queue, *, by: ByOption, why: WhyOption = None) -> None:
    """Publish none of its jobs until it is resumed. Messages in the broker are still run."""
    with session() as db, db.begin(), _refusals():
        queue_pauses.pause(db, kinds(), queue, by=by, why=why)
    print_message(f"paused {queue}")


@commands.command("resume")
def resume_queue(queue: Queue, *, by: ByOption, why: WhyOption = None) -> None:
    """Publish its jobs again, in their usual order."""
    with session() as db, db.begin(), _refusals():
        queue_pauses.resume(db, kinds(), queue, by=by, why=why)
    print_message(f"resumed {queue}")


def _row(queue: QueueStatus) -> dict[str, Any]:
    shown = numbers(queue)
    pause = shown["paused"] or {"since": None, "who": None, "why": None}
    return shown | pause | {"paused": pause["since"]}


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what cannot be into a message and an exit code."""
    try:
        yield
    except UnknownQueue as error:
        raise Stop(str(error), Code.NOTHING) from None
    except Refused as error:
        raise Stop(str(error)) from None
    except ValueError as error:
        raise Stop(str(error), Code.USAGE) from None
