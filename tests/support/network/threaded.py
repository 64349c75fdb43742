"""Servers of Python's `socketserver`, on a thread of the test's process."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import TCPServer
from threading import Event, Thread
from typing import TypeVar

Server = TypeVar("Server", bound=TCPServer)


@contextmanager
def serving(
    server: Server, closing: Event, context: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """The server while it serves, with TLS where an SSL context is given.

    `closing` is set before it stops, so that its handlers can end.
    """
    with server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            closing.set()
            server.shutdown()
            thread.join()
