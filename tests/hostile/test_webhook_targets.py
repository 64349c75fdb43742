"""Webhooks to hostile servers, all at once: each ends in time, in little memory, and says why."""

import re
import ssl
import time
from uuid import UUID

import pytest
import trustme
from sqlalchemy.orm import Session

from actors.web.post import DEADLINE_SECONDS, LARGEST_ANSWER
from dev.ports import free_port
from service.webhooks.models import WebhookEndpoint
from tests.hostile.conftest import Start
from tests.hostile.deeds import HOOK
from tests.hostile.memory import megabytes
from tests.hostile.targets import ANSWERS, target
from tests.support.engine.line import Line
from tests.support.wait import wait_for

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MOST_MEGABYTES = 60
"""More than before, while every one of these servers pours into the worker."""

TOO_LONG = r"within (1[5-9]|20)\.\d s"
TOO_MUCH = f"it sent {LARGEST_ANSWER} bytes without an answer"
REFUSED = "the endpoint answered 500"
"""In which case no more was read of the answer than its beginning."""

WHY = {
    "/silent": TOO_LONG,
    "/silent-in-head": TOO_LONG,
    "/silent-in-body": TOO_LONG,
    "/dripping-head": TOO_LONG,
    "/dripping-body": TOO_LONG,
    "/endless-continue": TOO_MUCH,
    "/endless-status": TOO_MUCH,
    "/endless-header": TOO_MUCH,
    "/many-headers": f"{TOO_MUCH}|Receive buffer too long",  # whichever limit is met first
    "/endless-chunk-extension": REFUSED,
    "/endless-trailer": REFUSED,
    "/endless-chunks": REFUSED,
    "/gigabytes": REFUSED,
    "/gzip-bomb": REFUSED,
    "/closed": "without sending a response",
    "/closed-in-head": "without sending a response",
    "/closed-in-body": "without sending complete message body",
    "/garbage": "illegal request line",
    "/another-protocol": "without sending a response",
    "/impossible-status": "illegal status line",
    "/impossible-length": "bad Content-Length",
    "/two-lengths": "conflicting Content-Length",
    "/not-ascii": "illegal header line",
    "/moved": "the endpoint answered 307",
    "untrusted certificate": "CERTIFICATE_VERIFY_FAILED",
    "no TLS": "Connect|TLS/SSL connection has been closed",  # as the version of OpenSSL has it
    "nobody": "connection attempts failed",
}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_hostile_servers_cost_little_time_and_memory(
    line: Line, session: Session, start: Start
) -> None:
    def deliver(url: str) -> UUID:
        endpoint = WebhookEndpoint(url=url, events=["*"], secret=SECRET)
        session.add(endpoint)
        session.commit()
        return line.submit(HOOK(endpoint_id=endpoint.id, event="a.b", data={}))

    start("relay")
    worker = start("worker", "--threads", "32")
    with target() as plain, target(_untrusted()) as untrusted:
        urls = {path: f"http://{plain.address}{path}" for path in ANSWERS} | {
            "untrusted certificate": f"https://{untrusted.address}/good",
            "no TLS": f"https://{plain.address}/good",
            "nobody": f"http://127.0.0.1:{free_port()}/",
        }
        line.wait_for(deliver(urls["/good"]), "succeeded")
        before, started = megabytes(worker.pid), time.monotonic()
        jobs = {name: deliver(urls[name]) for name in WHY}
        line.wait_for(deliver(urls["/good"]), "succeeded")
        wait_for("all are dead", lambda: all(line.job(j).state == "dead" for j in jobs.values()))
        assert time.monotonic() - started < 2 * DEADLINE_SECONDS

    said = {name: str(line.attempts(job)[0].error_message) for name, job in jobs.items()}
    assert {name: said[name] for name, why in WHY.items() if not re.search(why, said[name])} == {}
    assert "/secret" not in plain.called
    assert megabytes(worker.pid) - before < MOST_MEGABYTES
    assert worker.is_alive


def _untrusted() -> ssl.SSLContext:
    """A server's, by an authority that nobody has heard of."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context
