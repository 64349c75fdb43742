"""The engines of the sessions that a worker's actors get."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from outbox.job import refuse_early_commits
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.pools import note_errors, replace_older, replace_unusable, roll_back_leftovers
from outbox.postgres.replication import watch_commits
from outbox.postgres.session_settings import configure_engine

TASKS_CONNECTIONS = 10
"""Connections that all tasks of a worker share."""


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

    A task waits for one of its connections as long as it takes; only the task's time limit ends
    that. `job_sessions` has to make its sessions.
    """
    forever: Any = None
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        pool_size=TASKS_CONNECTIONS,
        max_overflow=0,
        pool_timeout=forever,
        hide_parameters=True,
    )
    _configure(engine.sync_engine, lost_at)
    return engine


def _configure(engine: Engine, lost_at: Callable[[], float]) -> None:
    configure_engine(engine)
    note_errors(engine)
    refuse_early_commits(engine)
    replace_unusable(engine)
    # Whatever cut the group commit's connection has cut idle ones of the actors, too. Those are
    # replaced, so that no attempt fails on one.
    replace_older(engine, lost_at)
