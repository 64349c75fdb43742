import queue
from threading import Thread

import pytest

from outbox.worker.claimer import Claimer
from outbox.worker.in_flight import InFlight
from outbox.worker.records.group_commit import GroupCommit

THREADS = 32


def test_all_threads_that_wait_for_a_job_are_woken_up_when_it_stops() -> None:
    claims = Claimer(
        GroupCommit("", "w"),
        InFlight(),
        lambda *_: pytest.fail("nothing is claimed"),
        threads=THREADS,
        queues=["q"],
    )

    def wait() -> None:
        with pytest.raises(queue.Empty):
            claims.get(timeout=3600)

    threads = [Thread(target=wait, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    claims.stop()
    for thread in threads:
        thread.join(10)
    assert [thread for thread in threads if thread.is_alive()] == []
