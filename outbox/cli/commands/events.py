"""`duly events`: list messages to other services, and send them again."""

from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.person import ByOption, WhyOption
from outbox.cli.terminal.output import Output, OutputOption, print_message, show, show_rows
from outbox.cli.terminal.pages import print_continuation
from outbox.cli.terminal.times import since as parse_since
from outbox.operations import jobs
from outbox.operations.flow import outgoing
from outbox.operations.flow.outgoing import MessageFilter, State
from outbox.store.records import fields

commands = typer.Typer(
    help="List messages to other services, and send them again.", no_args_is_help=True
)

COLUMNS = ("id", "exchange", "routing_key", "type", "state", "created_at", "sent_at")
SPARE = ("created_at", "type", "sent_at")
"""What a narrow terminal does without."""
SAMPLE = 10

ExchangeOption = Annotated[
    str | None, typer.Option("--exchange", help="Only those to this exchange.")
]
RoutingKeyOption = Annotated[
    str | None, typer.Option("--routing-key", help="Only those with this routing key.")
]
UntilOption = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        parser=parse_since,
        metavar="ISO|AGE",
        help="Only those sent before this time, or more than 2h, 3d, ... ago.",
    ),
]


@commands.command("list")
def list_messages(
    *,
    exchange: ExchangeOption = None,
    routing_key: RoutingKeyOption = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only those of this type.")] = None,
    state: Annotated[
        State | None,
        typer.Option("--state", metavar="STATE", help=f"Only {', '.join(get_args(State))}."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            parser=parse_since,
            metavar="ISO|AGE",
            help="Only those sent at or after this time, or in the last 2h, 3d, ...",
        ),
    ] = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option(min=1, max=jobs.LARGEST_PAGE, metavar="N", help="Page size.")
    ] = 50,
    after: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Continue after this one.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List messages, newest first, without their bodies."""
    wanted = MessageFilter(exchange, routing_key, type_, state, since, until)
    with session() as db:
        found = outgoing.find(db, wanted, limit=limit + 1, before=after)
    show_rows([fields(each) for each in found[:limit]], COLUMNS, output, spare=SPARE)
    print_continuation(found, limit)


@commands.command("resend")
def resend_messages(
    *,
    since: Annotated[
        datetime,
        typer.Option(
            "--since",
            parser=parse_since,
            metavar="ISO|AGE",
            help="Those sent at or after this time, or in the last 2h, 3d, ...",
        ),
    ],
    until: UntilOption = None,
    exchange: ExchangeOption = None,
    routing_key: RoutingKeyOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Send them. Without it, only say how many match.")
    ] = False,
    by: ByOption,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send messages again, with their message ids, as after the broker has lost them."""
    if routing_key == "":
        raise Stop("a filter must not be empty: an unset variable would match all", Code.USAGE)
    with session() as db, db.begin():
        until = until or outgoing.now(db)
        wanted = MessageFilter(exchange, routing_key, since=since, until=until)
        matched = outgoing.count(db, wanted)
        sample = outgoing.find(db, wanted, limit=SAMPLE) if matched else []
    if not matched:
        raise Stop("no message that was sent matches", Code.NOTHING)
    if not yes:
        _preview(matched, sample, output)
        return
    sent = 0
    with session() as db:
        while some := _resend(db, since, until, exchange, routing_key, by, why):
            sent += some
            if matched > some:
                print_message(f"{sent} of {matched} ...")
    print_message(f"{sent} messages are sent again")


def _resend(
    db: Session,
    since: datetime,
    until: datetime,
    exchange: str | None,
    routing_key: str | None,
    by: str,
    why: str | None,
) -> int:
    """One transaction of it; those before it stay done if the process dies."""
    with db.begin():
        return outgoing.resend(
            db, since, until, exchange=exchange, routing_key=routing_key, by=by, why=why
        )


def _preview(matched: int, sample: list[outgoing.MessageRecord], output: Output) -> None:
    rows = [fields(each) for each in sample]
    if output is Output.TABLE:
        print_message(f"{matched} messages match; the newest of them:")
        show_rows(rows, COLUMNS, output, spare=SPARE)
        print_message("nothing is sent: add --yes to send them again")
    else:
        show({"matched": matched, "sample": rows}, output)
