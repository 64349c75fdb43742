"""How much is read from a client at once."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from outbox.http.server.client_connection import Connection

HTTP = f"{__name__}:BoundedReads"
"""What uvicorn is told to use. It takes a class of another sort by its name alone."""


class BoundedReads(asyncio.BufferedProtocol):
    """Reads a little for a head and more for a body, and hands it to a `Connection`.

    A plain protocol of asyncio gets up to 256 KB with each read, wanted or not.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._connection = Connection(config, server_state, app_state, _loop)
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass it on, like all that follows."""
        self._connection.connection_made(transport)  # type: ignore[arg-type]

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 (asyncio passes it by name)
        """Where the next bytes go. No connection keeps one while it waits."""
        self._buffer = bytearray(self._connection.read_size)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take so many of them."""
        data, self._buffer = bytes(memoryview(self._buffer)[:nbytes]), bytearray()
        self._connection.data_received(data)

    def eof_received(self) -> None:
        """The client sends no more."""
        self._connection.eof_received()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._connection.connection_lost(exc)
