"""Checks whether a webhook's URL may be called, and at which IP address.

Whoever registers an endpoint chooses where this service sends requests (SSRF), and could make it
reach what only it can reach: its own host, the private network, a cloud's metadata service.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

import httpx2

from outbox.resolver import Resolver
from service.webhooks.kinds import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOKUPS = 128
"""More than a worker calls at once: names whose servers are silent hold up no others."""
RESOLVER = Resolver(threads=LOOKUPS)
"""Separate from the process's own lookups: a customer's name server may not answer."""
WAITING = ThreadPoolExecutor(LOOKUPS, "webhook-names")
"""Threads that wait for lookups, as the event loop must not."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is allocated for public use."""
NAT64 = IPv6Network("64:ff9b::/96")
"""The prefix by which IPv6-only networks reach IPv4 addresses (RFC 6052)."""
NEVER = (
    IPv4Network("168.63.129.16/32"),  # Azure: the host of a virtual machine
    IPv4Network("192.0.0.0/24"),  # IETF protocols; Oracle Cloud's metadata is at 192.0.0.192
)
"""Networks that `is_global` may call public although they are not."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL, and the checked IP address to connect to.

    Connect to this address and never resolve the name again: a name server may answer differently
    the next time (DNS rebinding).
    """

    url: httpx2.URL
    address: Address


def check(url: str, *, may_be_private: bool, denied: Sequence[Network] = ()) -> Destination:
    """Resolve the URL's host, and check that all of its addresses may be called.

    They must be public, unless they `may_be_private`, and in no `denied` network. Raises
    AddressRefused, which does not say what the name resolves to: whoever registers an endpoint
    could map the private network with it. Raises OSError if the name cannot be resolved now, or not
    in time.
    """
    parsed = _parse(url)
    addresses = _resolve(parsed)
    for address in addresses:
        if not (may_be_private or is_public(address)):
            raise AddressRefused(f"{parsed.host} is not at a public address")
        if is_in(address, denied):
            raise AddressRefused(f"{parsed.host} is at an address that is denied here")
    return Destination(parsed, addresses[0])


async def check_async(
    url: str, *, may_be_private: bool, denied: Sequence[Network] = ()
) -> Destination:
    """As `check`, for `async def` actors: the event loop waits for no name server."""
    checked = partial(check, url, may_be_private=may_be_private, denied=denied)
    return await asyncio.get_running_loop().run_in_executor(WAITING, checked)


def is_public(address: Address) -> bool:
    """Whether the address, or the IPv4 address embedded in it, is on the public internet."""
    address = _unwrapped(address)
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not is_in(address, NEVER)


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether the address, or the IPv4 address embedded in it, is in one of the networks."""
    return any(each in network for each in {address, _unwrapped(address)} for network in networks)


def _parse(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise AddressRefused("the endpoint's URL is invalid") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise AddressRefused("only http:// and https:// URLs with a host are called")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise AddressRefused(f"there is no port {parsed.port}")
    if parsed.userinfo:
        raise AddressRefused("a URL with a user or password is not called")
    return parsed


def _resolve(url: httpx2.URL) -> list[Address]:
    try:
        found = RESOLVER.resolve(url.raw_host.decode(), url.port)
    except UnicodeError as error:
        raise AddressRefused(f"{url.host} is not a host name") from error
    return [ip_address(entry[4][0]) for entry in found]


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
