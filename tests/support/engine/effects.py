"""What actors under test write to Postgres: one row for each effect."""

from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session


class Effects:
    """A table of (job, what) without any constraint, so that a second effect would show."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS effects (job_id uuid, what text)"))
            connection.execute(text("DELETE FROM effects"))

    @staticmethod
    def add(tx: Session, job_id: UUID, what: str = "done") -> None:
        """Have an effect, in the transaction."""
        tx.execute(text("INSERT INTO effects VALUES (:job, :what)"), {"job": job_id, "what": what})

    def of(self, job_id: UUID) -> list[str]:
        """The committed effects of one job."""
        return [what for job, what in self.all() if job == job_id]

    def all(self) -> list[tuple[UUID, str]]:
        """All committed effects."""
        with self._engine.connect() as connection:
            found = connection.execute(text("SELECT job_id, what FROM effects"))
            return [(job_id, what) for job_id, what in found]
