"""`duly keys`: create, list and revoke API keys."""

from datetime import timedelta
from typing import Annotated

import typer

from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.person import ByOption, WhyOption, named
from outbox.cli.terminal.output import Output, OutputOption, show_rows, talk
from outbox.cli.terminal.times import duration
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope

commands = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

COLUMNS = ("prefix", "name", "scopes", "created_at", "expires_at", "revoked_at")


@commands.command("create")
def create_key(
    *,
    name: Annotated[str, typer.Option(callback=named, help="Who or what will use it.")],
    scopes: Annotated[str, typer.Option(metavar="A,B", help=f"Of {', '.join(Scope)}.")],
    expires: Annotated[
        timedelta | None, typer.Option(parser=duration, metavar="AGE", help="90d, 12h, ...")
    ] = None,
    by: ByOption,
    why: WhyOption = None,
) -> None:
    """Make a key and print it: the only time that it can be seen."""
    wanted = _scopes(scopes)
    with session() as db, db.begin():
        key = api_keys.create(db, name, wanted, expires, by=by, why=why)
    talk("keep this key, it is not shown again")
    typer.echo(key)


@commands.command("list")
def list_keys(*, output: OutputOption = Output.TABLE) -> None:
    """List all keys, the newest first, without their secrets."""
    with session() as db:
        rows = [{name: getattr(key, name) for name in COLUMNS} for key in api_keys.all_keys(db)]
    show_rows(rows, COLUMNS, output)


@commands.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="As `keys list` shows it.")],
    *,
    by: ByOption,
    why: WhyOption = None,
) -> None:
    """End a key, for good."""
    with session() as db, db.begin():
        revoked = api_keys.revoke(db, prefix, by=by, why=why)
    if not revoked:
        raise Stop(f"no key {prefix} to revoke: unknown, or revoked before", Code.NOTHING)
    talk(f"key {prefix} is revoked")


def _scopes(text: str) -> list[Scope]:
    try:
        return [Scope(name) for name in dict.fromkeys(text.split(","))]
    except ValueError:
        raise Stop(f"{text!r}: scopes are {', '.join(Scope)}", Code.USAGE) from None
