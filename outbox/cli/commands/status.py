"""`duly status`: the backlog of each queue, the workers, and what is down."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

import typer

from outbox.cli.app import amqp_url, kinds, settings
from outbox.cli.broker import Unreachable, depths
from outbox.cli.database import session
from outbox.cli.errors import Stop
from outbox.cli.terminal.numbers import numbers
from outbox.cli.terminal.output import Output, OutputOption, show, show_rows
from outbox.operations.backlog.queue_status import QueueStatus
from outbox.operations.status import Status, WorkerStatus, read

commands = typer.Typer()

STALLED_SECONDS = 10
"""If a due event waits longer, although the broker has room, no relay is running."""

QUEUE_COLUMNS = (
    "queue",
    "high",
    "normal",
    "low",
    "held",
    "oldest_seconds",
    "scheduled",
    "in_broker",
    "queued",
    "running",
    "overdue",
    "dead",
    "paused",
)
WORKER_COLUMNS = ("worker", "alive", "silent_seconds", "threads", "tasks", "queues")
OVERDUE_COLUMNS = ("id", "kind", "queue", "state", "since", "why")


@commands.command("status")
def show_status(*, output: OutputOption = Output.TABLE) -> None:
    """Show queues, workers and overdue jobs. Exits with 1 if something is down."""
    broker = amqp_url()
    with session() as db:
        status = read(db, kinds(), settings().worker_silence)
    in_broker: Mapping[str, int | None] = {}
    try:
        in_broker = depths(broker, [each.queue for each in status.queues])
        down = [*_unpublished(status, in_broker), *_unserved(status), *_behind(status)]
    except Unreachable as error:
        down = [f"RabbitMQ cannot be reached: {error}", *_unserved(status), *_behind(status)]
    _print(status, in_broker, down, output)
    if down:
        raise Stop("\n".join(down))


def _unpublished(status: Status, in_broker: Mapping[str, int | None]) -> Iterator[str]:
    for each in status.queues:
        has_room = (in_broker[each.queue] or 0) < settings().window and not each.paused
        if has_room and (seconds := each.unpublished_seconds or 0) > STALLED_SECONDS:
            yield f"no relay publishes {each.queue}: a job has waited {seconds:.0f} s"


def _unserved(status: Status) -> Iterator[str]:
    served = {queue for each in status.workers if _is_alive(each) for queue in each.queues}
    for queue in kinds().queues:
        if queue not in served:
            yield f"no worker serves {queue}"


def _behind(status: Status) -> Iterator[str]:
    for each in status.behind:
        yield f"the numbers of {each.table} are behind its rows: run `duly migrate`"


def _is_alive(worker: WorkerStatus) -> bool:
    return worker.is_alive(settings().worker_silence)


def _print(
    status: Status, in_broker: Mapping[str, int | None], down: list[str], output: Output
) -> None:
    view = numbers if output is Output.TABLE else QueueStatus.record
    queues = [view(each) | {"in_broker": in_broker.get(each.queue)} for each in status.queues]
    workers = [asdict(each) | {"alive": _is_alive(each)} for each in status.workers]
    overdue = [asdict(each) for each in status.overdue]
    if output is Output.TABLE:
        rows = [each | {"paused": (each["paused"] or {}).get("since")} for each in queues]
        show_rows(rows, QUEUE_COLUMNS, output, spare=("held", "queued", "running"))
        typer.echo()
        rows = [each | {"queues": ", ".join(each["queues"])} for each in workers]
        show_rows(rows, WORKER_COLUMNS, output)
        if overdue:
            typer.echo()
            show_rows(overdue, OVERDUE_COLUMNS, output, spare=("queue", "state", "since"))
    else:
        show({"down": down, "queues": queues, "workers": workers, "overdue": overdue}, output)
