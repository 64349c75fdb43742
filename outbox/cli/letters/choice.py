"""Which dead letters a command is about: the options by which it is said."""

from datetime import datetime
from typing import Annotated

import typer

from outbox.cli.errors import Code, Stop
from outbox.cli.terminal.times import since as parse_since
from outbox.operations.dead_letters import DeadLetterFilter, Reason

LARGEST_ID = 2**63 - 1

Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The dead letters' ids."),
]
KindOption = Annotated[str | None, typer.Option("--kind", help="Only those of this kind.")]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Only those of this queue.")]
ReasonOption = Annotated[
    Reason | None, typer.Option("--reason", help="Only those that died for this reason.")
]
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
UntilOption = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        parser=parse_since,
        metavar="ISO|AGE",
        help="Only those that died before this moment, or more than 2h, 3d, ... ago.",
    ),
]
OldestFirstOption = Annotated[
    bool, typer.Option("--oldest-first", help="The oldest first, instead of the newest.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Really every one, without a filter.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many, the newest first.")
]
ContinueOption = Annotated[
    int | None,
    typer.Option(
        "--continue",
        metavar="ACT",
        min=1,
        max=LARGEST_ID,
        help="The rest of those that an interrupted command was to act on.",
    ),
]


def check(
    wanted: DeadLetterFilter, limit: int | None, rest_of: int | None, *, everything: bool
) -> None:
    """Raises Stop where it is not clear which dead letters are meant."""
    if "" in (wanted.kind, wanted.queue, wanted.error):
        raise Stop("a filter must not be empty: an unset variable would match all", Code.USAGE)
    filtered = wanted != DeadLetterFilter(ids=wanted.ids) or everything
    if not (wanted.ids or filtered or rest_of):
        raise Stop("name dead letters, filter them, or say --all", Code.USAGE)
    if wanted.ids and (filtered or limit):
        raise Stop("name dead letters or filter them, not both", Code.USAGE)
    if rest_of and (wanted.ids or filtered or limit):
        raise Stop("--continue knows which dead letters: name and filter none", Code.USAGE)
