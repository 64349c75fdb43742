"""Exponential backoff with jitter."""

from random import uniform


class Backoff:
    """Delays that double up to the longest; jitter shortens each by at most half."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first = self._next = first_seconds
        self._longest = longest_seconds

    def pause(self) -> float:
        """The next delay, in seconds."""
        delay = self._next
        self._next = min(2 * delay, self._longest)
        return uniform(delay / 2, delay)  # noqa: S311 - jitter needs no secure randomness

    def reset(self) -> None:
        """Begin again with the first delay."""
        self._next = self._first
