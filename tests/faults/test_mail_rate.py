"""The mail server's rate, over all workers."""

import pytest

from tests.faults.line import Line
from tests.faults.mails import MAIL, mailing
from tests.support.wait import wait_for

RATE, BURST = 10, 5
"""Mails a second; and what comes in half a second, which may be sent at once."""
ON_THEIR_WAY = 2
"""Mails that were started in time, and arrived a little later."""


@pytest.mark.slow
def test_no_more_mails_arrive_than_the_server_takes(line: Line) -> None:
    line.environment["DULY_MAIL_RATE"] = f"{RATE}/1s"
    with mailing(line):
        line.start("relay", "worker", "worker")
        for _ in range(3 * RATE):
            line.post("/v1/emails", MAIL)
        wait_for("all are sent", lambda: len(line.inbox.envelopes) == 3 * RATE, seconds=60)
    at = line.inbox.arrived_at
    assert at[-1] - at[0] > 2
    for begin, first in enumerate(at):
        for more, last in enumerate(at[begin:], 1):
            assert more <= BURST + (last - first) * RATE + ON_THEIR_WAY
