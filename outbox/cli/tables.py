"""Whether Postgres has the tables that this release needs."""

from sqlalchemy.exc import DBAPIError

from outbox.cli.database import session
from outbox.cli.errors import Stop
from outbox.migrations import LATEST, installed


def require_tables() -> None:
    """Raise Stop where the tables are older than this release needs.

    A process waits for a Postgres that is away, so then nothing is raised.
    """
    try:
        with session() as db:
            found = installed(db.connection())
    except DBAPIError:
        return
    if found < LATEST:
        raise Stop(
            f"the database has version {found} of Duly's tables and this release needs {LATEST}: "
            "run `duly migrate`"
        )
