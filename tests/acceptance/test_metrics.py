"""Real processes, scraped as Prometheus scrapes them, tell exactly what has happened."""

import socket
import subprocess

import pytest

from tests.support.outside.arrivals import Gate
from tests.support.service.line import Line
from tests.support.service.process import DULY
from tests.support.service.scrape import Scraped
from tests.support.wait import wait_for

MAIL = {"kind": "email.send"}
HOOK = {"kind": "webhook.deliver"}


def test_what_succeeds_and_what_dies_is_counted_once(line: Line) -> None:
    relay, worker = Scraped(), Scraped()
    line.start_relay(*relay.options)
    line.start_worker(*worker.options)
    line.start("api")
    line.wait_for_state("succeeded", [line.submit_email() for _ in range(3)])
    line.inbox.to_recipient = "550 no such person"
    line.wait_for_state("dead", [line.submit_email()])

    worker.wait_for(1, "duly_dead_total", **MAIL, reason="refused")
    assert worker.value("duly_attempts_total", **MAIL, outcome="succeeded") == 3
    assert worker.value("duly_attempts_total", **MAIL, outcome="failed") == 1
    assert worker.value("duly_wasted_attempts_total", **MAIL) == 1
    assert worker.value("duly_retries_total", **MAIL) == 0
    assert worker.value("duly_claims_total", queue="email") == 4
    assert worker.value("duly_run_seconds_count", **MAIL) == 4
    assert worker.value("duly_start_delay_seconds_count", **MAIL) == 4
    assert worker.value("duly_slots", sort="task", state="busy") == 0
    for name in ("duly_published_total", "duly_confirmed_total"):
        assert relay.value(name, queue="email") == 4
    for process in (relay, worker):
        assert process.value("duly_up", server="postgres") == 1
        assert process.value("duly_up", server="broker") == 1


@pytest.mark.slow  # two workers, one of which has to be taken for dead
def test_the_jobs_of_a_killed_worker_are_counted_and_the_next_begins_at_zero(line: Line) -> None:
    line.environment["DULY_WORKER_SILENCE"] = "PT3S"
    line.receiver.answer = gate = Gate()
    relay, first, second = Scraped(), Scraped(), Scraped()
    line.start_relay(*relay.options)
    killed = line.start_worker(*first.options)
    line.start("api")
    mail, hook = line.submit_email(), line.submit_webhook(line.listen())
    line.wait_for_state("succeeded", [mail])
    wait_for("the webhook is on its way", lambda: line.receiver.deliveries)
    first.wait_for(1, "duly_slots", sort="task", state="busy")
    first.wait_for(1, "duly_attempts_total", **MAIL, outcome="succeeded")
    killed.kill()
    gate.open()
    relay.wait_for(1, "duly_rescues_total", **HOOK)
    line.start_worker(*second.options)
    line.wait_for_state("succeeded", [hook])

    second.wait_for(1, "duly_attempts_total", **HOOK, outcome="succeeded")
    assert second.value("duly_attempts_total", **MAIL, outcome="succeeded") == 0
    assert second.value("duly_start_delay_seconds_count", **HOOK) == 0  # it is the second attempt
    assert relay.value("duly_attempts_total", **HOOK, outcome="crashed") == 1
    assert relay.value("duly_wasted_attempts_total", **HOOK) == 1
    assert relay.value("duly_published_total", queue="webhooks") == 2


def test_a_process_whose_port_is_taken_says_so_and_ends(line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ended = subprocess.run(
            [*DULY, "worker", "--metrics-port", str(taken)],
            env=line.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert f"no metrics can be served on 127.0.0.1:{taken}: Address already in use" in ended.stderr
