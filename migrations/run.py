"""Migrates a database of this service, for tests and benchmarks."""

from pathlib import Path

from outbox.migrations import run

HERE = Path(__file__).parent


def upgrade(database_url: str, revision: str = "head") -> None:
    """Upgrade the database to `revision`, as `duly migrate` does."""
    run.upgrade(database_url, HERE, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Downgrade the database to `revision`; `base` drops everything of ours."""
    run.downgrade(database_url, HERE, revision)
