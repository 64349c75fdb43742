"""Batches by hand: made by the library, ended and counted one statement at a time."""

from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Work, add_to_batch, batch, seal_batch, submit
from outbox.maintenance.batch_folder import NIL, fold_parameters
from outbox.store import transitions
from tests.support.engine.by_hand import ByHand, Row
from tests.support.engine.line import note_kind

WORK = note_kind("q")(text="member")


class Callbacks(TypedDict):
    """All that a batch can have."""

    on_success: Work[Any]
    on_settled: Work[Any]
    on_first_death: Work[Any]


CALLBACKS: Callbacks = {
    "on_success": note_kind("then", "test.on_success")(text="on_success"),
    "on_settled": note_kind("then", "test.on_settled")(text="on_settled"),
    "on_first_death": note_kind("then", "test.on_first_death")(text="on_first_death"),
}
COUNTS = ("members", "succeeded", "dead", "cancelled")


class Batches:
    """Makes batches with all callbacks, and takes the steps of their members."""

    def __init__(self, engine: Engine, hand: ByHand) -> None:
        self._engine = engine
        self.hand = hand

    def make(
        self, members: int = 0, *, within: UUID | None = None, seal: bool = True
    ) -> tuple[UUID, list[UUID]]:
        """A batch with so many queued members, and their ids."""
        with Session(self._engine) as session, session.begin():
            if within:
                with add_to_batch(session, within), batch(session, seal=seal, **CALLBACKS) as group:
                    jobs = [submit(session, WORK).id for _ in range(members)]
            else:
                with batch(session, seal=seal, **CALLBACKS) as group:
                    jobs = [submit(session, WORK).id for _ in range(members)]
        return group.id, jobs

    def add(self, group: UUID) -> UUID:
        """One more member, by somebody."""
        with Session(self._engine) as session, session.begin(), add_to_batch(session, group):
            return submit(session, WORK).id

    def seal(self, group: UUID) -> None:
        """End its growth."""
        with Session(self._engine) as session, session.begin():
            seal_batch(session, group)

    def end(self, how: str, *jobs: UUID) -> None:
        """Have the members end so: `succeeded`, `dead` or `cancelled`."""
        for job in jobs:
            dispatch = self.hand.job(job)["dispatch"]
            if how == "cancelled":
                assert self.hand.cancel(job)
                continue
            self.hand.publish(job, dispatch)
            claim = self.hand.claim(job, dispatch)
            assert claim
            end = self.hand.succeed_member if how == "succeeded" else self.hand.die
            assert end(job, dispatch, claim["attempt"])

    def close(self, step: str, job: UUID) -> None:
        """Replay or discard the open letter of a dead member."""
        (letter,) = (each for each in self.hand.letters(job) if each["closed_at"] is None)
        assert self.hand.close(step, letter["id"]) == [job]

    def fold(self) -> list[Row]:
        """Count as a relay does, until nothing changes; returns what FOLD said."""
        said: list[Row] = []
        while changed := self.hand.take(transitions.CHANGED_BATCHES, after=NIL):
            ids = [row["batch_id"] for row in changed]
            with self.hand.connection.transaction():
                locked = [row["id"] for row in self.hand.take(transitions.LOCK_BATCHES, ids=ids)]
                assert locked == sorted(ids)
                said += self.hand.take(transitions.FOLD, **fold_parameters(locked))
        return said

    def row(self, group: UUID) -> Row:
        """The batch as it is now."""
        return self.hand.take("SELECT * FROM duly.batches WHERE id = %(id)s", id=group)[0]

    def counts(self, group: UUID) -> tuple[int, ...]:
        """How many members there are, and how many succeeded, are dead and were cancelled."""
        row = self.row(group)
        return tuple(row[name] for name in COUNTS)

    def callbacks(self, group: UUID) -> list[tuple[int, str]]:
        """Generation and name of each callback that has a queued job with its event."""
        query = """
            SELECT generation, name FROM duly.batch_callbacks
            JOIN duly.jobs ON jobs.id = batch_callbacks.job_id
            JOIN duly.outbox_events ON outbox_events.job_id = jobs.id
            WHERE batch_callbacks.batch_id = %(id)s AND jobs.kind = 'test.' || name
            ORDER BY generation, name
        """
        return [(row["generation"], row["name"]) for row in self.hand.take(query, id=group)]


def state(row: Row) -> tuple[Any, ...]:
    """Its generation, and how it settled."""
    return row["generation"], row["outcome"]
