"""`duly migrate`: waits for Postgres, then brings the database up to date."""

import time
from typing import Annotated

import psycopg
import typer

from outbox.cli.app import app, settings
from outbox.cli.database import CONNECT_SECONDS
from outbox.cli.errors import Code, Stop
from outbox.cli.terminal.output import talk
from outbox.postgres.address import conninfo

commands = typer.Typer()

PAUSE_SECONDS = 0.5


@commands.command()
def migrate(
    *,
    to: Annotated[str, typer.Option(metavar="REVISION", help="No further than this.")] = "head",
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait for Postgres, and for others that migrate.",
        ),
    ] = 60,
    grant_to: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="The role that Duly's processes run as gets its rights."),
    ] = None,
) -> None:
    """Bring the database up to date. Any number may start at once: they take turns."""
    from outbox.migrations.grants import UnfitRole, grant
    from outbox.migrations.run import mend_sequences, upgrade
    from outbox.migrations.turn import MigrationError

    _wait_for_postgres(wait)
    try:
        upgrade(
            settings().database_url,
            app().migrations(),
            to,
            wait_seconds=wait,
            on_wait=lambda: talk("waiting for another process that migrates"),
        )
    except MigrationError as error:
        raise Stop(f"cannot migrate: {error}") from None
    talk("the database is up to date")
    if to == "head":
        for each in mend_sequences(settings().database_url, app().tables):
            talk(f"the numbers of {each.table} were behind: they go on after {each.largest}")
    if grant_to is not None:
        try:
            grant(settings().database_url, grant_to, app().tables.tables.keys())
        except UnfitRole as error:
            raise Stop(f"--grant-to: {error}", Code.USAGE) from None
        except psycopg.Error as error:
            raise Stop(f"cannot grant rights to {grant_to}: {str(error).strip()}") from None
        talk(f"the role {grant_to} has its rights")


def _wait_for_postgres(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    said = False
    while error := _refusal():
        if time.monotonic() > deadline:
            raise Stop(f"Postgres cannot be reached: {error}", Code.UNREACHABLE)
        if not said:
            talk(f"waiting for Postgres: {error}")
            said = True
        time.sleep(PAUSE_SECONDS)


def _refusal() -> str | None:
    """Why Postgres lets nobody in, or None when it does."""
    try:
        psycopg.connect(conninfo(settings().database_url), connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        return str(error).strip().partition("\n")[0]
    return None
