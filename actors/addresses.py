"""Whether a webhook's URL may be called, and which very address the connection goes to.

Whoever registers an endpoint chooses where this service sends requests, so it could be made to
reach what only it can reach: its own host, the private network, a cloud's metadata service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

import httpx2

from outbox.resolver import Resolver
from service.kinds import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOSTS = Resolver(threads=16)
"""Of customers: whose name server is silent must not hold up the process's own lookups."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is handed out of IPv6 for public use."""
NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as IPv6-only networks write them (RFC 6052)."""
NEVER = (
    IPv4Network("168.63.129.16/32"),  # the host of a virtual machine at Azure
    IPv4Network("192.0.0.0/24"),  # for protocols; metadata of Oracle's cloud is at 192.0.0.192
)
"""What counts as public by its number, and is not."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL, and the checked address that a connection for it goes to.

    Connecting to the address, never to the name again, is what makes the check hold: a name server
    may answer differently the next time.
    """

    url: httpx2.URL
    address: Address


def check(url: str, *, may_be_private: bool, denied: Sequence[Network] = ()) -> Destination:
    """Resolve the URL's host, and see that every address it has may be called.

    That is a public one, unless it `may_be_private`, and in no network that is `denied`. Raises
    AddressRefused, which does not say what the name resolves to: whoever registers an endpoint
    could read the network's names from it. Raises OSError when the name cannot be resolved now, or
    not in time.
    """
    parsed = _parse(url)
    addresses = _resolve(parsed)
    for address in addresses:
        if not (may_be_private or is_public(address)):
            raise AddressRefused(f"{parsed.host} is not at a public address")
        if is_in(address, denied):
            raise AddressRefused(f"{parsed.host} is at an address that is denied here")
    return Destination(parsed, addresses[0])


def is_public(address: Address) -> bool:
    """Whether the address, or the IPv4 address written inside of it, is on the public internet."""
    address = _unwrapped(address)
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not is_in(address, NEVER)


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether the address, or the IPv4 address written inside of it, is in one of the networks."""
    return any(each in network for each in {address, _unwrapped(address)} for network in networks)


def _parse(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise AddressRefused("the endpoint's URL cannot be read") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise AddressRefused("only http:// and https:// addresses with a host are called")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise AddressRefused(f"there is no port {parsed.port}")
    if parsed.userinfo:
        raise AddressRefused("a URL with a user or a password in it is not called")
    return parsed


def _resolve(url: httpx2.URL) -> list[Address]:
    try:
        found = HOSTS.resolve(url.raw_host.decode(), url.port)
    except UnicodeError as error:
        raise AddressRefused(f"{url.host} is no name of a host") from error
    return [ip_address(entry[4][0]) for entry in found]


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
