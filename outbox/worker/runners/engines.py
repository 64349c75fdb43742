"""The engines of the sessions that a worker's actors get, and how tasks share theirs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from outbox.job import refuse_early_commits
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.pools import note_errors, replace_older, replace_unusable, roll_back_leftovers
from outbox.postgres.replication import watch_commits
from outbox.postgres.session_settings import configure_engine

TASKS_CONNECTIONS = 10
"""How many tasks of a worker have a session at once."""


def engine_for_threads(database_url: str, threads: int, lost_at: Callable[[], float]) -> Engine:
    """The engine for `def` actors. Each of the threads can have two connections at once."""
    engine = create_engine(
        sqlalchemy_url(database_url),
        pool_size=threads,
        max_overflow=threads,
        hide_parameters=True,  # an error's text is stored and shown
    )
    _configure(engine, lost_at)
    roll_back_leftovers(engine)
    watch_commits(engine)
    return engine


def engine_for_tasks(database_url: str, lost_at: Callable[[], float]) -> AsyncEngine:
    """The engine for `async def` actors.

    As many have a session as `TaskSessions` lets, and each of them can have two connections at
    once. `job_sessions` has to make its sessions.
    """
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        pool_size=TASKS_CONNECTIONS,
        max_overflow=TASKS_CONNECTIONS,
        hide_parameters=True,
    )
    _configure(engine.sync_engine, lost_at)
    return engine


class TaskSessions:
    """Opens the sessions of jobs that are tasks, of TASKS_CONNECTIONS jobs at once.

    A job waits for its first session as long as it takes; only its time limit ends that. What it
    opens beside that waits for no other job, or jobs that have one session each would wait for each
    other. The pool does not do this: it knows no jobs, and forgets who waits if connecting fails.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._places = asyncio.Semaphore(TASKS_CONNECTIONS)

    def of_one_job(self) -> Callable[[], AbstractAsyncContextManager[AsyncSession]]:
        """What opens the sessions of one job."""
        opened = 0

        @asynccontextmanager
        async def open_session() -> AsyncIterator[AsyncSession]:
            nonlocal opened
            takes_place = not opened
            if takes_place:
                await self._places.acquire()
            opened += 1
            try:
                async with self._sessions() as session:
                    yield session
            finally:
                opened -= 1
                if takes_place:
                    self._places.release()

        return open_session


def _configure(engine: Engine, lost_at: Callable[[], float]) -> None:
    configure_engine(engine)
    note_errors(engine)
    refuse_early_commits(engine)
    replace_unusable(engine)
    # Whatever cut the group commit's connection has cut idle ones of the actors, too. Those are
    # replaced, so that no attempt fails on one.
    replace_older(engine, lost_at)
