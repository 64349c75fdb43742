import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.web.addresses import check, is_public
from service.webhooks.kinds import AddressRefused

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "fc00::1",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "ff0e::1",
        "100::1",
        "168.63.129.16",
        "192.0.0.192",
        "64:ff9b::a83f:8110",
        "2001:db8::1",
        "2001:0:7f00:1::1",
        "64:ff9b:1::7f00:1",
    ],
)
def test_an_address_off_the_public_internet_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111"])
def test_an_address_on_the_public_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_one_is_judged_as_itself(inner: IPv4Address) -> None:
    bits = int(inner)
    forms = {
        "mapped": IPv6Address(0xFFFF << 32 | bits),
        "6to4": IPv6Address(0x2002 << 112 | bits << 80),
        "nat64": IPv6Address(0x64_FF9B << 96 | bits),
    }
    assert {name: is_public(form) for name, form in forms.items()} == dict.fromkeys(
        forms, is_public(inner)
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://localhost/",
        "http://LOCALHOST./",
    ],
)
def test_no_spelling_of_a_private_address_is_let_through(url: str) -> None:
    with pytest.raises((AddressRefused, socket.gaierror)):
        check(url, may_be_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:5432/",
        "//example.com/",
        "example.com",
        "http://",
        "http:///path",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://example.com:x/",
        "http://" + "a" * 70 + ".com/",
        "http://[::1/",
        "",
    ],
)
def test_a_url_that_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check(url, may_be_private=True)


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve_to(monkeypatch, PUBLIC, "10.0.0.1")
    with pytest.raises(AddressRefused) as refusal:
        check("https://two.example/", may_be_private=False)
    assert str(refusal.value) == "two.example is not at a public address"


@pytest.mark.parametrize("url", ["http://127.0.0.2/", "http://[::ffff:127.0.0.2]/"])
def test_a_denied_network_is_refused_even_where_private_ones_are_not(url: str) -> None:
    with pytest.raises(AddressRefused, match="denied"):
        check(url, may_be_private=True, denied=[ip_network("127.0.0.0/8")])


def test_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve_to(monkeypatch, PUBLIC)
    assert check("https://good.example/", may_be_private=False).address == ip_address(PUBLIC)


def test_a_private_address_is_let_through_where_the_setting_allows_it() -> None:
    assert check("http://127.0.0.1:80/", may_be_private=True).address.is_loopback


@given(st.text())
def test_any_other_text_is_refused_without_another_error(text: str) -> None:
    with pytest.raises(AddressRefused):
        check(f"x{text}", may_be_private=True)


def _resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Name servers are other people's: these answer what an attacker's would."""
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: answers)
