"""The jobs that a worker process has in flight."""

from dataclasses import dataclass
from typing import Any

from outbox.amqp.messages import Dispatch
from outbox.worker.attempt import Attempt

DispatchId = tuple[str, int]
"""Job id and dispatch. A job taken from this process may come back under a later dispatch."""


@dataclass(frozen=True, slots=True, eq=False)
class ClaimedJob:
    """A claimed job: Dramatiq's work item with its message, and its attempt."""

    item: Any
    attempt: Attempt


class InFlight:
    """The dispatches of a process, each at most once, from before the claim to the record."""

    def __init__(self) -> None:
        self._reserved: dict[DispatchId, object] = {}
        self._claimed: dict[DispatchId, ClaimedJob] = {}

    def reserve(self, dispatch: Dispatch) -> bool:
        """Reserve the dispatch. False if this process has it in flight already."""
        mine = object()
        return self._reserved.setdefault((dispatch.job_id, dispatch.dispatch), mine) is mine

    def add(self, claimed: ClaimedJob) -> None:
        """Add the claimed job of a reserved dispatch."""
        self._claimed[claimed.attempt.dispatch_id] = claimed

    def find(self, job_id: str, dispatch: int) -> ClaimedJob:
        """The claimed job of that dispatch."""
        return self._claimed[job_id, dispatch]

    def has(self, dispatch_id: DispatchId) -> bool:
        """Whether the dispatch is reserved."""
        return dispatch_id in self._reserved

    def remove(self, dispatch_id: DispatchId) -> None:
        """Release the dispatch: its attempt is on record, or there is none."""
        self._claimed.pop(dispatch_id, None)
        self._reserved.pop(dispatch_id, None)

    @property
    def attempts(self) -> list[Attempt]:
        """All attempts in flight, including those about to start or to be recorded."""
        return [each.attempt for each in list(self._claimed.values())]
