"""When jobs are taken from silent workers."""

import time
from datetime import timedelta

from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line
from tests.support.wait import wait_for


def test_workers_may_speak_before_the_first_of_their_jobs_is_rescued(
    line: Line, by_hand: ByHand
) -> None:
    job = by_hand.running(worker="silent")
    started = time.monotonic()
    line.start_relay(silence=timedelta(seconds=1))
    wait_for("the rescue", lambda: by_hand.attempts(job))
    assert time.monotonic() - started >= 1
