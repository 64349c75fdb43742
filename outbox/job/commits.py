"""Keeps an actor from committing a transaction that the job commits itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event

_NO_COMMIT: set[Connection] = set()
"""The connections that are inside a `Job.transaction()` or `Job.step()`."""


def refuse_early_commits(engine: Engine) -> None:
    """Refuse `commit()` inside `Job.transaction()` and `step()`, on any connection of this engine.

    Such a commit would keep the effect without the completion. There is one permanent listener: one
    per transaction would change SQLAlchemy's registry while other threads use it.
    """

    def refuse(connection: Connection) -> None:
        if connection in _NO_COMMIT:
            raise RuntimeError("the job's transaction commits by itself when its block ends")

    event.listen(engine, "commit", refuse)


@contextmanager
def refusing_commit(connection: Connection | None) -> Iterator[None]:
    """Refuse `commit()` on the connection inside the block."""
    if connection is None:  # only where SQLAlchemy's types allow it
        raise RuntimeError("the session has no connection")
    _NO_COMMIT.add(connection)
    try:
        yield
    finally:
        _NO_COMMIT.discard(connection)
