"""`duly limits`: list the keys that jobs hold."""

from typing import Annotated

import typer

from outbox.cli.app import kinds
from outbox.cli.database import session
from outbox.cli.terminal.output import Output, OutputOption, show_rows
from outbox.operations.flow import limits
from outbox.store.records import fields

commands = typer.Typer(help="List the keys that jobs hold.", no_args_is_help=True)

COLUMNS = ("key", "at_most", "running", "admitted", "waiting")


@commands.callback()
def group() -> None:
    """List the keys that jobs hold."""


@commands.command("list")
def list_limits(
    *,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, metavar="N", help="Page size.")
    ] = 50,
    after: Annotated[
        str | None, typer.Option("--after", metavar="KEY", help="Continue after this one.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the keys that jobs hold now, with how many run and how many wait."""
    with session() as db, db.begin():
        found = limits.find(db, kinds(), limit=limit, after=after)
    show_rows([fields(each) for each in found], COLUMNS, output)
