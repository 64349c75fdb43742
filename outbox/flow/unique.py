"""Unique kinds: which fields make two jobs one, and for how long the first job holds their key."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

LONGEST_KEY = 200
"""Characters of a key that is stored as it is. The hash of a longer one is stored."""
LONGEST = timedelta(days=3660)
"""The longest period, delay and cap."""


class Until(Enum):
    """How long a job holds its key."""

    STARTED = "started"
    """Until a worker starts the job for the first time: no submission before that is lost on it."""
    ENDED = "ended"
    """Until the job has succeeded, died or been cancelled."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class Unique:
    """Says that there is one job of a kind at a time with the same values in the given fields.

    Without fields, there is one of the kind. The job holds the key until it has started, unless
    `until` says otherwise, or `within` that period after it was submitted, whatever becomes of it
    then. In no case does a cancelled or expired job hold it. While it is held, another submission
    becomes the job that there is.

    `debounce` holds the job back until so much time has passed without another submission, each of
    which gives it the newest payload; but not longer than `cap` after the first one.

    Raises ValueError for a field that comes twice, a time that is not positive or longer than ten
    years, and for options that do not go together.
    """

    fields: tuple[str, ...]
    until: Until | None
    """None if the key is held for the period `within`."""
    within: timedelta | None
    debounce: timedelta | None
    cap: timedelta | None

    def __init__(
        self,
        *fields: str,
        until: Until | None = None,
        within: timedelta | None = None,
        debounce: timedelta | None = None,
        cap: timedelta | None = None,
    ) -> None:
        if len(set(fields)) != len(fields):
            raise ValueError("a field of a unique kind comes twice")
        for name, time in (("within", within), ("debounce", debounce), ("cap", cap)):
            if time is not None and not timedelta() < time <= LONGEST:
                raise ValueError(f"{name} has to be positive, and at most {LONGEST.days} days")
        if within is not None and (until or debounce):
            raise ValueError("within goes with neither until nor debounce")
        if debounce is not None and (until or Until.STARTED) is not Until.STARTED:
            raise ValueError("a debounced job holds its key until it has started, and no longer")
        if (debounce is None) != (cap is None) or (debounce and cap and cap < debounce):
            raise ValueError("debounce needs a cap that is not shorter, and a cap needs debounce")
        self.fields = tuple(sorted(fields))
        self.until = None if within else Until(until or Until.STARTED)
        self.within = within
        self.debounce = debounce
        self.cap = cap

    def key(self, payload: object) -> str:
        """The key of a payload, given as JSON is read. Raises ValueError if a field is missing."""
        found: Mapping[str, Any] = payload if isinstance(payload, dict) else {}
        if missing := [name for name in self.fields if name not in found]:
            raise ValueError(f"its payload has no {', '.join(missing)} as JSON to be unique by")
        chosen = {name: found[name] for name in self.fields}
        text = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
        return text if len(text) <= LONGEST_KEY else _hash(text)


def _hash(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
