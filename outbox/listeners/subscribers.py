"""Who listens to what happens in this process: the mechanism of events.py and measures.py."""

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from outbox.errors import Interrupted, JobCancelled, TimeLimitExceeded

log = structlog.get_logger(__name__)

B = TypeVar("B")
T = TypeVar("T")
Subscriber = Callable[[Any], object]


class Subscribers(Generic[B]):
    """Who listens, and for each type of thing that was asked for, which of them.

    Each attempt asks several times. A change replaces `by_type`, so that a thread that still
    collects what it asked for does so in the old one.
    """

    def __init__(self) -> None:
        self.all: list[tuple[type[B], Subscriber]] = []
        self.by_type: dict[type[B], list[Subscriber]] = {}

    def on(self, type_: type[T], subscriber: Callable[[T], object]) -> Callable[[], None]:
        """Have `subscriber` called with each thing of this type; returns what ends that.

        Subscribing again changes nothing. Raises TypeError for an `async def` function, which
        nobody would await.
        """
        if _is_async(subscriber):
            raise TypeError(
                f"{subscriber!r} is `async def`, and a subscriber is called without await"
            )
        entry: Any = (type_, subscriber)
        if entry not in self.all:
            self.all.append(entry)
            self.by_type = {}
        return partial(self._remove, entry)

    def of(self, type_: type[B]) -> list[Subscriber]:
        """Those that listen to this type, in the order in which they subscribed."""
        by_type = self.by_type
        if type_ not in by_type:
            by_type[type_] = [each for kind, each in self.all if issubclass(type_, kind)]
        return by_type[type_]

    def tell(self, told: B) -> None:
        """Tell them. Raises nothing of theirs, only what ends the work around them: Ctrl-C, a time
        limit, a cancel.
        """
        handled = sys.exception()
        for subscriber in self.of(type(told)):
            try:
                subscriber(told)
            except (KeyboardInterrupt, TimeLimitExceeded, Interrupted, JobCancelled):
                raise
            except BaseException as error:  # SystemExit would end the attempt
                _unchain(error, handled)
                name = getattr(subscriber, "__qualname__", None) or repr(subscriber)
                what = {"event_type": type(told).__name__, "subscriber": name}
                log.exception("a subscriber failed", **what)

    def _remove(self, entry: tuple[type[B], Subscriber]) -> None:
        if entry in self.all:
            self.all.remove(entry)
            self.by_type = {}


def _unchain(error: BaseException, handled: BaseException | None) -> None:
    """Take away what was handled around the call: an actor's error is no cause of it."""
    while error.__context__ is not None and error.__context__ is not handled:
        error = error.__context__
    error.__context__ = None


def _is_async(function: Callable[..., object]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - its type is asked for
    return any(map(inspect.iscoroutinefunction, (function, call)))
