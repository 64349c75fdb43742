"""One POST to a checked address, bounded in time and in what is read of the answer."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import httpx2

from actors.addresses import Destination

DEADLINE_SECONDS = 20
"""For all of it. httpx2's own timeouts start anew with each byte that a slow server sends."""
CONNECT_SECONDS = 5
LARGEST_ANSWER = 64 * 1024
"""Bytes; a server that says more is hung up on."""


class NoAnswer(Exception):
    """The server could not be reached, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server's answer says, as far as it matters here."""

    status: int
    retry_after: str | None
    moved_to: str | None = None
    """The host that a redirect points to, as far as its `Location` can be read."""


def post(to: Destination, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST the body and wait for the whole answer. Redirects are not followed.

    Raises NoAnswer; the server may then have got the request all the same.
    """
    try:
        return asyncio.run(_post_in_time(to, body, headers))
    except (httpx2.HTTPError, TimeoutError) as error:
        reason = str(error) or f"{type(error).__name__}, within {DEADLINE_SECONDS} s at most"
        raise NoAnswer(f"no answer from {to.url.host}: {reason}") from error


async def _post_in_time(to: Destination, body: bytes, headers: Mapping[str, str]) -> Answer:
    timeout = httpx2.Timeout(DEADLINE_SECONDS, connect=CONNECT_SECONDS)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        # Proxies from the environment would resolve the name again.
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
    """Of the redirect's target no more than its host: a path may hold a secret."""
    if not response.has_redirect_location:
        return None
    try:
        return asked.url.join(response.headers["Location"]).host or None
    except httpx2.InvalidURL:
        return None


async def _read(response: httpx2.Response) -> None:
    # Raw: a small compressed answer may unpack to a huge one.
    async for _ in response.aiter_raw():
        if response.num_bytes_downloaded > LARGEST_ANSWER:
            return


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
