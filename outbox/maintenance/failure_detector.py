"""Detects silent workers from polls of their heartbeats, without any clock."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta


class FailureDetector:
    """Says which workers are silent: their heartbeat was the same in enough polls in a row.

    Only a change of the heartbeat counts, not its value: Postgres's clock may be stepped. While
    Postgres does not answer there are no polls, so that time counts against nobody.
    """

    def __init__(self, silence: timedelta, poll_interval: float) -> None:
        self._enough = math.ceil(silence.total_seconds() / poll_interval)
        self._polls = 0
        self._changes: dict[str, tuple[datetime, int]] = {}
        """Each worker's heartbeat, and the number of the poll that first saw it."""

    def look(self, heartbeats: Mapping[str, datetime]) -> None:
        """Record a poll: each worker's latest heartbeat."""
        self._polls += 1
        self._changes = {
            name: self._changes[name]
            if name in self._changes and self._changes[name][0] == beat
            else (beat, self._polls)
            for name, beat in heartbeats.items()
        }

    @property
    def is_ready_to_judge(self) -> bool:
        """Whether it has polled for long enough to have heard every live worker."""
        return self._polls > self._enough

    @property
    def silent(self) -> list[str]:
        """The workers that have been silent for long enough."""
        return [
            name
            for name, (_, since) in self._changes.items()
            if self._polls - since >= self._enough
        ]
