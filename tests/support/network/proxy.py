"""The network before a server: slow, cut, half open or refusing when it is told to be.

One thread for all connections, and it outlives the server behind it.
"""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

CHUNK = 65536


class Proxy:
    """Forwards connections from a port of its own to a server's port."""

    def __init__(self, server_port: int, server_host: str = "127.0.0.1") -> None:
        self._server = server_host, server_port
        self.delay = 0.0
        """How many seconds late everything passes, each way."""
        self.refused = 0
        """How many connections were refused."""
        self.round_trips = 0
        """How often a client has asked something since it was last answered."""
        self.swallowed = 0
        """How many bytes of clients came to nothing."""
        self.garbles = False
        """Whether what the server says arrives as so many zeros."""
        self._admits = True
        self._allowance: int | None = None
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Let connections through."""
        self._thread.start()
        self.port: int = self._call(self._listen())

    def url(self, server_url: str) -> str:
        """The server's URL by way of this proxy."""
        parts = urlsplit(server_url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    @property
    def is_used(self) -> bool:
        """Whether there are connections that were not cut."""
        links = [*self._links]  # they come and go in another thread
        return not all(link.is_cut for link in links)

    def cut(self) -> None:
        """Reset all connections; new ones are let through."""
        self._call(self._reset(lambda _: True))

    def cut_after(self, answered: int) -> None:
        """Let `answered` bytes more from the server through, then end the connection."""
        self._allowance = answered

    def refuse(self) -> None:
        """Reset all connections and let no new one through."""
        self._admits = False
        self.cut()

    def admit(self) -> None:
        """Let new connections through again."""
        self._admits = True

    def swallow(self) -> None:
        """From now on nothing passes on the connections that there are, and neither end is told."""
        self._call(self._swallow_all())

    def cut_swallowed(self) -> None:
        """Reset the connections on which nothing passes."""
        self._call(self._reset(lambda link: link.swallows))

    def stop(self) -> None:
        """Reset all and accept no more."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> int:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            there = await self._reach()
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, there[1])
        self._links.add(link)
        if not self._admits:  # any more
            link.reset()
        await asyncio.gather(
            self._pump(reader, there[1], link, partial(self._counted, link)),
            self._pump(there[0], writer, link, partial(self._allowed, link)),
        )
        self._links.discard(link)
        link.end()

    async def _reach(self) -> tuple[StreamReader, StreamWriter]:
        if not self._admits:
            self.refused += 1
            raise ConnectionRefusedError
        return await asyncio.open_connection(*self._server)

    async def _pump(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        link: "_Link",
        allowed: Callable[[bytes], bytes],
    ) -> None:
        with suppress(OSError):
            while data := allowed(await reader.read(CHUNK)):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not link.swallows:
                    writer.write(data)
                    await writer.drain()
        with suppress(OSError):  # the other end may be gone already
            if not link.swallows:
                writer.write_eof()  # what is under way the other way still arrives

    def _counted(self, link: "_Link", data: bytes) -> bytes:
        """All that a client asks."""
        self.swallowed += len(data) if link.swallows else 0
        self.round_trips += link.is_answered
        link.is_answered = False
        return data

    def _allowed(self, link: "_Link", data: bytes) -> bytes:
        """As much of an answer as may pass; nothing ends the connection."""
        link.is_answered = True
        if self.garbles:
            return bytes(len(data))
        if self._allowance is None:
            return data
        passing = data[: self._allowance]
        self._allowance -= len(passing)
        return passing

    async def _reset(self, chosen: "Callable[[_Link], bool]") -> None:
        self._allowance = None
        for link in filter(chosen, self._links):
            link.reset()

    async def _swallow_all(self) -> None:
        for link in self._links:
            link.swallows = True

    async def _close(self) -> None:
        self._listener.close()
        await self._reset(lambda _: True)
        await asyncio.gather(*(link.ended.wait() for link in self._links))
        others = asyncio.all_tasks() - {asyncio.current_task()}  # that were just refused, say
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes what was aborted in its next round


class _Link:
    """A connection's two ends."""

    def __init__(self, *ends: StreamWriter) -> None:
        self._ends = ends
        self.swallows = False
        self.is_answered = True
        self.is_cut = False
        self.ended = asyncio.Event()

    def reset(self) -> None:
        self.is_cut = True
        for end in self._ends:
            end.transport.abort()

    def end(self) -> None:
        self.reset()
        self.ended.set()


@contextmanager
def before(server_url: str) -> Iterator[Proxy]:
    """A proxy before the server of this URL."""
    server = urlsplit(server_url)
    assert server.hostname
    assert server.port
    proxy = Proxy(server.port, server.hostname)
    proxy.start()
    yield proxy
    proxy.stop()
