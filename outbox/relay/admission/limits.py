"""Which keys of a job have a limit or a rate: what the app's kinds declare, or people have set."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from outbox.flow.keys import Key
from outbox.flow.rates import Rate
from outbox.kinds import Kind, Kinds

UNDECLARED = 1
"""The limit of each key of a kind that this app does not declare."""
REMEMBERED = 4000
"""Of how many jobs: a round asks for each several times."""

Keys = tuple[str, ...]


class Limits:
    """The limits of an app's kinds. A lowered one holds at once: what runs is never stopped."""

    of: Callable[[str, Keys], Mapping[str, int]]
    """Those keys of a job of a kind that have a limit, and the limit."""
    rates: Callable[[str, Keys], Mapping[str, Rate]]
    """Those that have a rate, and the rate."""
    bounded: Callable[[str, Keys], Set[str]]
    """Those that have a limit, a rate or both."""
    of_kinds: str
    """Of each kind, as JSON: how many jobs with the same keys may start at once, or null."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self.held = kinds.holding
        """The kinds whose dead jobs hold their first key until their letter is closed."""
        self._set({}, {})

    def replace(self, rows: Sequence[Any]) -> bool:
        """Have these rows of `key_limits` hold in place of what is declared; whether any is new."""
        before = self._set_limits, self._set_rates
        limits = {row.key: row.at_most for row in rows if row.at_most}
        rates = {row.key: Rate(row.permits, row.per, row.burst) for row in rows if row.permits}
        is_new = before != (limits, rates)
        if is_new:
            self._set(limits, rates)
        return is_new

    def _set(self, limits: Mapping[str, int], rates: Mapping[str, Rate]) -> None:
        """Have these hold, and remember nothing of what held before."""
        self._set_limits, self._set_rates = limits, rates
        self.of = lru_cache(REMEMBERED)(self._of)
        self.rates = lru_cache(REMEMBERED)(self._rates)
        self.bounded = lru_cache(REMEMBERED)(self._bounded)
        of_kinds = {each.name: self._most(each) for each in self._kinds.values()}
        self.of_kinds = to_json(of_kinds).decode()

    def _of(self, kind: str, keys: Keys) -> Mapping[str, int]:
        declared = self._kinds.get(kind)
        if declared is None:
            return dict.fromkeys(keys, UNDECLARED)
        found = {
            key: each.limit(self._set_limits.get(key)) for key, each in _both(keys, declared.keys)
        }
        return {key: limit for key, limit in found.items() if limit}

    def _rates(self, kind: str, keys: Keys) -> Mapping[str, Rate]:
        declared = self._kinds.get(kind)
        if declared is None or not declared.is_rated:
            return {}
        found = {
            key: self._set_rates.get(key, each.rate) for key, each in _both(keys, declared.keys)
        }
        return {key: rate for key, rate in found.items() if rate}

    def _bounded(self, kind: str, keys: Keys) -> Set[str]:
        return self.of(kind, keys).keys() | self.rates(kind, keys).keys()

    def _most(self, kind: Kind[..., Any]) -> int | None:
        """Which keys a limit was set for is not known of a kind: the highest counts for all."""
        limit = max(self._set_limits.values(), default=0)
        burst = max((rate.burst for rate in self._set_rates.values()), default=0)
        limits = [max(key.at_most, limit) for key in kind.keys if key.at_most]
        bursts = [max(key.rate.burst, burst) for key in kind.keys if key.rate]
        return min(limits + bursts, default=None)


def _both(keys: Sequence[str], declared: Sequence[Key]) -> Iterable[tuple[str, Key]]:
    """A job's keys and what is declared of them; it may have been submitted with others."""
    return zip(keys, declared, strict=False)
