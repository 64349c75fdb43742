"""The options that select the dead letters of a command."""

from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

import typer

from outbox.cli.errors import Code, Stop
from outbox.cli.terminal.ids import row_id
from outbox.cli.terminal.times import since as parse_since
from outbox.operations.dead_letters import DeadLetterFilter, Reason

Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="ID", parser=row_id, help="The dead letters' ids."),
]
KindOption = Annotated[str | None, typer.Option("--kind", help="Only those of this kind.")]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Only those of this queue.")]
ReasonOption = Annotated[
    Reason | None,
    typer.Option(
        "--reason",
        metavar="REASON",
        help=f"Only those that died for this reason: {', '.join(get_args(Reason))}.",
    ),
]
ErrorOption = Annotated[
    str | None, typer.Option("--error", help="Only those whose error type or text contains this.")
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        parser=parse_since,
        metavar="ISO|AGE",
        help="Only those that died at or after this time, or in the last 2h, 3d, ...",
    ),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        parser=parse_since,
        metavar="ISO|AGE",
        help="Only those that died before this time, or more than 2h, 3d, ... ago.",
    ),
]
BatchOption = Annotated[
    UUID | None,
    typer.Option("--batch", metavar="ID", help="Only members of this batch, or of one in it."),
]
OldestFirstOption = Annotated[
    bool, typer.Option("--oldest-first", help="Oldest first, not newest first.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every open one, without a filter.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="At most this many, newest first.")
]
ContinueOption = Annotated[
    int | None,
    typer.Option(
        "--continue",
        metavar="ACT",
        parser=row_id,
        help="Finish an interrupted command: act on the rest of its dead letters.",
    ),
]


def check_selection(
    wanted: DeadLetterFilter, limit: int | None, continued: int | None, *, everything: bool
) -> None:
    """Raises Stop if the options do not say clearly which dead letters are meant."""
    if "" in (wanted.kind, wanted.queue, wanted.error):
        raise Stop("a filter must not be empty: an unset variable would match all", Code.USAGE)
    filtered = wanted != DeadLetterFilter(ids=wanted.ids) or everything
    if not (wanted.ids or filtered or continued):
        raise Stop("which dead letters? Give ids, a filter, or --all", Code.USAGE)
    if wanted.ids and (filtered or limit):
        raise Stop("ids cannot be combined with a filter, --all or --limit", Code.USAGE)
    if continued and (wanted.ids or filtered or limit):
        raise Stop("--continue cannot be combined with ids, filters, --all or --limit", Code.USAGE)
