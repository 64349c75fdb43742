"""What a hostile or broken server cannot do to the worker that calls it."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from actors.web import post as post_module
from actors.web.addresses import check, check_async
from actors.web.post import LARGEST_ANSWER, NoAnswer, post
from tests.support.outside.receiver import Receiver, receiver, status

GIGABYTE = 2**30


@pytest.fixture
def hooks_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ssl.SSLContext]:
    """A server's context for hooks.example, by an authority that this machine trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    post_module._tls.cache_clear()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("hooks.example").configure_cert(context)
    yield context
    post_module._tls.cache_clear()


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, drip: bytes) -> None:
    monkeypatch.setattr(post_module, "DEADLINE_SECONDS", 1)
    with receiver() as server:
        server.answer = _drip(server, drip)
        started = time.monotonic()
        with pytest.raises(NoAnswer, match=r"within (0\.[789]|1\.0) s"):
            _post(server.url)
        assert time.monotonic() - started < 3


def test_a_gigabyte_of_an_answer_is_not_read() -> None:
    sent = 0

    def pour(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        status(200)(request)
        while sent < GIGABYTE:
            sent += request.wfile.write(bytes(2**20))

    with receiver() as server:
        server.answer = pour
        assert _post(server.url) == 200
    assert sent < GIGABYTE / 10


def test_an_answer_that_is_no_http_is_a_failure_like_any_other() -> None:
    def greet(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    with receiver() as server:
        server.answer = greet
        with pytest.raises(NoAnswer):
            _post(server.url)


def test_a_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        assert _post(server.url) == 204
        assert proxy.deliveries == []


def test_the_name_is_not_resolved_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as server:
        monkeypatch.setattr(socket, "getaddrinfo", _rebinding("127.0.0.1", "127.0.0.2"))
        url = f"http://rebinding.example:{server.server_port}/"
        assert _post(url) == 204
        assert server.deliveries[0].headers["Host"] == f"rebinding.example:{server.server_port}"


@pytest.mark.parametrize(("name", "good"), [("hooks.example", True), ("other.example", False)])
def test_the_certificate_is_that_of_the_name_though_the_address_is_called(
    monkeypatch: pytest.MonkeyPatch, hooks_example: ssl.SSLContext, name: str, good: bool
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _rebinding("127.0.0.1"))
    with receiver(hooks_example) as server:
        url = f"https://{name}:{server.server_port}/"
        if good:
            assert _post(url) == 204
        else:
            with pytest.raises(NoAnswer, match="certificate"):
                _post(url)


def test_a_server_that_pours_without_an_answer_is_cut_off_at_once() -> None:
    def pour(request: BaseHTTPRequestHandler) -> None:
        while True:
            request.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    with receiver() as server:
        server.answer = pour
        started = time.monotonic()
        with pytest.raises(NoAnswer, match=f"it sent {LARGEST_ANSWER} bytes without an answer"):
            _post(server.url)
        assert time.monotonic() - started < post_module.DEADLINE_SECONDS / 2


def test_name_servers_that_are_silent_hold_up_no_other_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, opened = socket.getaddrinfo, threading.Event()

    def resolve(host: str, *args: Any, **named: Any) -> Any:
        if str(host).endswith(".example"):
            opened.wait()
        return real("127.0.0.1" if str(host).endswith(".example") else host, *args, **named)

    async def call_beside_silent_ones(url: str) -> tuple[int, bool]:
        silent = [f"http://{number}.example/" for number in range(20)]
        lookups = asyncio.gather(*(check_async(each, may_be_private=True) for each in silent))
        answer = await post(await check_async(url, may_be_private=True), b"{}", {})
        was_held_up = lookups.done()
        opened.set()
        await lookups
        return answer.status, was_held_up

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with receiver() as server:
        assert asyncio.run(call_beside_silent_ones(server.url)) == (204, False)


def _post(url: str) -> int:
    return asyncio.run(post(check(url, may_be_private=True), b"{}", {})).status


def _drip(server: Receiver, beginning: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(beginning)
        while not server.closing.wait(0.1):
            request.wfile.write(b"x")

    return answer


def _rebinding(*addresses: str) -> Callable[..., list[tuple[object, ...]]]:
    """A name server's answers: the first address once, then the next."""
    left = list(addresses)
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: object, **named: object) -> list[tuple[object, ...]]:
        if not str(host).endswith(".example"):
            return list(real(host, port, *args, **named))  # type: ignore[arg-type] # as it came
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve
