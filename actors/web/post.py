"""Sends one POST to a checked address, with limits on its time and on the response it reads."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import httpx2

from actors.web.addresses import Destination

DEADLINE_SECONDS = 20
"""For the whole request. httpx2's own timeouts restart with each byte that a slow server sends."""
CONNECT_SECONDS = 5
LARGEST_ANSWER = 64 * 1024
"""In bytes. The connection is closed on a server that sends more."""


class NoAnswer(Exception):
    """The server could not be reached, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of a server's response that matter here."""

    status: int
    retry_after: str | None
    moved_to: str | None = None
    """The host that a redirect points to; None without a redirect or a valid `Location`."""


def post(to: Destination, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST the body and wait for the whole response. Redirects are not followed.

    Raises NoAnswer. The server may have received the request nevertheless.
    """
    try:
        return asyncio.run(_post_in_time(to, body, headers))
    except (httpx2.HTTPError, TimeoutError) as error:
        reason = str(error) or f"{type(error).__name__} within {DEADLINE_SECONDS} s"
        raise NoAnswer(f"no answer from {to.url.host}: {reason}") from error


async def _post_in_time(to: Destination, body: bytes, headers: Mapping[str, str]) -> Answer:
    timeout = httpx2.Timeout(DEADLINE_SECONDS, connect=CONNECT_SECONDS)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        # No proxies from the environment: they would resolve the name again.
        httpx2.AsyncClient(verify=_tls(), trust_env=False, timeout=timeout) as client,
        client.stream(
            "POST",
            to.url.copy_with(host=str(to.address)),
            content=body,
            headers={**headers, "Host": to.url.netloc.decode()},
            extensions={"sni_hostname": to.url.raw_host.decode()},
        ) as response,
    ):
        await _read(response)
        retry_after = response.headers.get("Retry-After")
        return Answer(response.status_code, retry_after, _moved_to(response, to))


def _moved_to(response: httpx2.Response, asked: Destination) -> str | None:
    """The host of the redirect's target, without its path, which may contain a secret."""
    if not response.has_redirect_location:
        return None
    try:
        return asked.url.join(response.headers["Location"]).host or None
    except httpx2.InvalidURL:
        return None


async def _read(response: httpx2.Response) -> None:
    # Raw: a small compressed response may decompress to a huge one.
    async for _ in response.aiter_raw():
        if response.num_bytes_downloaded > LARGEST_ANSWER:
            return


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
