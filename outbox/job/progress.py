"""How far an actor says that it is. Its newest report waits in memory until it is written."""

import json
import math
import time

SECONDS_BETWEEN = 1.0
"""A job's progress is written so often at most."""
LONGEST_NOTE = 200

Report = tuple[float, float | None, str | None]
"""Done, total and note."""


class Progress:
    """The newest report, which whoever runs the job writes now and then. For any thread."""

    def __init__(self) -> None:
        self._newest: Report | None = None
        self._taken: Report | None = None
        self._taken_at = -math.inf

    def report(self, done: float, total: float | None, note: str | None) -> None:
        """Replace the newest report. Raises ValueError for what is no progress."""
        total = None if total is None else _number("total", total)
        done = _number("done", done)
        if total is not None and done > total:
            raise ValueError(f"a job cannot have done {done} of {total}")
        if note is not None:
            _check_note(note)
        self._newest = done, total, note

    def take(self) -> str | None:
        """The newest report as JSON, if it is news, and the last was taken long enough ago."""
        if time.monotonic() - self._taken_at < SECONDS_BETWEEN:
            return None
        return self.take_last()

    def take_last(self) -> str | None:
        """The newest report as JSON, if it is news."""
        newest = self._newest
        if newest is None or newest == self._taken:
            return None
        self._taken, self._taken_at = newest, time.monotonic()
        return json.dumps(dict(zip(("done", "total", "note"), newest, strict=True)))

    def not_written(self) -> None:
        """What was taken last was not written: it is news again."""
        self._taken = None


def _check_note(note: str) -> None:
    if len(note) > LONGEST_NOTE:
        raise ValueError(f"a note may have up to {LONGEST_NOTE} characters, not {len(note)}")
    if "\0" in note:
        raise ValueError("Postgres stores no NUL in a note")
    note.encode()  # raises a ValueError for half a surrogate pair


def _number(name: str, value: float) -> float:
    try:
        is_number = math.isfinite(value) and value >= 0
    except OverflowError:
        is_number = False
    if not is_number:
        raise ValueError(f"{name} is a number from 0, not {value}")
    return value if type(value) is int else float(value)
