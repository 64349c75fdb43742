"""What tests of deliveries share: endpoints, jobs, and calling the actor as a worker does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import NullPool, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from actors import ACTORS
from outbox import Job, Work
from outbox.postgres.address import sqlalchemy_url
from outbox.store.schema import jobs
from service.settings import settings
from service.webhooks.kinds import DELIVER_WEBHOOK
from service.webhooks.models import WebhookDelivery, WebhookEndpoint

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def endpoint_at(session: Session, url: str, **fields: Any) -> UUID:
    """The id of a new endpoint for all events."""
    endpoint = WebhookEndpoint(**{"url": url, "events": ["*"], "secret": SECRET} | fields)
    session.add(endpoint)
    session.commit()
    return endpoint.id


def event_for(endpoint_id: UUID, **fields: Any) -> Work[Any]:
    """The delivery of an event to the endpoint."""
    data = {"total": "19.00", "to": "Zoë"}
    given: dict[str, Any] = {"endpoint_id": endpoint_id, "event": "invoice.rendered", "data": data}
    return DELIVER_WEBHOOK(**given | fields)


def act(work: Work[Any], job: Job) -> Any:
    """Have the work's actor do the claimed job; returns its result."""
    job = replace(job, open_session=None, open_async_session=_open_session)
    returned = asyncio.run(ACTORS[work.kind.name](work.payload, job))
    return job.result if returned is None else returned


def next_try(session: Session, job: Job) -> Job:
    """The job once its attempt was recorded as failed, and a worker has claimed it again."""
    again = replace(job, dispatch=job.dispatch + 1, attempt=job.attempt + 1)
    values = {"dispatch": again.dispatch, "attempt": again.attempt}
    session.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    session.commit()
    return again


def delivery_of(session: Session, job_id: UUID) -> WebhookDelivery:
    """What is on record of the job's delivery."""
    session.rollback()
    return session.get_one(WebhookDelivery, job_id, populate_existing=True)


@asynccontextmanager
async def _open_session() -> AsyncIterator[AsyncSession]:
    engine = create_async_engine(sqlalchemy_url(settings().database_url), poolclass=NullPool)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
