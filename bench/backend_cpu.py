"""The processor time of a session's process in Postgres: other work on the machine adds little."""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

NANOSECOND = 1e-9


def milliseconds(session: Session, look: Callable[[Session], object]) -> float:
    """What the look took of a processor, or of time if the server's processes are not ours to see.

    In the transaction of its own that a request has.
    """
    process = _process(session)
    began = _seconds(process)
    look(session)
    took = _seconds(process) - began
    session.rollback()
    return took * 1000


def _process(session: Session) -> Path:
    """What Linux says of the process that serves the session."""
    (backend,) = session.connection().exec_driver_sql("SELECT pg_backend_pid()").one()
    return Path(f"/proc/{backend}")


def _seconds(process: Path) -> float:
    try:
        if (process / "comm").read_text().startswith("postgres"):
            return int((process / "schedstat").read_text().split()[0]) * NANOSECOND
    except OSError:
        """The server is elsewhere, or in a container."""
    return time.monotonic()
