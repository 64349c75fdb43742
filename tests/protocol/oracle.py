"""Knows, without looking at Postgres, which jobs there must be and who may finish them."""

from typing import NamedTuple
from uuid import UUID


class Hold(NamedTuple):
    """What a claim gave to a worker: the right to end this attempt."""

    job: UUID
    dispatch: int
    attempt: int
    worker: str
    is_last: bool = False
    """Whether the job's budget of attempts is used up with this one."""


class Oracle:
    """Hears every answer that a step gave once it was committed, and holds them against each other.

    Each method raises AssertionError for an answer that should not have been given.
    """

    def __init__(self) -> None:
        self.accepted: set[UUID] = set()
        self.alive: set[str] = set()
        """The workers whose heartbeat is fresh."""
        self.holders: dict[UUID, Hold] = {}

    def claimed(self, hold: Hold) -> None:
        """A worker was given a job: nobody else holds it."""
        assert self.holders.setdefault(hold.job, hold) == hold

    def may_end(self, hold: Hold) -> bool:
        """Whether the worker was not replaced, and has not ended its attempt before."""
        return self.holders.get(hold.job) == hold

    def answered(self, hold: Hold, *, taken: bool) -> None:
        """A worker ended its attempt, or was told that it is no longer the one to do so."""
        assert taken == self.may_end(hold)
        if taken:
            del self.holders[hold.job]

    def rescued(self, job: UUID) -> None:
        """The job was taken from its worker: it is gone."""
        assert self.holders.pop(job).worker not in self.alive

    def orphans(self) -> set[UUID]:
        """The jobs whose worker is gone."""
        return {hold.job for hold in self.holders.values() if hold.worker not in self.alive}
