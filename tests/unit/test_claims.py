import queue
from threading import Thread

import pytest

from outbox.worker.runners.threads import ThreadQueue

THREADS = 32


def test_all_threads_that_wait_for_a_job_are_woken_up_when_it_stops() -> None:
    claims = ThreadQueue(THREADS, lambda _: pytest.fail("nothing is claimed"))

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
