"""The network does what it is told to: pass, cut, and swallow without a word."""

import socket
import threading
from collections.abc import Iterator

import pytest

from dev.ports import free_port
from tests.support.network.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before a server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_echo_each, args=[listener], daemon=True).start()
        proxy = Proxy(listener.getsockname()[1])
        proxy.start()
        yield proxy
        proxy.stop()
        listener.shutdown(socket.SHUT_RDWR)


def _echo_each(listener: socket.socket) -> None:
    try:
        while True:
            threading.Thread(target=_echo, args=[listener.accept()[0]], daemon=True).start()
    except OSError:  # it was shut down
        return


def _echo(client: socket.socket) -> None:
    with client:
        while data := client.recv(100):
            client.sendall(data)


def connected(proxy: Proxy) -> socket.socket:
    """A connection that works."""
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    assert answered(client)
    return client


def answered(client: socket.socket, within: float = 10) -> bool:
    """Whether what is said comes back in time; raises ConnectionError where it was cut."""
    client.settimeout(within)
    client.sendall(b"hello")
    try:
        said = client.recv(100)
    except TimeoutError:
        return False
    if not said:
        raise ConnectionResetError
    return True


def assert_cut(proxy: Proxy) -> None:
    """That a new connection comes to nothing."""
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
        pytest.raises(ConnectionError),
    ):
        answered(client)


def test_a_cut_ends_what_there_is_and_lets_new_connections_through(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.cut()
        with pytest.raises(ConnectionError):
            answered(client)
    connected(proxy).close()


def test_no_connection_is_used_after_a_cut(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.delay = 0.3
        assert not answered(client, within=0.1)  # it is still on its way
        assert proxy.is_used
        proxy.cut()
        assert not proxy.is_used


def test_what_refuses_lets_nothing_through_until_it_admits(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.refuse()
        with pytest.raises(ConnectionError):
            answered(client)
    assert_cut(proxy)
    assert proxy.refused == 1
    proxy.admit()
    connected(proxy).close()


def test_a_cut_in_the_middle_of_an_answer_lets_its_beginning_through(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.cut_after(3)
        client.sendall(b"hello")
        assert client.recv(100) == b"hel"
        client.sendall(b"hello")
        assert client.recv(100) == b""


def test_the_url_by_way_of_it_keeps_the_rest(proxy: Proxy) -> None:
    url = proxy.url("amqp://ann:secret@rabbit.example:5672/duly?heartbeat=5")
    assert url == f"amqp://ann:secret@127.0.0.1:{proxy.port}/duly?heartbeat=5"


def test_what_is_swallowed_is_not_told_until_it_is_cut(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.swallow()
        assert not answered(client, within=0.3)
        with connected(proxy) as other:
            proxy.cut_swallowed()
            with pytest.raises(ConnectionError):
                answered(client)
            assert answered(other)


def test_a_slow_network_delivers_late(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.delay = 0.2
        assert not answered(client, within=0.3)
        client.settimeout(10)
        assert client.recv(100) == b"hello"


def test_without_its_server_a_connection_is_reset() -> None:
    dead = Proxy(free_port())
    dead.start()
    assert_cut(dead)
    dead.stop()
