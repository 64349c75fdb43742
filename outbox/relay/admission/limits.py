"""Which keys of a job have a limit or a rate: what the app's kinds declare, or people have set."""

from collections.abc import Iterable, Sequence
from typing import Any

from outbox.flow.keys import Key
from outbox.flow.rates import Rate
from outbox.kinds import Kinds

UNDECLARED = 1
"""The limit of each key of a kind that this app does not declare."""


class Limits:
    """The limits of an app's kinds. A lowered one holds at once: what runs is never stopped."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._set_limits: dict[str, int] = {}
        self._set_rates: dict[str, Rate] = {}
        self.held = [each.name for each in kinds.values() if any(key.hold for key in each.keys)]
        """The kinds whose dead jobs hold their first key until their letter is closed."""

    def replace(self, rows: Sequence[Any]) -> bool:
        """Have these rows of `key_limits` hold in place of what is declared; whether any is new."""
        before = self._set_limits, self._set_rates
        self._set_limits = {row.key: row.at_most for row in rows if row.at_most}
        self._set_rates = {
            row.key: Rate(row.permits, row.per, row.burst) for row in rows if row.permits
        }
        return before != (self._set_limits, self._set_rates)

    def of(self, kind: str, keys: Sequence[str]) -> dict[str, int]:
        """Those of a job's keys that have a limit, and the limit."""
        declared = self._kinds.get(kind)
        if declared is None:
            return dict.fromkeys(keys, UNDECLARED)
        found = {
            key: each.limit(self._set_limits.get(key)) for key, each in _both(keys, declared.keys)
        }
        return {key: limit for key, limit in found.items() if limit}

    def rates(self, kind: str, keys: Sequence[str]) -> dict[str, Rate]:
        """Those of a job's keys that have a rate, and the rate."""
        declared = self._kinds.get(kind)
        if declared is None or not declared.is_rated:
            return {}
        found = {
            key: self._set_rates.get(key, each.rate) for key, each in _both(keys, declared.keys)
        }
        return {key: rate for key, rate in found.items() if rate}

    def bounded(self, kind: str, keys: Sequence[str]) -> set[str]:
        """Those that have a limit, a rate or both."""
        return {*self.of(kind, keys), *self.rates(kind, keys)}


def _both(keys: Sequence[str], declared: Sequence[Key]) -> Iterable[tuple[str, Key]]:
    """A job's keys and what is declared of them; it may have been submitted with others."""
    return zip(keys, declared, strict=False)
