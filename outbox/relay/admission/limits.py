"""Which keys of a job have a limit, as the app's kinds declare it."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from outbox.kinds import Kind, Kinds

UNDECLARED = 1
"""The limit of each key of a kind that this app does not declare."""
REMEMBERED = 4000
"""Of how many jobs: a round asks for each several times."""


class Limits:
    """The limits of an app's kinds. A lowered one holds at once: what runs is never stopped."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self.held = [each.name for each in kinds.values() if any(key.hold for key in each.keys)]
        """The kinds whose dead jobs hold their first key until their letter is closed."""
        self.of_kinds = to_json({each.name: _least(each) for each in kinds.values()}).decode()
        """The least limit of each kind's keys, or null."""
        self.of: Callable[[str, tuple[str, ...]], Mapping[str, int]] = lru_cache(REMEMBERED)(
            self._of
        )
        """Those keys of a job of a kind that have a limit, and the limit."""

    def _of(self, kind: str, keys: Sequence[str]) -> Mapping[str, int]:
        declared = self._kinds.get(kind)
        if declared is None:
            return dict.fromkeys(keys, UNDECLARED)
        both = zip(keys, declared.keys, strict=False)  # it may have had others earlier
        return {key: each.at_most for key, each in both if each.at_most}


def _least(kind: Kind[..., Any]) -> int | None:
    return min((key.at_most for key in kind.keys if key.at_most), default=None)
