"""What actor tests share: the service's settings, and running jobs on a real database."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Job, Work, submit
from outbox.store import transitions
from outbox.testing.admission import ADMIT_ALONE
from service.settings import settings

Configure = Callable[..., None]
Claim = Callable[[Work[Any]], Job]


@pytest.fixture
def configure(
    monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> Iterator[Configure]:
    """Sets settings by name for this test; the documents are in a folder of its own."""

    def configure(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"DULY_{name.upper()}", str(value))
        settings.cache_clear()

    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("AMQP_URL", "amqp://127.0.0.1:1")  # no actor talks to the broker
    configure(documents_url=(tmp_path / "documents").as_uri())
    yield configure
    settings.cache_clear()


@pytest.fixture
def claim(engine: Engine, configure: Configure) -> Claim:
    """Submits work and claims its job, as a worker does before it calls the actor."""

    def claim(work: Work[Any]) -> Job:
        with Session(engine) as session, session.begin():
            job = submit(session, work)
        claimed = {"id": [job.id], "dispatch": [1], "kind": [job.kind], "worker": "test"}
        with engine.begin() as connection:
            connection.exec_driver_sql(ADMIT_ALONE, {"id": job.id})
            row = connection.exec_driver_sql(transitions.CLAIM, claimed).one()
        return Job(
            id=job.id,
            kind=job.kind,
            dispatch=1,
            attempt=row.attempt,
            worker="test",
            attempt_limit=row.attempt_limit,
            subject=row.subject,
            open_session=lambda: Session(engine),
        )

    return claim


def next_attempt(job: Job) -> Job:
    """The same job as its next attempt sees it."""
    return replace(job, dispatch=job.dispatch + 1, attempt=job.attempt + 1)
