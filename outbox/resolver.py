"""Resolves host names within a deadline.

The C library may ask a silent name server for half a minute or more, as configured, and nothing
interrupts it. So lookups run on threads of their own, and callers wait only until their deadline.
The threads are few, and lookups of one name share one. If as many names as there are threads get
no answer, every other name waits until the C library gives up on one of them. A name whose
deadline passes before that is unresolved.
"""

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

TIMEOUT_SECONDS = 5.0
"""As long as most resolvers wait for one answer from one server."""

Addresses = Sequence[tuple[Any, ...]]
"""What `socket.getaddrinfo` returns."""


class Unresolved(OSError):
    """The name was not resolved: no name server answered in time, or no thread could ask one."""


class Resolver:
    """Looks up names, `threads` of them at once."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._in_flight: dict[tuple[str, int | None], Future[Addresses]] = {}
        self._changed = threading.Condition()

    def resolve(self, host: str, port: int | None, seconds: float = TIMEOUT_SECONDS) -> Addresses:
        """The addresses of the host, for a TCP connection.

        Raises Unresolved after `seconds`, and what `socket.getaddrinfo` raises.
        """
        ends_at = time.monotonic() + seconds
        try:
            lookup = self._lookup(host, port, seconds)
            return lookup.result(max(0, ends_at - time.monotonic()))
        except TimeoutError:
            raise Unresolved(f"no name server answered for {host} within {seconds:g} s") from None
        except CancelledError:
            raise Unresolved(f"no thread could be started to look up {host}") from None

    def _lookup(self, host: str, port: int | None, seconds: float) -> "Future[Addresses]":
        """A lookup in flight, or a new one. Raises TimeoutError if no thread becomes free."""
        key = host, port
        with self._changed:
            self._changed.wait_for(lambda: key in self._in_flight or self._has_capacity, seconds)
            if key in self._in_flight:
                return self._in_flight[key]
            if not self._has_capacity:
                raise TimeoutError
            lookup = self._in_flight[key] = Future()
        self._start(host, port, lookup)
        return lookup

    def _start(self, host: str, port: int | None, lookup: "Future[Addresses]") -> None:
        """Run the lookup on a new thread. If the thread does not start, cancel the lookup."""
        thread = threading.Thread(target=self._run, args=(host, port, lookup), daemon=True)
        try:
            thread.start()
        except BaseException as error:  # an actor's time limit may be raised here, too
            if lookup.cancel():
                self._remove(host, port)
            if not isinstance(error, RuntimeError):  # Python's, if it cannot start a thread
                raise

    @property
    def _has_capacity(self) -> bool:
        return len(self._in_flight) < self._threads

    def _run(self, host: str, port: int | None, lookup: "Future[Addresses]") -> None:
        if not lookup.set_running_or_notify_cancel():
            return
        try:
            lookup.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised in the callers
            lookup.set_exception(error)
        finally:
            self._remove(host, port)

    def _remove(self, host: str, port: int | None) -> None:
        with self._changed:
            del self._in_flight[host, port]
            self._changed.notify_all()
