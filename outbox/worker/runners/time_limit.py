"""Ends work that exceeds its time limit or is in vain, by an exception raised in its thread."""

import asyncio
import ctypes
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any

from outbox.errors import Interrupted, JobCancelled, TimeLimitExceeded

POLL_SECONDS = 0.1


@dataclass(slots=True, eq=False)
class Watch:
    """One watched block of code."""

    thread: int
    deadline: float
    fired: bool = False


class TimeLimits:
    """Watches all threads of a worker, from one thread.

    The exception reaches a thread between two of its bytecodes. A call into C (a driver waiting
    for its socket) is not interrupted, so actors must set timeouts on their drivers too. An event
    loop that the thread runs, as in `asyncio.run`, is woken up for it.
    """

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="time limits", daemon=True)

    def start(self) -> None:
        """Start the watching thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the watching thread runs. It ends only when closed, or by a bug."""
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

    def interrupt(self, watch: Watch, by: type[BaseException] = Interrupted) -> None:
        """Raise Interrupted, or what is given, inside the block, if it still runs.

        From then on the block has no time limit.
        """
        with self._lock:
            if watch in self._watches:
                self._end_by(watch, by)

    def cancel(self, watch: Watch) -> None:
        """Raise JobCancelled inside the block, if it still runs. Its time limit stays."""
        with self._lock:
            if watch in self._watches:
                _send(watch, JobCancelled)

    def _end(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)
        if watch.fired:
            # Withdraw an exception not yet delivered: it would hit what the thread does next.
            _raise_in(watch.thread, None)

    def _run(self) -> None:
        while not self._closing.wait(POLL_SECONDS):
            self._fire(time.monotonic())

    def _fire(self, now: float) -> None:
        with self._lock:
            for watch in [watch for watch in self._watches if watch.deadline <= now]:
                self._end_by(watch, TimeLimitExceeded)

    def _end_by(self, watch: Watch, error: type[BaseException]) -> None:
        self._watches.discard(watch)
        _send(watch, error)


def _send(watch: Watch, error: type[BaseException]) -> None:
    watch.fired = True
    _raise_in(watch.thread, error)
    _wake_loops_of(watch.thread)


def _wake_loops_of(thread: int) -> None:
    """Wake the event loop that the thread is in, if any, so that the exception reaches it.

    A loop without anything to do waits in a call into C. It is the `self` of one of its frames.
    Only asyncio's own loops are woken: uvloop's would swallow the exception.
    """
    frame = _frame_of(thread)
    while frame is not None:
        owner: Any = frame.f_locals.get("self")
        with suppress(RuntimeError):  # it has just been closed
            # By its type alone: a proxy of the actor's may raise when it is asked for its class.
            if issubclass(type(owner), asyncio.BaseEventLoop):
                owner.call_soon_threadsafe(_turn)
        frame = frame.f_back


def stack_of(thread: int | None) -> str:
    """What the thread does now, for the log."""
    frame = _frame_of(thread)
    return "".join(traceback.format_stack(frame)) if frame else ""


def _frame_of(thread: int | None) -> FrameType | None:
    return sys._current_frames().get(thread or 0)  # noqa: SLF001 - documented, despite its name


def _turn() -> None:
    """Have a loop turn once."""


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    exception = ctypes.py_object(error) if error else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
