"""How many more jobs of a key may start: below its limit, and with the permits that it has."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from outbox.flow.clocks import Clock
from outbox.kinds import Kinds
from outbox.operations.flow import limits
from outbox.operations.flow.key_limits import KeyLimit
from outbox.store.transitions import COUNT_HOLDERS, READ_CLOCKS


class Places:
    """The free places of the keys of some rows, which have a `kind` and `keys`."""

    def __init__(
        self, session: Session, kinds: Kinds, was_set: Mapping[str, KeyLimit], rows: Iterable[Any]
    ) -> None:
        self._kinds = kinds
        self._set = was_set
        asked = {"keys": list({key for row in rows for key in row.keys}), "held": kinds.holding}
        ask = session.connection().exec_driver_sql
        holders = ask(COUNT_HOLDERS, asked).all()
        self._held = {row.key: row.held for row in holders}
        self._unclaimed = {row.key: row.unclaimed for row in holders}
        is_rated = any(kind.is_rated for kind in kinds.values())
        clocks = ask(READ_CLOCKS, asked).all() if is_rated else []
        self._clocks = {row.key: Clock(row.ahead, row.pause or 0.0) for row in clocks}

    def bounded(self, row: Any) -> dict[str, int]:
        """The row's keys that bound how many of its jobs may start, and how many more do."""
        found = {key: self._free(key, row) for key in row.keys}
        return {key: free for key, free in found.items() if free is not None}

    def _free(self, key: str, row: Any) -> int | None:
        was_set = self._set.get(key)
        bounds = []
        if at_most := limits.limit_of(key, row, self._kinds, was_set):
            bounds.append(at_most - self._held.get(key, 0))
        if rate := limits.rate_of(key, row, self._kinds, was_set):
            permits = self._clocks.get(key, Clock()).permits(rate)
            bounds.append(permits - self._unclaimed.get(key, 0))
        return max(0, min(bounds)) if bounds else None
