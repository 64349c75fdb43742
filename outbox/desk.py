"""What a worker process has in hand."""

from dataclasses import dataclass
from typing import Any

from outbox.attempt import Attempt
from outbox.wire import Dispatch

Place = tuple[str, int]
"""Job and dispatch: a later dispatch of a job that was taken from this process is another thing."""


@dataclass(frozen=True, slots=True, eq=False)
class InHand:
    """A claimed job: the message that it came by, in Dramatiq's wrapping, and its attempt."""

    item: Any
    attempt: Attempt


class Desk:
    """The dispatches of a process, each at most once, from before the claim to the record."""

    def __init__(self) -> None:
        self._places: dict[Place, object] = {}
        self._in_hand: dict[Place, InHand] = {}

    def take_place(self, dispatch: Dispatch) -> bool:
        """Take the dispatch's place; False where this process has it in hand already."""
        mine = object()
        return self._places.setdefault((dispatch.job_id, dispatch.dispatch), mine) is mine

    def lay(self, in_hand: InHand) -> None:
        """Put a claimed job in its place."""
        self._in_hand[in_hand.attempt.place] = in_hand

    def find(self, job_id: str, dispatch: int) -> InHand:
        """The claimed job of that place."""
        return self._in_hand[job_id, dispatch]

    def has(self, place: Place) -> bool:
        """Whether the place is taken."""
        return place in self._places

    def clear(self, place: Place) -> None:
        """The place is free again: its attempt is on record, or there is none."""
        self._in_hand.pop(place, None)
        self._places.pop(place, None)

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts in hand now, also those that are about to begin or to be on record."""
        return [each.attempt for each in list(self._in_hand.values())]
