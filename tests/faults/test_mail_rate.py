"""The mail server's rate, over all workers."""

from datetime import datetime

import pytest

from tests.faults.line import Line
from tests.faults.mails import MAIL, mailing
from tests.support.wait import wait_for

MAILS, RATE, BURST = 30, 10, 5
"""Mails, mails a second, and what comes in half a second, which may be sent at once."""


@pytest.mark.slow
def test_no_more_mails_arrive_than_the_server_takes(line: Line) -> None:
    line.environment["DULY_MAIL_RATE"] = f"{RATE}/1s"
    with mailing(line):
        line.start("relay", "worker", "worker")
        for _ in range(MAILS):
            line.post("/v1/emails", MAIL)
        wait_for("all are sent", lambda: len(line.inbox.envelopes) == MAILS, seconds=60)
        sent = line.get(f"/v1/jobs?kind=email.send&limit={2 * MAILS}")["jobs"]
    at = sorted(datetime.fromisoformat(job["started_at"]) for job in sent)
    assert len(at) == len(line.inbox.envelopes) == MAILS
    for begin, first in enumerate(at):
        for more, last in enumerate(at[begin:], 1):
            assert more <= BURST + (last - first).total_seconds() * RATE + 0.01
