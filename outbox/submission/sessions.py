"""Sessions that send their jobs with the COMMIT, so that a job costs no round trip of its own."""

from typing import Any

from sqlalchemy import Dialect, PoolResetState, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from outbox.postgres.pools import roll_back_leftovers
from outbox.submission.job_connection import JobConnection


def job_sessions(engine: AsyncEngine, **options: Any) -> async_sessionmaker[AsyncSession]:
    """Make AsyncSessions whose jobs go out in the same round trip as COMMIT; `options` are theirs.

    When the commit has returned, rows and jobs are committed. When it raises one of SQLAlchemy's
    errors, neither are. If the connection broke, the task was cancelled or the process died, either
    both are or neither. If the error's `orig` is `Unreplicated`, both are, but without waiting for
    the standby.

    From now on the engine opens its connections as `JobConnection`. Older connections, those of an
    `async_creator` and those of another driver than psycopg write the jobs just before the COMMIT,
    as any session does.
    """
    if engine.dialect.driver.startswith("psycopg"):
        event.listen(engine.sync_engine, "do_connect", _use_job_connection)
        event.listen(engine.sync_engine, "reset", _reset)
    roll_back_leftovers(engine.sync_engine)
    return async_sessionmaker(engine, **options)


def _use_job_connection(
    _dialect: Dialect, _record: Any, _args: Any, options: dict[str, Any]
) -> None:
    """Do as `create_async_engine(async_creator=...)` does, but with the URL's parameters."""
    options.setdefault("async_creator_fn", JobConnection.connect)


def _reset(connection: DBAPIConnection, _record: object, _state: PoolResetState) -> None:
    driver = getattr(connection, "driver_connection", None)
    if isinstance(driver, JobConnection):
        driver.waiting = ()
