"""Pauses that grow."""

from random import uniform


class Backoff:
    """Pauses that double up to the longest, each shortened by chance, by half at the most."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first = self._next = first_seconds
        self._longest = longest_seconds

    def pause(self) -> float:
        """The next pause, in seconds."""
        pause = self._next
        self._next = min(2 * pause, self._longest)
        return uniform(pause / 2, pause)  # noqa: S311 - chance, no secret

    def reset(self) -> None:
        """The next pause is the first again."""
        self._next = self._first
