"""`duly api` and `worker` as far as they need no broker; tests/acceptance runs the whole line."""

import http.client
import select
import signal
from contextlib import closing

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
    duly.environment["DULY_ACTORS"] = "os:path"
    other = duly("worker")
    assert other.returncode == 2
    assert other.stderr.endswith("duly: setting DULY_ACTORS: os:path is no outbox.Actors\n")


def test_a_worker_with_fewer_threads_than_queues_does_not_start(duly: Duly) -> None:
    said = duly("worker", "--threads", 2)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "duly: 2 threads are too few: each of the 3 queues needs its own\n"
