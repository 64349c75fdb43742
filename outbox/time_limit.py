"""Ends work that runs past its time limit, or is in vain, by an exception inside its thread."""

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

LOOK_SECONDS = 0.1


class TimeLimitExceeded(BaseException):
    """The attempt ran past its kind's time limit.

    Not an `Exception`, so that an actor's own `except Exception` does not swallow it.
    """


class Interrupted(BaseException):
    """The job is no longer this worker's: what the attempt does from now on is in vain.

    Not an `Exception`, either.
    """


@dataclass(slots=True, eq=False)
class Watch:
    """One block of code that is watched."""

    thread: int
    deadline: float
    fired: bool = False


class TimeLimits:
    """Watches the threads of a worker. One thread looks after all of them.

    The exception reaches a thread between two of its bytecodes: a call into C (a driver waiting
    for its socket) is not interrupted, so actors set timeouts on their drivers too.
    """

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="time limits", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still watches; it ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join()

    @contextmanager
    def limit(self, limit: timedelta) -> Iterator[Watch]:
        """Raise TimeLimitExceeded inside the block once it has run for `limit`, never after it."""
        watch = Watch(threading.get_ident(), time.monotonic() + limit.total_seconds())
        with self._lock:
            self._watches.add(watch)
        try:
            yield watch
        finally:
            self._end(watch)

    def interrupt(self, watch: Watch) -> None:
        """Raise Interrupted inside the block, if that still runs.

        The block has no time limit from then on.
        """
        with self._lock:
            if watch in self._watches:
                self._end_by(watch, Interrupted)

    def _end(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)
        if watch.fired:
            # Sent, but perhaps not delivered yet: take it back, or it would hit what comes next.
            _raise_in(watch.thread, None)

    def _run(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self._fire(time.monotonic())

    def _fire(self, now: float) -> None:
        with self._lock:
            for watch in [watch for watch in self._watches if watch.deadline <= now]:
                self._end_by(watch, TimeLimitExceeded)

    def _end_by(self, watch: Watch, error: type[BaseException]) -> None:
        self._watches.discard(watch)
        watch.fired = True
        _raise_in(watch.thread, error)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    exception = ctypes.py_object(error) if error else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
