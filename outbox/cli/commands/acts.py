"""`duly acts`: the record of what people did."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.terminal.ids import row_id
from outbox.cli.terminal.output import Output, OutputOption, show, show_rows
from outbox.cli.terminal.pages import print_continuation
from outbox.cli.terminal.times import since as parse_since
from outbox.operations import acts, jobs
from outbox.operations.acts import Act, ActFilter

commands = typer.Typer(help="List and show what people did, and why.", no_args_is_help=True)

COLUMNS = ("id", "at", "who", "act", "about", "why")


@commands.command("list")
def list_acts(
    *,
    who: Annotated[str | None, typer.Option(help="Only acts of this person or key.")] = None,
    act: Annotated[
        str | None, typer.Option(help="Only acts of this type, such as replay or look.")
    ] = None,
    about: Annotated[
        str | None, typer.Option(help="Only acts about this, such as job:ID or dead-letter:7.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=parse_since, metavar="ISO|AGE", help="Only acts since then."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=parse_since, metavar="ISO|AGE", help="Only acts before then."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=jobs.LARGEST_PAGE, metavar="N", help="Page size.")
    ] = 50,
    after: Annotated[
        int | None,
        typer.Option(parser=row_id, metavar="ID", help="Continue after this act."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List acts, newest first, each with the first ten things that it was about."""
    wanted = ActFilter(who=who, act=act, about=about, since=since, until=until)
    with session() as db:
        found = acts.find(db, wanted, limit=limit + 1, before=after)
    show_rows([_view(each, output) for each in found[:limit]], COLUMNS, output, spare=("why",))
    print_continuation(found, limit)


@commands.command("show")
def show_act(
    act_id: Annotated[int, typer.Argument(metavar="ID", parser=row_id, help="The act's id.")],
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show an act with everything that it was about."""
    with session() as db:
        act = acts.get(db, act_id)
    if act is None:
        raise Stop(f"there is no act {act_id}", Code.NOTHING)
    show(asdict(act), output)


def _view(act: Act, output: Output) -> dict[str, Any]:
    """The act. In a table it has only its first thing, and how many more there are."""
    shown = asdict(act)
    if output is Output.TABLE:
        first, *_ = act.about or ["-"]
        shown["about"] = first if act.things < 2 else f"{first} and {act.things - 1} more"
    return shown
