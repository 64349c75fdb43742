"""Watches the workers' heartbeats by looks, and by no clock at all."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta


class Vigil:
    """Says which workers are silent: whose heartbeat was the same in so many looks in a row.

    What a heartbeat says does not matter, only that it changes: Postgres's clock may be stepped. A
    Postgres that stands still is not looked at meanwhile, so that time counts against nobody.
    """

    def __init__(self, silence: timedelta, between_looks: float) -> None:
        self._enough = math.ceil(silence.total_seconds() / between_looks)
        self._looks = 0
        self._beats: dict[str, tuple[datetime, int]] = {}

    def look(self, heartbeats: Mapping[str, datetime]) -> None:
        """Take note of each worker's latest heartbeat."""
        self._looks += 1
        self._beats = {
            name: self._beats[name]
            if name in self._beats and self._beats[name][0] == beat
            else (beat, self._looks)
            for name, beat in heartbeats.items()
        }

    @property
    def is_informed(self) -> bool:
        """Whether it lasts long enough for anybody alive to have been heard."""
        return self._looks > self._enough

    @property
    def silent(self) -> list[str]:
        """The workers that were not heard for long enough."""
        return [
            name for name, (_, since) in self._beats.items() if self._looks - since >= self._enough
        ]
