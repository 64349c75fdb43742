"""Runs one actor inline, with a real job, in the test's own engine or session."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, overload
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import from_json
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from outbox.actors import Actor
from outbox.job import Job
from outbox.kinds import Work
from outbox.postgres.any_driver import execute
from outbox.store import transitions
from outbox.submission.submit import submit
from outbox.testing.admission import ADMIT_ALONE
from outbox.testing.late_result import refuse_late_result

M = TypeVar("M", bound=BaseModel)

WORKER = "outbox.testing"
_NOT_FOR_RELAYS = text("DELETE FROM duly.outbox_events WHERE job_id = :id")
_ADMIT = text(ADMIT_ALONE.replace("%(id)s", ":id"))
_FORGET = text("DELETE FROM duly.jobs WHERE id = :id AND state = 'running'")
_SAVEPOINTS: Any = {"expire_on_commit": False, "join_transaction_mode": "create_savepoint"}
"""For sessions in a transaction of the test: their commit releases a savepoint."""


@overload
def run(
    actor: Actor[M, Coroutine[Any, Any, Any]], payload: M, where: AsyncEngine | AsyncSession
) -> Coroutine[Any, Any, Any]: ...
@overload
def run(actor: Actor[M, Any], payload: M, where: Engine | Session) -> Any: ...
def run(
    actor: Actor[M, Any], payload: M, where: Engine | Session | AsyncEngine | AsyncSession
) -> Any:
    """Run the actor for a new job; returns the job's result. Await it for an `async def` actor.

    In a session everything happens in the session's transaction, each commit of the actor's as a
    savepoint, and the session's objects are expired afterwards. In an engine it is committed.
    Either way the completion and the jobs that the actor submits are in the tables. The job holds
    no key, even if its kind is unique.

    Raises what the actor raises, as it is: it is not retried, has no time limit, and the job is
    removed again. Raises RuntimeError for a result that the actor returns after its transaction
    has completed the job, UnstorableResult for one that is no JSON, and TypeError for a `def` actor
    in an async engine or session, or the other way round.
    """
    if isinstance(payload, Work):
        raise TypeError("run takes the payload: KIND(...).payload, or its model's object")
    payload = actor.kind.parse(from_json(Work(actor.kind, payload).to_json())).payload
    if actor.is_async and isinstance(where, AsyncEngine | AsyncSession):
        return _run_async(actor, payload, where)
    if not actor.is_async and isinstance(where, Engine | Session):
        return _run(actor, payload, where)
    wanted = "AsyncEngine or AsyncSession" if actor.is_async else "Engine or Session"
    sort = "async def" if actor.is_async else "def"
    raise TypeError(f"{actor.kind.name} is `{sort}`: pass an {wanted}, not {type(where).__name__}")


def _run(actor: Actor[M, Any], payload: M, where: Engine | Session) -> Any:
    sessions: Callable[[], Session]
    if isinstance(where, Session):
        where.flush()
        sessions = partial(Session, where.connection(), **_SAVEPOINTS)
    else:
        sessions = partial(Session, where, expire_on_commit=False)
    with sessions() as session, session.begin():
        id_ = _submit(session, actor, payload)
    with sessions() as session, session.begin():
        job = _claim(session, actor, id_)
    job.open_session = sessions
    try:
        returned = actor(payload, job)
        refuse_late_result(job, returned)
        if not job.completed:
            job.result = job.result if returned is None else returned
            with job.transaction():
                """Only the job's completion is left to commit."""
    except BaseException:
        with suppress(SQLAlchemyError), sessions() as session, session.begin():
            _forget(session, id_)
        raise
    finally:
        if isinstance(where, Session):
            where.expire_all()
    return job.result


async def _run_async(actor: Actor[M, Any], payload: M, where: AsyncEngine | AsyncSession) -> Any:
    sessions: Callable[[], AsyncSession]
    if isinstance(where, AsyncSession):
        await where.flush()
        sessions = partial(AsyncSession, await where.connection(), **_SAVEPOINTS)
    else:
        sessions = partial(AsyncSession, where, expire_on_commit=False)
    async with sessions() as session, session.begin():
        id_ = await session.run_sync(_submit, actor, payload)
    async with sessions() as session, session.begin():
        job = await session.run_sync(_claim, actor, id_)
    job.open_async_session = sessions
    try:
        returned = await actor(payload, job)
        refuse_late_result(job, returned)
        if not job.completed:
            job.result = job.result if returned is None else returned
            async with job.transaction():
                """Only the job's completion is left to commit."""
    except BaseException:
        with suppress(SQLAlchemyError):
            async with sessions() as session, session.begin():
                await session.run_sync(_forget, id_)
        raise
    finally:
        if isinstance(where, AsyncSession):
            where.expire_all()
    return job.result


def _submit(session: Session, actor: Actor[M, Any], payload: M) -> UUID:
    kind = replace(actor.kind, unique=None)  # the job is run, whoever holds its key
    return submit(session, Work(kind, payload)).id


def _claim(session: Session, actor: Actor[Any, Any], id_: UUID) -> Job:
    """Claim the job as a worker does, and keep it from relays."""
    session.execute(_ADMIT, {"id": id_})
    row = {"id": [id_], "dispatch": [1], "kind": [actor.kind.name], "worker": WORKER}
    claim = execute(session.connection(), transitions.CLAIM, row).one()
    session.execute(_NOT_FOR_RELAYS, {"id": id_})
    return Job.claimed(id_, 1, actor.kind.name, claim, WORKER)


def _forget(session: Session, id_: UUID) -> None:
    session.execute(_FORGET, {"id": id_})
