"""Connects the API to Postgres, asynchronously and with short timeouts."""

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
"""How long a request waits for a new connection, or for one that another request frees."""
STATEMENT_SECONDS = 10

Sessions = async_sessionmaker[AsyncSession]


def create_engine(database_url: str) -> AsyncEngine:
    """The process's connection pool; it connects when the first request needs it.

    TCP timeouts detect a server that went silent. A connection that the server has closed is
    replaced at checkout. Error messages do not quote parameters.
    """
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        isolation_level="READ COMMITTED",  # see what requests with the same key have committed
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

    Jobs submitted in them are sent together with the COMMIT.
    """
    return job_sessions(engine, expire_on_commit=False)


async def _transaction(request: Request) -> AsyncSession:
    session = getattr(request.state, "session", None)
    if not isinstance(session, AsyncSession):
        raise TypeError("Tx needs a router with route_class=TransactionalRoute")
    return session


Tx = Annotated[AsyncSession, Depends(_transaction)]
"""The request's transaction. Handlers write in it; their route commits it."""
