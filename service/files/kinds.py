"""The job of files."""

from datetime import timedelta

from outbox import Kind, Priority, Retry
from service.payload import Payload


class SweepFiles(Payload):
    """Delete the files that nothing needs any more."""


SWEEP_FILES = Kind(
    "files.sweep",
    SweepFiles,
    queue="documents",
    priority=Priority.LOW,
    time_limit=timedelta(minutes=30),
    retry=Retry(attempts=8),
    owner="platform",
    idempotency="what is deleted stays deleted; the next attempt goes on",
)
