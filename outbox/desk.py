"""What a worker process has in hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from outbox.attempt import Attempt

Place = tuple[UUID, int]
"""Job and dispatch: a later dispatch of a job that was taken from this process is another thing."""


class Desk:
    """The dispatches of a process, each at most once, from before the claim to the record."""

    def __init__(self) -> None:
        self._places: dict[Place, object] = {}
        self._attempts: dict[Place, Attempt] = {}

    @contextmanager
    def place(self, job_id: UUID, dispatch: int) -> Iterator[bool]:
        """A place for the dispatch; False where this process has it in hand already."""
        place, mine = (job_id, dispatch), object()
        is_free = self._places.setdefault(place, mine) is mine
        try:
            yield is_free
        finally:
            if is_free:
                self._attempts.pop(place, None)
                del self._places[place]

    def lay(self, attempt: Attempt) -> None:
        """Put a claimed job's attempt in its place."""
        self._attempts[attempt.job.id, attempt.job.dispatch] = attempt

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts that run now."""
        return list(self._attempts.values())
