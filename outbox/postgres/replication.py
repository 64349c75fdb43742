"""Detects commits that did not wait for their standby, and makes one wait.

With synchronous replication a COMMIT waits until a standby has it. If that wait is cancelled (by
`pg_cancel_backend`, say), Postgres commits all the same and sends a warning, which drivers ignore.
A failover loses such a commit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from sqlalchemy import Dialect, Engine, event

WARNING_SOURCE = "SyncRepWaitForLSN"
"""The function in Postgres that sends the warning. Its text is in the server's language."""

WRITE_WAL = """
WITH none AS (UPDATE duly.jobs SET id = id WHERE false)
SELECT 1 AS n FROM pg_logical_emit_message(true, 'duly', '')
"""
"""Changes nothing, but makes the COMMIT wait for the standby, which then has all earlier ones too.

A transaction that only reads would not wait. The UPDATE fails if Postgres is read-only.
"""


class Unreplicated(psycopg.OperationalError):
    """Postgres has committed, but did not wait for the standby: a failover may lose the commit."""

    def __init__(self) -> None:
        super().__init__("committed, but no standby has confirmed it")


class CommitWatch:
    """Notices when a commit of the connection did not wait for the standby."""

    def __init__(self, connection: "psycopg.BaseConnection[Any]") -> None:
        self._has_been_warned = False
        connection.add_notice_handler(self._on_notice)

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Raises Unreplicated if the commit inside the block returned without waiting."""
        self._has_been_warned = False
        yield
        if self._has_been_warned:
            raise Unreplicated

    def _on_notice(self, notice: Diagnostic) -> None:
        # It cannot raise: psycopg swallows what a notice handler raises.
        self._has_been_warned |= notice.source_function == WARNING_SOURCE


class WatchedConnection(psycopg.Connection[Any]):
    """A psycopg connection whose `commit` raises if it did not wait for the standby."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._watch = CommitWatch(self)

    def commit(self) -> None:
        """Commit. Raises Unreplicated if it has committed without waiting for the standby."""
        with self._watch.commit():
            super().commit()


def watch_commits(engine: Engine) -> None:
    """Make commits of this engine's connections raise if they did not wait for the standby.

    They raise SQLAlchemy's OperationalError around `Unreplicated`. Without synchronous replication
    nothing changes. Covers new psycopg connections of an engine without `creator`.
    """
    event.listen(engine, "do_connect", _connect)


def is_unreplicated(error: BaseException) -> bool:
    """Whether it says that a transaction has committed without waiting for the standby."""
    return isinstance(getattr(error, "orig", error), Unreplicated)


def _connect(
    _dialect: Dialect, _record: Any, arguments: tuple[Any, ...], options: dict[str, Any]
) -> WatchedConnection:
    return WatchedConnection.connect(*arguments, **options)
