"""Jobs with keys, from their submission to their end."""

import threading
import time
from collections import Counter
from uuid import UUID

from outbox import Actor, Job, Key
from tests.support.engine.line import Line, Note, note_kind


class Crowd:
    """An actor that knows how many of its jobs of each key ran at once, and in which order."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.began: list[UUID] = []

    def __call__(self, note: Note, job: Job) -> None:
        key = note.text
        with self._lock:
            self.began.append(job.id)
            self._running[key] += 1
            self.most[key] = max(self.most[key], self._running[key])
        time.sleep(self._seconds)
        with self._lock:
            self._running[key] -= 1


def by_text(note: Note) -> str:
    return f"text:{note.text}"


def test_jobs_of_a_key_run_one_at_a_time_and_those_of_others_beside_them(
    line: Line, queue: str
) -> None:
    kind = note_kind(queue, key=Key(by_text, at_most=1))
    crowd = Crowd(0.02)
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, crowd))
    jobs = [line.submit(kind(text=text)) for text in "aabbabca"]
    for job in jobs:
        line.wait_for(job, "succeeded")
    assert crowd.most == {"a": 1, "b": 1, "c": 1}
