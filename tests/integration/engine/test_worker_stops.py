"""What a worker that is told to stop does with what it has in hand."""

import threading
from datetime import timedelta

from outbox import Actor, Retry
from tests.integration.engine.gate import Gate
from tests.support.engine.line import Line, do_nothing, note_kind, prefetched
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for


def test_a_worker_that_stops_gives_back_what_it_did_not_begin(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    kind, gate = note_kind(queue), Gate("a")
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=1)
    running = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    waiting = [line.submit(kind(text="waits")) for _ in range(5)]
    wait_for("a prefetched message", lambda: prefetched(worker) == 1)
    threading.Timer(0.2, gate.open).start()
    line.stop_worker(worker)

    assert line.job(running).state == "succeeded"
    assert {line.job(job).state for job in waiting} == {"queued"}
    wait_for("all, the running job's too", lambda: rabbit.depth(queue) == 6)
    line.start_worker(Actor(kind, do_nothing))
    for job in waiting:
        assert line.wait_for(job, "succeeded").attempt == 1


def test_a_worker_that_stops_hands_back_what_it_cannot_finish(line: Line, queue: str) -> None:
    kind, gate = note_kind(queue, retry=Retry(attempts=1)), Gate("a")
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=1)
    job = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    line.stop_worker(worker, grace=timedelta())
    line.start_worker(Actor(kind, lambda *_: "by another"))
    done = line.wait_for(job, "succeeded")
    gate.open()
    assert (done.attempt, done.result) == (1, "by another")
    assert line.attempts(job) == []
