"""A TCP proxy before the broker, so that a test can cut its own connections and nobody else's."""

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

CHUNK = 65536


class Proxy:
    """Forwards connections to the broker until it is told to cut them."""

    def __init__(self, amqp_url: str) -> None:
        self._target = urlsplit(amqp_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._allowance: int | None = None
        self._admits = True
        self.refused = 0
        """How many connections were refused."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def amqp_url(self) -> str:
        """The broker's address by way of this proxy."""
        user = self._target.netloc.rpartition("@")[0]
        port = self._listener.getsockname()[1]
        return urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{port}"))

    def cut(self) -> None:
        """Cut all connections, as when a cable is pulled; new ones are let through."""
        with self._lock:
            self._allowance = None
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()

    def cut_after(self, answered: int) -> None:
        """Let `answered` bytes more from the broker through, then end the connection."""
        with self._lock:
            self._allowance = answered

    @property
    def is_used(self) -> bool:
        """Whether there are connections that were not cut."""
        with self._lock:
            return bool(self._sockets)

    def refuse(self) -> None:
        """Cut all connections and let no new one through."""
        self._admits = False
        self.cut()

    def admit(self) -> None:
        """Let new connections through again."""
        self._admits = True

    def close(self) -> None:
        """Cut all and accept no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self._admits:
                    client.close()
                    self.refused += 1
                    continue
                server = socket.create_connection((self._target.hostname, self._target.port))
                with self._lock:
                    self._sockets += [client, server]
                for pump, ends in ((self._ask, (client, server)), (self._answer, (server, client))):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            while data := client.recv(CHUNK):
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while self._allowance != 0 and (data := server.recv(CHUNK)):
                client.sendall(self._allowed(data))
            client.shutdown(socket.SHUT_WR)

    def _allowed(self, data: bytes) -> bytes:
        with self._lock:
            if self._allowance is None:
                return data
            allowed = data[: self._allowance]
            self._allowance -= len(allowed)
            return allowed
