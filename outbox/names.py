"""Finds the addresses of a host, within a deadline.

The C library asks a silent name server for as long as it is configured to, half a minute or more,
and nothing interrupts it. So lookups run on threads of their own, and who asks waits no longer than
its deadline. The threads are few, and lookups of one name share one. Where no server answers for
as many names as there are threads, every other name waits until the C library gives one of them
up, and is unresolved where that is after its deadline.
"""

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

ENOUGH_SECONDS = 5.0
"""As long as most resolvers wait for one answer of one server."""

Found = Sequence[tuple[Any, ...]]
"""What `socket.getaddrinfo` returns."""


class Unresolved(OSError):
    """The name was not resolved: no name server answered in time, or no thread could ask one."""


class Resolver:
    """Looks up names, `threads` of them at once."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._under_way: dict[tuple[str, int | None], Future[Found]] = {}
        self._changed = threading.Condition()

    def resolve(self, host: str, port: int | None, seconds: float = ENOUGH_SECONDS) -> Found:
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

    def _lookup(self, host: str, port: int | None, seconds: float) -> "Future[Found]":
        """One that is under way, or a new one. Raises TimeoutError where no thread gets free."""
        key = host, port
        with self._changed:
            self._changed.wait_for(lambda: key in self._under_way or self._has_room, seconds)
            if key in self._under_way:
                return self._under_way[key]
            if not self._has_room:
                raise TimeoutError
            lookup = self._under_way[key] = Future()
        self._start(host, port, lookup)
        return lookup

    def _start(self, host: str, port: int | None, lookup: "Future[Found]") -> None:
        """Look on a new thread. Where that does not begin, the lookup is cancelled."""
        thread = threading.Thread(target=self._look, args=(host, port, lookup), daemon=True)
        try:
            thread.start()
        except BaseException as error:  # a time limit may end it here, too
            if lookup.cancel():
                self._forget(host, port)
            if not isinstance(error, RuntimeError):  # Python's, where there is no room for one
                raise

    @property
    def _has_room(self) -> bool:
        return len(self._under_way) < self._threads

    def _look(self, host: str, port: int | None, lookup: "Future[Found]") -> None:
        if not lookup.set_running_or_notify_cancel():
            return
        try:
            lookup.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised where it was asked for
            lookup.set_exception(error)
        finally:
            self._forget(host, port)

    def _forget(self, host: str, port: int | None) -> None:
        with self._changed:
            del self._under_way[host, port]
            self._changed.notify_all()
