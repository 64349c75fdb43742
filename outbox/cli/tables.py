"""Whether Postgres has the tables that this release needs."""

from concurrent.futures import Future
from threading import Thread

from sqlalchemy.exc import DBAPIError

from outbox.cli.database import session
from outbox.cli.errors import Stop
from outbox.migrations import LATEST, installed


def require_tables() -> None:
    """Raise Stop where the tables are older than this release needs.

    A process waits for a Postgres that is away, so then nothing is raised.
    """
    asked: Future[int] = Future()
    # The main thread waits, because only there SIGTERM is heard, and not in a lookup of a name.
    Thread(target=_ask, args=(asked,), daemon=True).start()
    try:
        found = asked.result()
    except DBAPIError:
        return
    if found < LATEST:
        raise Stop(
            f"the database has version {found} of Duly's tables and this release needs {LATEST}: "
            "run `duly migrate`"
        )


def _ask(asked: "Future[int]") -> None:
    try:
        with session() as db:
            found = installed(db.connection())
    except BaseException as error:  # noqa: BLE001 - raised in the main thread
        asked.set_exception(error)
    else:
        asked.set_result(found)
