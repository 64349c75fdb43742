"""Limits how much one read takes from a client."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from outbox.http.server.client_connection import Connection

HTTP = f"{__name__}:BoundedReads"
"""For uvicorn's `http`: the name, because as a class it takes only an `asyncio.Protocol`."""


class BoundedReads(asyncio.BufferedProtocol):
    """Reads a little of a head or more of a body, and passes it to a `Connection`.

    With a plain asyncio protocol each read takes up to 256 KB, wanted or not.
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
        """Pass it on to the `Connection`, like all other calls."""
        self._connection.connection_made(transport)  # type: ignore[arg-type]

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 (asyncio passes it by name)
        """A buffer for the next read. A connection that waits keeps none."""
        self._buffer = bytearray(self._connection.read_size)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on the bytes that were read, and drop the buffer."""
        data, self._buffer = bytes(memoryview(self._buffer)[:nbytes]), bytearray()
        self._connection.data_received(data)

    def eof_received(self) -> None:
        """The client has closed its sending side."""
        self._connection.eof_received()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is lost."""
        self._connection.connection_lost(exc)
