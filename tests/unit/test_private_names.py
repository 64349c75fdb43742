"""What the library uses of others though it is private stands in one module, and still exists."""

import inspect
from pathlib import Path

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.blocking_connection import BlockingConnection
from pika.connection import Connection
from psycopg._connection_base import BaseConnection
from psycopg._preparing import PrepareManager

OUTBOX = Path(__file__).parents[2] / "outbox"
DOCUMENTED = "sys._current_frames()"
"""Public, despite its name."""


def test_only_one_module_uses_a_private_attribute_of_a_library() -> None:
    using = {
        str(file.relative_to(OUTBOX))
        for file in OUTBOX.rglob("*.py")
        for line in file.read_text().splitlines()
        if "noqa: SLF001" in line and DOCUMENTED not in line
    }
    assert using == {"amqp/connection.py"}


def test_pika_takes_encoded_frames() -> None:
    """As `BrokerConnection.write` hands them over."""
    parameters = inspect.signature(AsyncioConnection._output_marshaled_frames).parameters
    assert list(parameters) == ["self", "marshaled_frames"]


def test_pika_keeps_what_the_server_said_of_itself() -> None:
    """As `server_version` asks. A connection has nothing of it before the handshake."""
    assert "self._impl = " in inspect.getsource(BlockingConnection.__init__)
    assert "self.server_properties = " in inspect.getsource(Connection)


def test_psycopg_remembers_what_it_has_prepared() -> None:
    """As `outbox/submission/job_connection.py` asks. Without it commits take psycopg's pipeline."""
    assert PrepareManager()._names == {}
    assert "_prepared" in inspect.getsource(BaseConnection.__init__)
