"""The workers that were heard of lately."""

from datetime import timedelta

from sqlalchemy.orm import Session

from outbox.doctor.servers.postgres import Postgres
from outbox.operations import status
from outbox.operations.status import WorkerStatus


def live_workers(postgres: Postgres, silence: timedelta) -> list[WorkerStatus]:
    """Those that were heard of within `silence`."""
    with postgres.connection() as connection, Session(connection) as session:
        found = status.workers(session)
    return [each for each in found if each.is_alive(silence)]
