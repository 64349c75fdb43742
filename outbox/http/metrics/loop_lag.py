"""Measures how long an event loop makes others wait."""

import asyncio
import time
from collections import deque

EACH_SECONDS = 0.1
REMEMBERED = 150
"""`seconds` is of so many looks: of about 15 s, the time that there usually is between scrapes."""


class LoopLag:
    """Asks the loop for a turn every EACH_SECONDS, and sees how late it comes."""

    def __init__(self) -> None:
        self._lags = deque([0.0], maxlen=REMEMBERED)
        self._loop = asyncio.get_running_loop()
        self._ask()

    @property
    def seconds(self) -> float:
        """How late a turn of the loop came lately, at most."""
        return max(self._lags)

    def close(self) -> None:
        """Ask no more."""
        self._timer.cancel()

    def _ask(self) -> None:
        self._due = time.monotonic() + EACH_SECONDS
        self._timer = self._loop.call_later(EACH_SECONDS, self._look)

    def _look(self) -> None:
        self._lags.append(max(0.0, time.monotonic() - self._due))
        self._ask()
