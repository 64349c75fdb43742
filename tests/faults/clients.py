"""Clients: they submit work under marks of their own, and keep what they were told."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Kind, submit
from tests.faults.actors import DOOMED, DYING, ELSEWHERE, FLAKY, NAP, ORDER, UNKNOWN, Marked


@dataclass(slots=True)
class Accepted:
    """A piece of work that a client was told is accepted, and the end that its job must have."""

    mark: str
    kind: str
    job: UUID
    end: str


class Clients:
    """Submits work, in a transaction as a handler does; it is accepted once that has committed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.accepted: list[Accepted] = []

    def submit(self, *kinds: Kind[..., Marked]) -> list[Accepted]:
        """One job of each kind, in one transaction."""
        marks = [uuid4().hex for _ in kinds]
        with Session(self._engine) as session, session.begin():
            jobs = [
                submit(session, kind(mark=mark)) for kind, mark in zip(kinds, marks, strict=True)
            ]
        return [self.told(mark, job.kind, job.id) for mark, job in zip(marks, jobs, strict=True)]

    def submit_mix(self) -> None:
        """Two of each sort."""
        self.submit(*(ORDER, ELSEWHERE, FLAKY, NAP, DOOMED, UNKNOWN) * 2)

    def told(self, mark: str, kind: str, job: UUID) -> Accepted:
        """Remember an acceptance."""
        end = "dead" if kind in DYING else "succeeded"
        self.accepted.append(Accepted(mark, kind, job, end))
        return self.accepted[-1]
