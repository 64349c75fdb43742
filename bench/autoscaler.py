"""A small autoscaler: starts and stops worker processes by the work that Duly says there is."""

import math
import subprocess
import time
from collections import deque
from collections.abc import Callable

JOBS_PER_WORKER = 200
"""Of work. One worker does about as many in a second or two."""
STABLE_SECONDS = 2.0
"""For so long the work has to ask for fewer workers before one is stopped."""


class Autoscaler:
    """Keeps as many workers as there is work for, at least one, at most `most`.

    It does what a HorizontalPodAutoscaler does: more workers at once, fewer once the highest number
    that the last seconds asked for is lower. A worker is stopped by SIGTERM.
    """

    def __init__(self, start: Callable[[], "subprocess.Popen[str]"], most: int) -> None:
        self._start = start
        self._most = most
        self._asked: deque[tuple[float, int]] = deque()
        self._running: list[subprocess.Popen[str]] = []
        self._stopping: list[subprocess.Popen[str]] = []
        self._counted_at: float | None = None
        self.started = self.stopped = self.largest = 0
        self.worker_seconds = 0.0

    def step(self, work: int) -> None:
        """Start or stop workers, for so much work as there is now."""
        now = time.monotonic()
        self._count(now)
        self._asked.append((now, wanted(work, self._most)))
        while self._asked[0][0] < now - STABLE_SECONDS:
            self._asked.popleft()
        target = max(number for _, number in self._asked)
        while len(self._running) < target:
            self._running.append(self._start())
            self.started += 1
        while len(self._running) > target:
            self._stop(self._running.pop())
        self.largest = max(self.largest, len(self._running))

    def end(self) -> list[int]:
        """Stop all; returns the exit codes of all that ever ended."""
        while self._running:
            self._stop(self._running.pop())
        codes = [worker.wait() for worker in self._stopping]
        self._count(time.monotonic())
        return codes

    def _stop(self, worker: "subprocess.Popen[str]") -> None:
        worker.terminate()
        self._stopping.append(worker)
        self.stopped += 1

    def _count(self, now: float) -> None:
        alive = sum(worker.poll() is None for worker in [*self._running, *self._stopping])
        self.worker_seconds += alive * (now - (self._counted_at or now))
        self._counted_at = now


def wanted(work: int, most: int) -> int:
    """How many workers so much work asks for."""
    return min(max(math.ceil(work / JOBS_PER_WORKER), 1), most)
