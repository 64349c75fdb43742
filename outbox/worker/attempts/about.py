"""What is told of an attempt with each of its events."""

from typing import TypedDict
from uuid import UUID


class About(TypedDict):
    """The fields that all of its events have."""

    job_id: UUID
    kind: str
    queue: str
    worker: str
    attempt: int
    key: str | None
