"""Processes that are told to stop while a server of theirs says nothing, and no client listens."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import psycopg
import pytest

from dev.servers import Servers
from outbox.relay.process import DRAIN_SECONDS
from tests.faults.actors import BOOK, HOLD
from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.support.network.name_server import silent_name_server
from tests.support.network.proxy import Proxy, before
from tests.support.outside.arrivals import Gate
from tests.support.servers.nodes import Nodes, frozen
from tests.support.service.process import Process
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

RELAY_SECONDS, API_SECONDS = 10, 25
GRACE_SECONDS = 1
WORKER_SECONDS = GRACE_SECONDS + 5
WORKER = ("worker", "--grace", str(GRACE_SECONDS))
AWAITS_STANDBY = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = %s"
ENDS_WITH = {"DATABASE_URL": -signal.SIGTERM, "AMQP_URL": 0}
"""Until it knows that Postgres has its tables a process has not begun: the signal ends it."""
KEY = ("keys", "create", "--name", "test", "--scopes", "submit")
EMAIL = {"kind": "email.send", "payload": {"to": "a@example.com", "subject": "a", "text": "a"}}


@pytest.fixture
def postgres(line: Line, database_url: str) -> Iterator[Proxy]:
    """The way to Postgres of the processes that are started now."""
    with before(database_url) as proxy:
        line.environment["DATABASE_URL"] = proxy.url(database_url)
        yield proxy


@pytest.fixture
def broker(line: Line, amqp_url: str) -> Iterator[Proxy]:
    """The way to RabbitMQ of the processes that are started now."""
    with before(amqp_url) as proxy:
        line.environment["AMQP_URL"] = proxy.url(amqp_url)
        yield proxy


@contextmanager
def no_standby(servers: Servers) -> Iterator[None]:
    """Each commit waits for a standby that is away."""
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute("SET synchronous_commit = local")
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        admin.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")


def ends_within(process: Process, seconds: float, code: int = 0) -> bool:
    """Whether it ends in good order so soon after SIGTERM."""
    told_at = time.monotonic()
    process.terminate()
    assert process.wait(2 * seconds) == code
    return time.monotonic() - told_at < seconds


def test_a_relay_cut_off_from_postgres(line: Line, postgres: Proxy) -> None:
    (relay,) = line.start("relay")
    wait_for("it is ready", lambda: "relay ready" in relay.log)
    postgres.swallow()
    wait_for("it has asked in vain", lambda: postgres.swallowed)
    assert ends_within(relay, RELAY_SECONDS)


def test_a_relay_cut_off_from_rabbitmq(line: Line, broker: Proxy, clients: Clients) -> None:
    (relay,) = line.start("relay")
    wait_for("it is ready", lambda: "relay ready" in relay.log)
    broker.swallow()
    clients.submit(BOOK)
    wait_for("it has published in vain", lambda: broker.swallowed)
    assert ends_within(relay, RELAY_SECONDS)


def test_a_relay_whose_postgres_stands_still(line: Line, nodes: Nodes) -> None:
    (relay,) = line.start("relay")
    wait_for("it is ready", lambda: "relay ready" in relay.log)
    with frozen(nodes.postgres):
        assert ends_within(relay, RELAY_SECONDS)


def test_a_relay_whose_commit_waits_for_a_standby(
    line: Line, clients: Clients, servers: Servers, sql_now: psycopg.Connection
) -> None:
    clients.submit(BOOK)
    with no_standby(servers):
        (relay,) = line.start("relay")
        wait_for("it commits", lambda: _awaits_standby(sql_now))
        assert ends_within(relay, RELAY_SECONDS)


@pytest.mark.parametrize("setting", ["DATABASE_URL", "AMQP_URL"])
def test_a_relay_whose_name_server_is_silent(line: Line, tmp_path: Path, setting: str) -> None:
    line.environment[setting] = _by_name(line.environment[setting])
    with silent_name_server(tmp_path) as names:
        relay = line.start_by_way_of(names.command, "relay")
        wait_for("it asks for the name", names.hears)
        assert ends_within(relay, RELAY_SECONDS, ENDS_WITH[setting])


def test_a_worker_cut_off_from_postgres(line: Line, clients: Clients, postgres: Proxy) -> None:
    worker = _busy_worker(line, clients)
    postgres.swallow()
    wait_for("it has asked in vain", lambda: postgres.swallowed)
    assert ends_within(worker, WORKER_SECONDS)


def test_a_worker_cut_off_from_rabbitmq(line: Line, clients: Clients, broker: Proxy) -> None:
    worker = _busy_worker(line, clients)
    broker.swallow()
    assert ends_within(worker, WORKER_SECONDS)
    assert worker.log.count("handed back") == 1


def test_a_worker_whose_postgres_stands_still(line: Line, clients: Clients, nodes: Nodes) -> None:
    worker = _busy_worker(line, clients)
    with frozen(nodes.postgres):
        assert ends_within(worker, WORKER_SECONDS)


def test_a_worker_whose_commit_waits_for_a_standby(
    line: Line, clients: Clients, servers: Servers, sql_now: psycopg.Connection
) -> None:
    worker = _busy_worker(line, clients)
    with no_standby(servers):
        wait_for("it commits", lambda: _awaits_standby(sql_now))
        assert ends_within(worker, WORKER_SECONDS)


@pytest.mark.parametrize("setting", ["DATABASE_URL", "AMQP_URL"])
def test_a_worker_whose_name_server_is_silent(line: Line, tmp_path: Path, setting: str) -> None:
    line.environment[setting] = _by_name(line.environment[setting])
    with silent_name_server(tmp_path) as names:
        worker = line.start_by_way_of(names.command, *WORKER)
        wait_for("it asks for the name", names.hears)
        assert ends_within(worker, WORKER_SECONDS, ENDS_WITH[setting])


def test_a_worker_told_twice_hands_its_job_back_at_once(line: Line, clients: Clients) -> None:
    line.receiver.answer = Gate()
    clients.submit(HOLD)
    _, worker = line.start("relay"), line.start_by_way_of((), "worker", "--grace", "600")
    wait_for("it runs", lambda: line.receiver.deliveries)
    worker.terminate()
    wait_for("it stops", lambda: "worker stopping" in worker.log)
    assert ends_within(worker, WORKER_SECONDS)
    assert worker.log.count("worker stopping at once") == worker.log.count("handed back") == 1


def test_a_relay_told_twice_gives_its_batch_up_at_once(
    line: Line, broker: Proxy, clients: Clients
) -> None:
    (relay,) = line.start("relay")
    wait_for("it is ready", lambda: "relay ready" in relay.log)
    broker.swallow()
    clients.submit(BOOK)
    wait_for("it has published in vain", lambda: broker.swallowed)
    relay.terminate()
    wait_for("it stops", lambda: "relay stopping" in relay.log)
    assert ends_within(relay, DRAIN_SECONDS - 2)
    assert "it was told to stop again" in relay.log


def test_an_api_cut_off_from_postgres(line: Line, postgres: Proxy) -> None:
    (api,) = line.start("api")
    line.get("/v1/jobs")
    postgres.swallow()
    with _request(line):
        wait_for("it has asked in vain", lambda: postgres.swallowed)
        assert ends_within(api, API_SECONDS)


def test_an_api_whose_commit_waits_for_a_standby(
    line: Line, servers: Servers, sql_now: psycopg.Connection
) -> None:
    (api,) = line.start("api")
    with no_standby(servers), _request(line):
        wait_for("it commits", lambda: _awaits_standby(sql_now))
        assert ends_within(api, API_SECONDS)


def test_an_api_whose_name_server_is_silent(line: Line, tmp_path: Path) -> None:
    line.http.headers["Authorization"] = f"Bearer {line.duly(*KEY).strip()}"
    line.environment["DATABASE_URL"] = _by_name(line.environment["DATABASE_URL"])
    with silent_name_server(tmp_path) as names:
        port = str(line.http.base_url.port)
        api = line.start_by_way_of(names.command, "api", "--port", port)
        wait_for("the API answers", line.answers)
        with _request(line):
            wait_for("it asks for the name", names.hears)
            assert ends_within(api, API_SECONDS)


def test_an_api_whose_client_asks_and_does_not_read(line: Line) -> None:
    (api,) = line.start("api")
    with _deaf_client(line):
        assert ends_within(api, API_SECONDS)


def test_an_api_whose_client_sends_byte_by_byte(line: Line) -> None:
    (api,) = line.start("api")
    with _slow_upload(line):
        assert ends_within(api, API_SECONDS)


def _busy_worker(line: Line, clients: Clients) -> Process:
    """A worker that runs a job which outlasts its grace, and one that has not begun."""
    line.receiver.answer = Gate()
    clients.submit(HOLD)
    _, worker = line.start("relay"), line.start_by_way_of((), *WORKER)
    wait_for("it runs", lambda: line.receiver.deliveries)
    return worker


def _awaits_standby(sql_now: psycopg.Connection) -> int:
    return sql_now.execute(AWAITS_STANDBY, [sql_now.info.dbname]).rowcount


def _by_name(url: str) -> str:
    return url.replace("@127.0.0.1:", "@server.example:")


@contextmanager
def _request(line: Line) -> Iterator[None]:
    """A request that is under way meanwhile."""

    def post() -> None:
        with suppress(httpx2.HTTPError):
            line.http.post("/v1/jobs", json=EMAIL)

    thread = threading.Thread(target=post)
    thread.start()
    yield
    thread.join()


@contextmanager
def _deaf_client(line: Line) -> Iterator[None]:
    """Asks for more than the network keeps, and reads nothing."""
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection(("127.0.0.1", line.http.base_url.port or 0)) as client:
        client.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                client.send(ask * 100)
        yield


@contextmanager
def _slow_upload(line: Line) -> Iterator[None]:
    """Sends a byte of its body now and then."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    ended = threading.Event()

    def send(client: socket.socket) -> None:
        with suppress(OSError):
            while not ended.wait(0.5):
                client.send(b" ")

    with socket.create_connection(("127.0.0.1", line.http.base_url.port or 0)) as client:
        client.send(head)
        thread = threading.Thread(target=send, args=[client])
        thread.start()
        yield
        ended.set()
        thread.join()
