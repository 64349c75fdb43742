"""The server of a metrics port, and clients that mean it no good."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread, active_count

import httpx2
import pytest
from prometheus_client import make_wsgi_app

from outbox.metrics.registry import Metrics
from outbox.metrics.scrape_server import MOST_AT_ONCE, ScrapeServer
from tests.support.wait import wait_for


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server that gives a silent client up after half a second."""
    server = ScrapeServer("127.0.0.1", 0, make_wsgi_app(Metrics().registry), silence_seconds=0.5)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_clients_that_send_nothing_cost_few_threads_and_are_given_up(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    before = active_count()
    with ExitStack() as clients:
        for _ in range(3 * MOST_AT_ONCE):
            clients.enter_context(socket.create_connection(("127.0.0.1", port))).send(b"GET ")
        wait_for("threads wait for some of them", lambda: active_count() > before)
        assert active_count() <= before + MOST_AT_ONCE
        wait_for("a scrape is answered", lambda: scrape(port))
    assert capfd.readouterr() == ("", "")


def test_a_client_that_hangs_up_and_one_that_talks_nonsense_are_not_logged(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for nonsense in (b"", b"GET ", b"\x16\x03\x01\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.send(nonsense)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, *[0] * 7)))
    assert scrape(port)
    assert capfd.readouterr() == ("", "")


def scrape(port: int) -> bool:
    """Whether the server answers."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/metrics").is_success
    except httpx2.TransportError:
        return False
