"""What a worker does again and again, on a thread of its own and through the group commit."""

import threading
from collections.abc import Callable
from contextlib import suppress

from outbox.worker.records.group_commit import GroupCommitClosed


class Periodic:
    """Calls `look` after each interval, until it is closed or the group commit has ended."""

    def __init__(self, name: str, seconds: float, look: Callable[[], None]) -> None:
        self._seconds = seconds
        self._look = look
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. It ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Start no more looks. One under way ends with the group commit."""
        self._closing.set()

    def _run(self) -> None:
        with suppress(GroupCommitClosed):
            while not self._closing.wait(self._seconds):
                self._look()
