"""Migrates a database of this service: the tests and the benchmarks call these."""

from pathlib import Path

from outbox.migrations import run

HERE = Path(__file__).parent


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the database to `revision`, as `duly migrate` does."""
    run.upgrade(database_url, HERE, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take the database back to `revision`; `base` leaves nothing of ours."""
    run.downgrade(database_url, HERE, revision)
