"""Watches the event loop of a worker: whether it turns, and how long it makes others wait."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import structlog

from outbox.worker.runners.time_limit import stack_of

log = structlog.get_logger(__name__)

BLOCKED_SECONDS = 1.0
"""How long the loop may stand still before that is logged."""
LAGS = 15
"""`lag` is of about so many seconds: as many as there usually are between two scrapes."""


class LoopWatch:
    """Asks the loop for a turn each second, on a thread of its own, which no actor holds up.

    `blocker` says, for the log, which job has the loop now.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        blocker: Callable[[], Mapping[str, str]],
    ) -> None:
        self._loop = loop
        self._of = thread
        self._blocker = blocker
        self.is_blocked = False
        """Whether the loop has not turned for BLOCKED_SECONDS."""
        self._lags = deque([0.0], maxlen=LAGS)
        self._asked_at = math.inf
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. It ends only when closed, or by a bug."""
        return self._thread.is_alive()

    @property
    def lag(self) -> float:
        """For how many seconds a turn of the loop was waited for lately, at most."""
        return max(*self._lags, time.monotonic() - self._asked_at)

    def close(self, seconds: float) -> None:
        """End the thread, and wait for that up to so long."""
        self._closing.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        """Log each time that the loop stands still."""
        while not self._closing.wait(BLOCKED_SECONDS):
            turned = threading.Event()
            self._asked_at = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(turned.set)
            except RuntimeError:  # the loop is closed: there is nothing left to watch
                return
            if not turned.wait(BLOCKED_SECONDS):
                self._wait_while_blocked(turned)
            self._lags.append(time.monotonic() - self._asked_at)
            self._asked_at = math.inf

    def _wait_while_blocked(self, turned: threading.Event) -> None:
        self.is_blocked = True
        told = {**self._blocker(), "stack": stack_of(self._of.ident)}
        log.warning("an actor blocks the event loop, and so all others", **told)
        while not (turned.wait(BLOCKED_SECONDS) or self._closing.is_set()):
            """It is logged once."""
        self.is_blocked = False
