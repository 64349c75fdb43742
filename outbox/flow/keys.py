"""Keys of a kind: which of its jobs share a limit, an order or a fair share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from outbox.flow.rates import Rate, is_count

LONGEST_KEY = 200
"""Characters in a key."""
LARGEST_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key that each job of a kind has, made from its payload by a function, such as a tenant.

    Of all jobs with an equal key, of whatever kind, at most `at_most` run at a time. `ordered` jobs
    run one at a time, in the order in which they were submitted: one that was submitted after
    another had committed starts after that one has ended, its retries included. A job that dies
    lets the next one start, unless `hold` says that a person has to close its dead letter before.

    With a `rate` jobs of the key start no faster than that, whatever workers there are. Kinds that
    share keys should declare the same rate.

    Raises ValueError for a limit that is no whole number from 1 to 1,000,000, for an ordered key
    with a limit other than 1, and for `hold` without a limit.
    """

    function: Callable[[Any], str]
    at_most: int | None = None
    ordered: bool = False
    hold: bool = False
    rate: Rate | None = None

    def __post_init__(self) -> None:
        if self.ordered and self.at_most is None:
            object.__setattr__(self, "at_most", 1)
        if not callable(self.function):
            raise ValueError("a key is a function of the payload")  # noqa: TRY004 - as all below
        if self.at_most is not None:
            check_limit(self.at_most)
        if self.ordered and self.at_most != 1:
            raise ValueError("at_most: an ordered key has at most 1")
        if self.hold and self.at_most is None:
            raise ValueError("hold: only a key with a limit is held")
        if not isinstance(self.rate, Rate | None):
            raise ValueError("rate: it is no Rate")  # noqa: TRY004 - as all above

    def of(self, payload: Any) -> str:
        """The key of a job with this payload.

        Raises ValueError if it is not 1 to 200 printable characters, or if the function raises.
        """
        try:
            key = self.function(payload)
        except Exception as error:
            raise ValueError(f"its key function raised {type(error).__name__}") from error
        if not is_key(key):
            raise ValueError(f"its key is not 1 to {LONGEST_KEY} printable characters")
        return key

    def limit(self, was_set: int | None) -> int | None:
        """How many jobs may run where somebody has set so many. An ordered key stays at one."""
        return self.at_most if self.ordered else was_set or self.at_most


def is_key(key: object) -> bool:
    """Whether a job can have this key."""
    return isinstance(key, str) and 0 < len(key) <= LONGEST_KEY and key.isprintable()


def check_limit(at_most: object) -> None:
    """Raise ValueError unless a key can have this limit."""
    if not is_count(at_most, LARGEST_LIMIT):
        raise ValueError(f"at_most: {at_most!r} is not 1 to {LARGEST_LIMIT:,}")


def keys_from(given: object) -> tuple[Key, ...]:
    """What a kind declares, as a tuple of keys. Raises ValueError as `Key` does."""
    if given is None:
        return ()
    keys = tuple(_key(each) for each in (given if isinstance(given, tuple) else (given,)))
    if any(key.ordered or key.hold for key in keys[1:]):
        raise ValueError("only the first key can be ordered or held")
    return keys


def _key(given: Any) -> Key:
    return given if isinstance(given, Key) else Key(given)
