import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from outbox.resolver import Resolver, Unresolved

ANSWER = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]


class NameServer:
    """Answers in place of the C library; nothing about names in `silent.example`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ends = threading.Event()

    def answer(self, host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if host.endswith("silent.example"):
            self.ends.wait()
        if host == "missing.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return list(ANSWER)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.answer)
    yield server
    server.ends.set()


def test_a_name_that_nobody_answers_for_is_given_up_and_the_error_says_so(
    server: NameServer,
) -> None:
    with pytest.raises(Unresolved, match=r"^no name server answered for silent.example within 0.1"):
        Resolver(1).resolve("silent.example", 443, 0.1)


def test_what_the_name_server_says_is_passed_on(server: NameServer) -> None:
    resolver = Resolver(1)
    assert resolver.resolve("a.example", 443) == ANSWER
    with pytest.raises(socket.gaierror, match="not known"):
        resolver.resolve("missing.example", 443)


def test_lookups_of_one_silent_name_hold_one_thread(server: NameServer) -> None:
    resolver = Resolver(2)
    for _ in range(3):
        with pytest.raises(Unresolved):
            resolver.resolve("silent.example", 443, 0.02)
    assert resolver.resolve("a.example", 443) == ANSWER
    assert server.asked == ["silent.example", "a.example"]


def test_without_a_free_thread_it_waits_for_one_until_its_deadline(
    server: NameServer,
) -> None:
    resolver = Resolver(1)
    with pytest.raises(Unresolved):
        resolver.resolve("silent.example", 443, 0.02)
    with pytest.raises(Unresolved, match=r"a\.example"):
        resolver.resolve("a.example", 443, 0.02)
    assert server.asked == ["silent.example"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(resolver.resolve, "b.example", 443, 60)
        server.ends.set()
        assert waiting.result(60) == ANSWER


def test_a_name_that_no_thread_could_look_up_is_looked_up_when_next_asked_for(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unresolved, match=r"^no thread could be started to look up a\.example$"):
            resolver.resolve("a.example", 443)
    assert resolver.resolve("b.example", 443, 1) == ANSWER
    assert resolver.resolve("a.example", 443, 1) == ANSWER
    assert server.asked == ["b.example", "a.example"]


@pytest.mark.usefixtures("server")
def test_a_time_limit_that_ends_the_start_of_a_lookup_leaves_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver(1)
    start = threading.Thread.start

    def interrupt(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            resolver.resolve("a.example", 443)
    for name in ("b.example", "a.example"):
        assert resolver.resolve(name, 443, 1) == ANSWER
