"""Sends one POST to a checked address, with limits on its time and on the response it reads."""

import asyncio
import random
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import httpcore2
import httpx2
from httpcore2 import SOCKET_OPTION, AnyIOBackend, AsyncNetworkStream

from actors.web.addresses import Destination

DEADLINE_SECONDS = 20
"""For the whole request. A timeout of single reads would restart with each byte that arrives."""
JITTER = 0.25
"""By up to this part of it a deadline is shorter, at random: servers that began to hang together
should not time out together, as each costs the event loop some 20 ms."""
CONNECT_SECONDS = 5
LARGEST_ANSWER = 64 * 1024
"""In bytes, its head included. The connection is closed on a server that sends more."""
FAILURES = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError)


class NoAnswer(Exception):
    """The server could not be reached, or did not answer in time."""


class _TooLong(Exception):
    """The server has sent more than is read of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's response: its status and headers, and the beginning of its body as it came."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """By their names in lower case."""
    body: bytes = b""
    moved_to: str | None = None
    """The host that a redirect points to; None without a redirect or a valid `Location`."""


async def post(to: Destination, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST the body and wait for the whole response. Redirects are not followed.

    Raises NoAnswer. The server may have received the request nevertheless. The event loop is never
    blocked, and of what a server pours into it no more than `LARGEST_ANSWER` and a read is parsed.
    """
    seconds = DEADLINE_SECONDS * random.uniform(1 - JITTER, 1)  # noqa: S311 - no secret
    try:
        async with asyncio.timeout(seconds):
            return await _post(to, body, headers)
    except _TooLong:
        reason = f"it sent {LARGEST_ANSWER} bytes without an answer"
        raise NoAnswer(f"no answer from {to.url.host}: {reason}") from None
    except (*FAILURES, TimeoutError) as error:
        reason = str(error) or f"{type(error).__name__} within {seconds:.1f} s"
        raise NoAnswer(f"no answer from {to.url.host}: {reason}") from None


async def _post(to: Destination, body: bytes, headers: Mapping[str, str]) -> Answer:
    timeouts = dict.fromkeys(("read", "write", "pool"), DEADLINE_SECONDS)
    async with (
        httpcore2.AsyncConnectionPool(_tls(), network_backend=_Network(to)) as pool,
        pool.stream(
            "POST",
            httpcore2.URL(
                scheme=to.url.raw_scheme,
                host=to.url.raw_host,
                port=to.url.port,
                target=to.url.raw_path,
            ),
            content=body,
            headers=[*_encoded(headers), (b"Host", to.url.netloc)],
            extensions={"timeout": timeouts | {"connect": CONNECT_SECONDS}},
        ) as response,
    ):
        answered = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        begun = await _beginning(response)
        return Answer(response.status, answered, begun, _moved_to(response.status, answered, to))


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _beginning(response: httpcore2.Response) -> bytes:
    """What is read of the body, as it came: a small compressed one may grow to a huge one."""
    body = bytearray()
    with suppress(_TooLong):
        async for part in response.aiter_stream():
            body += part
    return bytes(body)


def _moved_to(status: int, headers: Mapping[str, str], asked: Destination) -> str | None:
    """The host of the redirect's target, without its path, which may contain a secret."""
    if not 300 <= status < 400 or "location" not in headers:
        return None
    try:
        return asked.url.join(headers["location"]).host or None
    except httpx2.InvalidURL:
        return None


class _Network(AnyIOBackend):
    """Connects to the checked address, whatever the name resolves to by now, and counts."""

    def __init__(self, to: Destination) -> None:
        self._to = to

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name, which is not looked up again
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore2 calls it
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        address = str(self._to.address)
        return _Stream(
            await super().connect_tcp(address, port, timeout, local_address, socket_options)
        )


class _Stream(AsyncNetworkStream):
    """A connection of which no more than `LARGEST_ANSWER` and one read is received."""

    def __init__(self, inner: AsyncNetworkStream) -> None:
        self._inner = inner
        self._received = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._received >= LARGEST_ANSWER:
            raise _TooLong
        received = await self._inner.read(max_bytes, timeout)
        self._received += len(received)
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
