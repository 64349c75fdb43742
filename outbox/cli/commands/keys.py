"""`duly keys`: create, list and revoke API keys."""

from datetime import timedelta
from typing import Annotated

import typer

from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.person import ByOption, WhyOption, named
from outbox.cli.terminal.output import Output, OutputOption, print_message, show_rows
from outbox.cli.terminal.times import duration
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope

commands = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

COLUMNS = ("prefix", "name", "scopes", "created_at", "expires_at", "revoked_at", "last_seen_at")


@commands.command("create")
def create_key(
    *,
    name: Annotated[str, typer.Option(callback=named, help="Who or what will use the key.")],
    scopes: Annotated[str, typer.Option(metavar="A,B", help=f"Any of {', '.join(Scope)}.")],
    expires: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="AGE", help="Valid for this long: 90d, 12h, ..."),
    ] = None,
    by: ByOption,
    why: WhyOption = None,
) -> None:
    """Create a key and print it. It cannot be shown again."""
    wanted = _scopes(scopes)
    with session() as db, db.begin():
        key = api_keys.create(db, name, wanted, expires, by=by, why=why)
    print_message("save this key now: it cannot be shown again")
    typer.echo(key)


@commands.command("list")
def list_keys(*, output: OutputOption = Output.TABLE) -> None:
    """List all keys, newest first, without their secrets."""
    with session() as db:
        rows = [{name: getattr(key, name) for name in COLUMNS} for key in api_keys.all_keys(db)]
    if output is Output.TABLE:
        rows = [row | {"scopes": ", ".join(row["scopes"])} for row in rows]
    show_rows(rows, COLUMNS, output, spare=("created_at",))


@commands.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="As `keys list` shows it.")],
    *,
    by: ByOption,
    why: WhyOption = None,
) -> None:
    """Revoke a key for good."""
    with session() as db, db.begin():
        revoked = api_keys.revoke(db, prefix, by=by, why=why)
    if not revoked:
        raise Stop(f"there is no key {prefix}, or it is already revoked", Code.NOTHING)
    print_message(f"key {prefix} is revoked")


def _scopes(text: str) -> list[Scope]:
    try:
        return [Scope(name) for name in dict.fromkeys(text.split(","))]
    except ValueError:
        known = ", ".join(Scope)
        raise Stop(f"unknown scope in {text!r}; the scopes are {known}", Code.USAGE) from None
