"""Jobs on their way into the tables, and which of those of unique kinds one statement writes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from outbox.flow.unique import Unique

Row = dict[str, str | None]
"""One job as the parameters of SUBMIT, all of them text. Those of `UNSAID` may be left out.

A job with keys has `keys`, the text of an array, and `is_ordered`. A member of a batch has a
`batch_id`, too, and a job whose submission is traced a `trace`. A row with `is_new` or `is_sealed`
is no job, but a batch that is made or sealed. One with `exchange` is a message to another service.
"""
Key = tuple[str | None, str | None]
"""Kind and key."""


class UniqueRow(Row):
    """A job of a unique kind. Who writes it calls `become` with the id of the job it is now."""

    def __init__(
        self, row: Row, unique: Unique, payload: object, become: Callable[[UUID], None]
    ) -> None:
        """Raises ValueError if the payload lacks a field that the kind is unique by."""
        super().__init__(
            row,
            unique_key=unique.key(payload),
            until=unique.until.value if unique.until else "period",
            within_seconds=_seconds(unique.within),
            debounce_seconds=_seconds(unique.debounce),
            cap_seconds=_seconds(unique.cap),
        )
        self.become = become

    @property
    def key(self) -> Key:
        """What at most one job of a statement may have."""
        return self["kind"], self["unique_key"]


def one_of_each_key(rows: Iterable[UniqueRow]) -> list[Row]:
    """The first job of each key. A debounced one has what the last of them asks for."""
    found: dict[Key, Row] = {}
    for row in rows:
        first = found.setdefault(row.key, {**row})
        if row["debounce_seconds"] is not None:
            moments = [moment for each in (first, row) if (moment := each.get("run_at"))]
            newest = {name: row.get(name) for name in ("payload", "expires_at", "keys")}
            first |= newest | {"run_at": max(moments, key=datetime.fromisoformat, default=None)}
    return [*found.values()]


def tell(rows: Sequence[UniqueRow], holders: Mapping[Key, UUID]) -> None:
    """Tell each of the jobs which one it is now."""
    for row in rows:
        row.become(holders[row.key])


def _seconds(time: timedelta | None) -> str | None:
    return None if time is None else str(time.total_seconds())
