"""How the API reaches Postgres: asynchronously, and never waiting long."""

from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from starlette.requests import Request

from outbox import job_sessions
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.pools import replace_unusable
from outbox.postgres.session_settings import configure_engine

CONNECTIONS = 10
CONNECT_SECONDS = 3
"""How long a request waits for a connection to be made, or for another request to free one."""
STATEMENT_SECONDS = 10

Sessions = async_sessionmaker[AsyncSession]


def create_engine(database_url: str) -> AsyncEngine:
    """The process's connections; the first is made when the first request needs it.

    A server that went silent is noticed by TCP, one that has ended the connection when it is taken;
    error messages do not quote parameters.
    """
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        isolation_level="READ COMMITTED",  # keyed requests wait for each other, then look
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        hide_parameters=True,
        connect_args={
            "fallback_application_name": "duly-api",
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": STATEMENT_SECONDS * 1000,
            "keepalives_idle": STATEMENT_SECONDS,
        },
    )
    limits = {
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{3 * STATEMENT_SECONDS}s",
    }
    configure_engine(engine.sync_engine, limits)
    replace_unusable(engine.sync_engine)
    return engine


def create_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions that take a connection at their first statement, and keep rows after a commit.

    Their jobs travel with the commit.
    """
    return job_sessions(engine, expire_on_commit=False)


async def _transaction(request: Request) -> AsyncSession:
    session = getattr(request.state, "session", None)
    if not isinstance(session, AsyncSession):
        raise TypeError("Tx needs a router with route_class=TransactionalRoute")
    return session


Tx = Annotated[AsyncSession, Depends(_transaction)]
"""The request's transaction: handlers write in it, and leave the commit to their route."""
