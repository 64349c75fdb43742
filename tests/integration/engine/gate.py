"""An actor that a test holds up."""

import threading

from outbox import Job
from tests.support.engine.line import Note


class Gate:
    """An actor that waits at a gate, and notes who came."""

    def __init__(self, *waiting: str) -> None:
        self._waiting = set(waiting)
        self._opened = threading.Event()
        self.came: list[str] = []

    def __call__(self, note: Note, _job: Job) -> None:
        """Come; those whose text is among the waiting go on once it is opened."""
        self.came.append(note.text)
        if note.text in self._waiting:
            assert self._opened.wait(20)

    def open(self) -> None:
        """Let all go on."""
        self._opened.set()
