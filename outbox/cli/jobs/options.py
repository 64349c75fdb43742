"""The options that select the jobs of a command."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from outbox.cli.terminal.ids import row_id
from outbox.cli.terminal.times import since as parse_since

KindOption = Annotated[str | None, typer.Option("--kind", help="Only jobs of this kind.")]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Only jobs of this queue.")]
SubjectOption = Annotated[str | None, typer.Option("--subject", help="Only jobs about this.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        parser=parse_since,
        metavar="ISO|AGE",
        help="Only jobs created at or after this time, or in the last 2h, 3d, ...",
    ),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        parser=parse_since,
        metavar="ISO|AGE",
        help="Only jobs created before this time, or more than 2h, 3d, ... ago.",
    ),
]
ParentOption = Annotated[
    UUID | None,
    typer.Option("--parent", metavar="ID", help="Only jobs that this job submitted."),
]
ContinueOption = Annotated[
    int | None,
    typer.Option(
        "--continue",
        metavar="ACT",
        parser=row_id,
        help="Finish an interrupted command: cancel the rest of its jobs.",
    ),
]
