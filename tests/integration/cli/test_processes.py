"""`duly api` and `worker` as far as they need no broker; tests/acceptance runs the whole line."""

import http.client
import signal
import time

import httpx2

from dev.ports import free_port
from tests.integration.cli.conftest import Duly
from tests.wait import wait_for


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
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.connect()
        client.auto_open = False  # it has this one connection
        assert _is_well(client)
        idle_since = time.monotonic()
        # After 5 s httpx gives an idle connection up, and so would uvicorn by itself.
        wait_for("6 s without a request", lambda: time.monotonic() - idle_since > 6)
        assert _is_well(client)
        client.close()
    finally:
        serving.kill()
        serving.communicate()


def _is_well(client: http.client.HTTPConnection) -> bool:
    client.request("GET", "/healthz")
    answer = client.getresponse()
    answer.read()
    return answer.status == 200


def test_a_worker_says_which_queue_or_actor_it_cannot_find(duly: Duly) -> None:
    unknown = duly("worker", "--queues", "email,mail")
    assert unknown.returncode == 2
    assert unknown.stderr == "duly: no queue mail; there are documents, email, webhooks\n"
    duly.environment["DULY_ACTORS"] = "actors:NOTHING"
    missing = duly("worker")
    assert missing.returncode == 2
    assert missing.stderr.splitlines()[-1].startswith("duly: setting DULY_ACTORS: ")
