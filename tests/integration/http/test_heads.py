"""How much of a request a client may send, and for how long, before it is one."""

import socket
import threading
from dataclasses import dataclass
from select import select

import httpx2
import psycopg
import pytest

from outbox.http.server import client_connection
from outbox.http.server.client_connection import HEAD_READ, MOST_FIELDS, Connection
from service.settings import Settings
from tests.integration.http.raw import all_that_comes, connect, head, status, statuses
from tests.support.service.serving import serve
from tests.support.wait import wait_for

HALF = b"GET /healthz HTTP/1.1\r\nHost: test\r\n"
CHUNKED = "Transfer-Encoding: chunked"


@dataclass(frozen=True)
class Read:
    """One read of the server, and how many requests waited after it for their turn."""

    size: int
    waiting: int


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Read]:
    """Every read of the server."""
    reads: list[Read] = []
    receive = Connection.data_received

    def noting(connection: Connection, data: bytes) -> None:
        receive(connection, data)
        reads.append(Read(len(data), len(connection.pipeline)))

    monkeypatch.setattr(Connection, "data_received", noting)
    return reads


def test_a_head_of_many_fields_and_bytes_is_taken_byte_by_byte_too(
    lasting_client: httpx2.Client,
) -> None:
    fields = [f"X-{number}: {'x' * 250}" for number in range(MOST_FIELDS - 1)]
    whole = head("GET /healthz", *fields)
    with connect(lasting_client) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(whole), 100):
            connection.sendall(whole[start : start + 100])

        assert status(connection) == 200


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (HALF, b"X: y\r\n"),
        (HALF, b"X: " + b"y" * 5000 + b"\r\n"),
        (HALF + b"X: ", b"y" * 1000),
        (HALF, b"y" * 1000),
        (b"GET /", b"y" * 1000),
        (b"", b"\r\n" * 1000),
        (head("POST /v1/jobs", CHUNKED) + b"1\r\n{\r\n0\r\n", b"X: y\r\n"),
        (head("POST /v1/jobs", CHUNKED) + b"1\r\n{\r\n0\r\nX: ", b"y" * 1000),
        (head("POST /v1/jobs", CHUNKED) + b"1;", b"y" * 1000),
    ],
)
def test_a_head_or_trailers_without_end_are_refused(
    client: httpx2.Client, begin: bytes, more: bytes
) -> None:
    key = f"Authorization: {client.headers['authorization']}\r\nHost:".encode()
    with connect(client) as connection:
        connection.sendall(begin.replace(b"Host:", key))
        _send_until_refused(connection, more)
        answer = all_that_comes(connection)

    assert statuses(answer) == [431]
    assert b"application/problem+json" in answer
    assert b"/problems/head-too-large" in answer


@pytest.mark.parametrize("fields", [MOST_FIELDS + 1, 5 * MOST_FIELDS])
def test_a_head_with_too_many_fields_is_refused(lasting_client: httpx2.Client, fields: int) -> None:
    with connect(lasting_client) as connection:
        connection.sendall(head("GET /healthz", *["X: y"] * fields))

        assert statuses(all_that_comes(connection)) == [431]


def test_a_trailer_is_no_header(client: httpx2.Client) -> None:
    key = client.headers["authorization"].encode()
    with connect(client) as connection:
        body = b"1\r\n{\r\n0\r\nAuthorization: " + key + b"\r\n\r\n"
        connection.sendall(head("POST /v1/jobs", CHUNKED, "Trailer: Authorization") + body)

        assert status(connection) == 401


def test_what_is_no_http_is_a_problem(lasting_client: httpx2.Client) -> None:
    with connect(lasting_client) as connection:
        connection.sendall(b"hello\r\n\r\n")
        answer = all_that_comes(connection)

    assert statuses(answer) == [400]
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("begin", [b"G", HALF, HALF + b"X", b"\r\n"])
def test_half_a_head_is_given_up(
    lasting_client: httpx2.Client, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(client_connection, "HEAD_SECONDS", 0.1)
    with connect(lasting_client) as connection:
        connection.sendall(begin)
        answer = all_that_comes(connection)

    assert statuses(answer) == [408]
    assert b"/problems/too-slow" in answer


def test_the_rest_of_a_refused_body_is_not_awaited_for_ever(
    lasting_client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "HEAD_SECONDS", 0.1)
    with connect(lasting_client) as connection:
        connection.sendall(head("POST /v1/jobs", "Content-Length: 90000"))
        assert status(connection) == 401
        connection.sendall(b"{")  # so it is not idle

        assert b"HTTP" not in all_that_comes(connection)


def test_a_client_that_sends_nothing_is_idle(settings: Settings) -> None:
    with (
        serve(settings, idle_seconds=1) as address,
        httpx2.Client(base_url=address) as client,
        connect(client) as connection,
    ):
        assert all_that_comes(connection) == b""


def test_little_of_a_body_is_read_before_the_key_is_known(
    client: httpx2.Client, settings: Settings, reads: list[Read]
) -> None:
    body = b" " * 90_000
    with connect(client) as connection, psycopg.connect(settings.database_url) as blocker:
        blocker.execute("LOCK TABLE api_keys")
        connection.sendall(_head(client, "POST /v1/jobs", f"Content-Length: {len(body)}"))
        sender = threading.Thread(target=connection.sendall, args=[body])
        sender.start()
        _wait_for_a_locked_request(blocker)
        before = sum(read.size for read in reads)
        blocker.rollback()
        sender.join()

        assert status(connection) == 415
    assert before <= HEAD_READ
    assert sum(read.size for read in reads) > len(body)


def test_requests_that_wait_for_their_turn_are_few_and_all_answered(
    client: httpx2.Client, settings: Settings, reads: list[Read]
) -> None:
    small = b"GET /healthz HTTP/1.1\r\n\r\n"
    with connect(client) as connection, psycopg.connect(settings.database_url) as blocker:
        blocker.execute("LOCK TABLE duly.jobs")
        connection.sendall(_head(client, "GET /v1/jobs"))
        _wait_for_a_locked_request(blocker)
        connection.sendall(small * 2000 + head("GET /healthz", "Connection: close"))
        wait_for("the next read", lambda: len(reads) > 1)
        blocker.rollback()
        answers = all_that_comes(connection)

    assert statuses(answers) == [200] * 2002
    assert 1 < max(read.waiting for read in reads) <= HEAD_READ // len(small)


@pytest.mark.parametrize("broken", [b"hello\r\n\r\n", head("GET /healthz", *["X: y"] * 200)])
def test_a_broken_request_is_no_answer_to_the_one_before_it(
    client: httpx2.Client, settings: Settings, reads: list[Read], broken: bytes
) -> None:
    with connect(client) as connection, psycopg.connect(settings.database_url) as blocker:
        blocker.execute("LOCK TABLE duly.jobs")
        connection.sendall(_head(client, "GET /v1/jobs"))
        _wait_for_a_locked_request(blocker)
        connection.sendall(broken)
        wait_for("the next read", lambda: len(reads) > 1)
        blocker.rollback()

        assert statuses(all_that_comes(connection)) == [200]


def _head(client: httpx2.Client, request: str, *headers: str) -> bytes:
    return head(request, f"Authorization: {client.headers['authorization']}", *headers)


def _send_until_refused(connection: socket.socket, more: bytes) -> int:
    """How many bytes it took."""
    sent, block = 0, more * (4000 // len(more) + 1)
    while not select([connection], [], [], 0)[0]:
        assert sent < 50_000_000, "it was never refused"
        try:
            connection.sendall(block)
        except ConnectionError:
            break
        sent += len(block)
    return sent


def _wait_for_a_locked_request(blocker: psycopg.Connection) -> None:
    waiting = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """

    def is_waiting() -> bool:
        with psycopg.connect(blocker.info.dsn, password=blocker.info.password) as other:
            return other.execute(waiting).fetchone() == (1,)

    wait_for("a request that waits for a lock", is_waiting)
