"""`python -m bench.metrics`: what a job costs a worker more that serves metrics.

Only what is called for each job, without servers: the events that nobody would make otherwise, and
what counts them. A relay counts batches and not jobs.
"""

import timeit
from uuid import uuid4

from outbox.events import Claimed, Started, Succeeded, emit, is_wanted
from outbox.metrics.processes import WorkerMetrics

JOBS, ROUNDS = 100, 2000
"""Rounds are short: what else runs on the machine interrupts some, and not the fastest."""
ABOUT = {"job_id": uuid4(), "kind": "k", "queue": "q", "worker": "w", "attempt": 1, "key": None}


def tell() -> None:
    """What an attempt that succeeds tells, as outbox/worker/attempts/attempt_events.py does."""
    if is_wanted(Claimed):
        emit(Claimed(**ABOUT))  # type: ignore[arg-type]
    if is_wanted(Started):
        emit(Started(**ABOUT, late_seconds=0.01))  # type: ignore[arg-type]
    emit(Succeeded(**ABOUT, seconds=0.01))  # type: ignore[arg-type]


def microseconds() -> float:
    """For each job, in the fastest round."""
    return min(timeit.repeat(tell, number=JOBS, repeat=ROUNDS)) / JOBS * 1e6


if __name__ == "__main__":
    without = microseconds()
    metrics = WorkerMetrics()
    print(f"without metrics {without:.1f} µs a job, with metrics {microseconds():.1f} µs")
