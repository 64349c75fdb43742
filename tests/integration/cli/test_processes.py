"""`duly api` and `worker` as far as they need no broker; tests/acceptance runs the whole line."""

import http.client
import re
import select
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from dev.ports import free_port
from migrations.run import upgrade
from outbox import submit
from outbox.migrations import LATEST
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from service.subjects import KINDS
from tests.integration.cli.conftest import COMMAND, Duly, email
from tests.support.network.name_server import silent_name_server
from tests.support.wait import wait_for

HURRIED = """
from outbox.http.server import serving
from outbox.cli import main
serving.UNREADY_SECONDS = 1
main()
"""
TOLD_AS_IT_IMPORTS = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
from outbox.cli import main
main()
"""
UPLOAD = (
    b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 9\r\n\r\n{"
)
LOOKS = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%AS asked (id)%'
"""
WAITING = b"GET /v1/jobs/%s?wait=60 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n"


def _is_up(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx2.TransportError:
        return False


def test_the_api_serves_until_it_is_interrupted(duly: Duly) -> None:
    port = free_port()
    with duly.start("api", "--port", port) as serving:
        wait_for("the server", lambda: _is_up(port))
        taken = duly("api", "--port", port)
        serving.send_signal(signal.SIGINT)
        _, talk = serving.communicate(timeout=30)
    assert (serving.returncode, "Traceback" in talk) == (130, False)
    assert taken.returncode == 1
    assert taken.stderr.endswith(f"duly: the API could not start on 127.0.0.1:{port}\n")


def test_the_api_keeps_an_idle_connection_longer_than_its_clients_do(duly: Duly) -> None:
    port = free_port()
    serving = duly.start("api", "--port", port)
    try:
        wait_for("the server", lambda: _is_up(port))
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
            assert _is_well(client)
            # httpx gives an idle connection up after 5 s, and so would uvicorn by itself.
            hung_up, _, _ = select.select([client.sock], [], [], 6)
            assert not hung_up
            assert _is_well(client)
            serving.terminate()
            serving.communicate(timeout=10)  # it does not wait for its idle client
    finally:
        serving.kill()
        serving.communicate()


@pytest.mark.parametrize("command", ["api", "relay", "worker", "status"])
def test_a_process_hears_of_its_end_while_it_imports(duly: Duly, command: str) -> None:
    """A signal without a handler does nothing to the first process of a container, as here."""
    told = subprocess.run(
        ["env", "--ignore-signal=TERM", sys.executable, "-c", TOLD_AS_IT_IMPORTS, command],
        env=duly.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert (told.returncode, told.stderr) == (-signal.SIGTERM, b"")


def test_an_api_that_stops_says_so_to_load_balancers_and_breaks_uploads_and_waiting_off(
    duly: Duly, session: Session, sql_now: psycopg.Connection
) -> None:
    key = api_keys.create(session, "test", [Scope.SUBMIT, Scope.READ], None, by="ann")
    job = submit(session, email())
    session.commit()
    port = free_port()
    serving = subprocess.Popen(
        [sys.executable, "-c", HURRIED, "api", "--port", str(port)],
        env=duly.environment,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for("the server", lambda: _is_up(port))
        with (
            socket.create_connection(("127.0.0.1", port)) as waiting,
            socket.create_connection(("127.0.0.1", port)) as upload,
        ):
            waiting.sendall(WAITING % (str(job.id).encode(), key.encode()))
            wait_for("it waits", lambda: sql_now.execute(LOOKS).fetchone())
            upload.sendall(UPLOAD % key.encode())
            serving.terminate()
            answer = wait_for("it stops", lambda: _unready(port))
            assert (answer.json()["status"], answer.headers["Connection"]) == ("stopping", "close")
            shown = waiting.makefile("rb").read()
            told = upload.makefile("rb").read()
        assert shown.startswith(b"HTTP/1.1 200 ")
        assert b'"state":"queued"' in shown
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"the service is stopping" in told
        serving.communicate(timeout=30)
        assert serving.returncode == 0
    finally:
        serving.kill()
        serving.communicate()


def test_an_api_told_twice_ends_at_once(duly: Duly) -> None:
    port = free_port()
    with duly.start("api", "--port", port) as serving:
        wait_for("the server", lambda: _is_up(port))
        serving.send_signal(signal.SIGTERM)
        wait_for("it stops", lambda: _unready(port))
        serving.terminate()
        _, talk = serving.communicate(timeout=10)
    assert (serving.returncode, "Traceback" in talk) == (0, False)
    assert talk.count("api stopped at once") == 1


def _unready(port: int) -> httpx2.Response | None:
    answer = httpx2.get(f"http://127.0.0.1:{port}/readyz")
    return answer if answer.status_code == 503 else None


def test_a_silent_name_server_holds_neither_readiness_nor_status_up(
    duly: Duly, tmp_path: Path
) -> None:
    duly.environment["AMQP_URL"] = "amqp://a:b@rabbitmq.example:5672/"
    port = free_port()
    with silent_name_server(tmp_path) as names:
        serving = subprocess.Popen(
            [*names.command, *COMMAND, "api", "--port", str(port)],
            env=duly.environment,
            stderr=subprocess.PIPE,
        )
        try:
            wait_for("the server", lambda: _is_up(port))
            ready = httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=10)
        finally:
            serving.kill()
            serving.communicate()
        status = subprocess.run(
            [*names.command, *COMMAND, "status"],
            env=duly.environment,
            capture_output=True,
            timeout=15,
        )
    assert ready.json()["status"] == "degraded"
    assert b"no name server answered for rabbitmq.example within 3 s" in status.stderr


def _is_well(client: http.client.HTTPConnection) -> bool:
    client.request("GET", "/healthz")
    answer = client.getresponse()
    answer.read()
    return answer.status == 200


def test_a_worker_says_which_queue_or_actor_it_cannot_find(duly: Duly) -> None:
    unknown = duly("worker", "--queues", "email,mail")
    assert unknown.returncode == 2
    assert unknown.stderr == f"duly: no queue mail; there are {', '.join(KINDS.queues)}\n"
    duly.environment["DULY_ACTORS"] = "actors:NOTHING"
    missing = duly("worker")
    assert missing.returncode == 2
    assert missing.stderr.splitlines()[-1].startswith("duly: setting DULY_ACTORS: ")
    duly.environment["DULY_ACTORS"] = "os:path"
    other = duly("worker")
    assert other.returncode == 2
    assert other.stderr.endswith("duly: setting DULY_ACTORS: os:path is no outbox.Actors\n")


def test_a_worker_warns_once_of_kinds_without_an_actor(duly: Duly, tmp_path: Path) -> None:
    (tmp_path / "few.py").write_text(
        "from actors import ACTORS as ALL\nfrom outbox import Actors\n"
        "ACTORS = Actors([ALL['email.send']])\n"
    )
    duly.environment |= {"PYTHONPATH": str(tmp_path), "DULY_ACTORS": "few:ACTORS"}
    with duly.start("worker", "--grace", 0) as worker:
        assert worker.stderr
        lines: list[str] = []
        while "worker ready" not in "".join(lines):
            lines.append(worker.stderr.readline())
        worker.terminate()
        lines += worker.stderr.readlines()
    (warned,) = [line for line in lines if "without an actor" in line]
    assert "invoice.render" in warned
    assert "'email.send'" not in warned


def test_a_worker_with_fewer_threads_than_queues_does_not_start(duly: Duly) -> None:
    said = duly("worker", "--threads", 2)
    assert (said.returncode, said.stdout) == (2, "")
    needed = r"duly: 2 threads are too few: each of the \d+ queues needs its own\n"
    assert re.fullmatch(needed, said.stderr)


@pytest.mark.parametrize("command", ["api", "worker"])
@pytest.mark.parametrize("folder", ["/etc/passwd", "/proc/nope", "/dev/null/x"])
def test_a_document_store_that_cannot_be_used_is_found_at_the_start(
    duly: Duly, command: str, folder: str
) -> None:
    duly.environment["DULY_DOCUMENTS_URL"] = f"file://{folder}"
    said = duly(command)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.splitlines()[-1].startswith("duly: setting DULY_DOCUMENTS_URL: ")


@pytest.mark.parametrize("process", ["api", "relay", "worker"])
def test_a_process_says_that_the_tables_are_too_old(
    empty_database_url: str, amqp_url: str, process: str
) -> None:
    upgrade(empty_database_url, "0001")
    ended = Duly(empty_database_url, amqp_url)(process)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"duly: the database has version 1 of Duly's tables and this release needs {LATEST}: "
        "run `duly migrate`\n"
    )


@pytest.mark.parametrize("command", ["relay", "worker", "status"])
def test_what_talks_to_rabbitmq_needs_its_address(duly: Duly, command: str) -> None:
    del duly.environment["AMQP_URL"]
    ended = duly(command)
    assert (ended.returncode, ended.stderr) == (
        2,
        "duly: setting AMQP_URL: Field required\n",
    )


@pytest.mark.parametrize("command", [["migrate"], ["jobs", "list"]], ids=lambda each: each[0])
def test_what_does_not_is_done_without_it(duly: Duly, command: list[str]) -> None:
    del duly.environment["AMQP_URL"]
    ended = duly(*command)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("process", ["api", "relay", "worker"])
def test_a_process_that_cannot_trace_says_why_in_one_line(duly: Duly, process: str) -> None:
    duly.environment |= {"DULY_TRACES": "on", "OTEL_TRACES_SAMPLER": "sometimes"}
    done = duly(process)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("duly: OTEL_TRACES_SAMPLER: it is 'sometimes', and not one of ")
