"""`duly migrate`: waits for Postgres, then brings the database up to date."""

import time
from typing import Annotated

import psycopg
import typer

from outbox.cli.app import app, settings
from outbox.cli.database import CONNECT_SECONDS
from outbox.cli.errors import Code, Stop
from outbox.cli.terminal.output import print_message
from outbox.postgres.address import conninfo

commands = typer.Typer()

POLL_SECONDS = 0.5


@commands.command()
def migrate(
    *,
    to: Annotated[
        str, typer.Option(metavar="REVISION", help="Migrate no further than this.")
    ] = "head",
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait for Postgres, and then for other migrations.",
        ),
    ] = 60,
    grant_to: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="Grant this role the rights that Duly's processes need."),
    ] = None,
) -> None:
    """Bring the database up to date. Any number may start at once: they take turns."""
    from outbox.migrations.grants import UnfitRole, grant
    from outbox.migrations.lock import MigrationError
    from outbox.migrations.run import advance_sequences, upgrade

    _wait_for_postgres(wait)
    try:
        upgrade(
            settings().database_url,
            app().migrations(),
            to,
            wait_seconds=wait,
            on_wait=lambda: print_message("waiting for another process that migrates"),
        )
    except MigrationError as error:
        raise Stop(f"cannot migrate: {error}") from None
    print_message("the database is up to date")
    if to == "head":
        for each in advance_sequences(settings().database_url, app().tables):
            print_message(
                f"the numbers of {each.table} were behind: they go on after {each.largest}"
            )
    if grant_to is not None:
        try:
            grant(settings().database_url, grant_to, app().tables.tables.keys())
        except UnfitRole as error:
            raise Stop(f"--grant-to: {error}", Code.USAGE) from None
        except psycopg.Error as error:
            raise Stop(f"cannot grant rights to {grant_to}: {str(error).strip()}") from None
        print_message(f"the role {grant_to} has its rights")


def _wait_for_postgres(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    announced = False
    while error := _connect_error():
        if time.monotonic() > deadline:
            raise Stop(f"Postgres cannot be reached: {error}", Code.UNREACHABLE)
        if not announced:
            print_message(f"waiting for Postgres: {error}")
            announced = True
        time.sleep(POLL_SECONDS)


def _connect_error() -> str | None:
    """Why Postgres accepts no connection, or None if it does."""
    try:
        psycopg.connect(conninfo(settings().database_url), connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        return str(error).strip().partition("\n")[0]
    return None
