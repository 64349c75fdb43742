"""How many admitted jobs of a queue may wait for a worker."""

START = 16
"""The window of a queue that nothing is known of."""
SHRINK_SECONDS = 0.1
"""The least time between two changes before a window shrinks."""


class AdmissionWindow:
    """Keeps what is admitted and has not begun to what begins within some 100 ms.

    So another key's job finds few ahead of it, whatever a key's backlog. A window that was full and
    is found empty doubles, up to `most`; one that is still more than half full after 100 ms is
    halved. Like all that a relay remembers this is a hint: with a wrong one jobs start later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: dict[str, int] = {}
        self._changed: dict[str, float] = {}
        self._was_full: set[str] = set()

    def room(self, queue: str, unclaimed: int, now: float) -> int:
        """How many more may be admitted, while so many have not begun."""
        size = self._sizes.get(queue, min(START, self._most))
        resized = self._resized(queue, size, unclaimed, now)
        if resized != size or queue not in self._sizes:
            self._sizes[queue], self._changed[queue] = resized, now
        return max(resized - unclaimed, 0)

    def admitted(self, queue: str, *, is_full: bool) -> None:
        """What there was room for has been admitted; whether that used all of it."""
        (self._was_full.add if is_full else self._was_full.discard)(queue)

    def _resized(self, queue: str, size: int, unclaimed: int, now: float) -> int:
        if unclaimed == 0 and queue in self._was_full:
            return min(2 * size, self._most)
        if unclaimed > size / 2 and now - self._changed.get(queue, now) >= SHRINK_SECONDS:
            return max(size // 2, 1)
        return size
