"""How the server can be told to misbehave, once for each time that it is told so."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from dev.stripe.answers import Answer, broken, too_many

Work = Callable[[], Answer]
Around = Callable[[Work], Answer]

LONGEST_WAIT_SECONDS = 60


class NoAnswer(Exception):
    """Raised to close the connection without an answer."""


def straight(work: Work) -> Answer:
    """As it should be."""
    return work()


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens in the server, whose keys remember it, and what on the way to and from it."""

    in_server: Around = straight
    on_the_way: Around = straight


def _lose_answer(work: Work) -> Answer:
    work()
    raise NoAnswer


def _lose_request(_: Work) -> Answer:
    raise NoAnswer


def _fail(_: Work) -> Answer:
    raise broken()


def _fail_after(work: Work) -> Answer:
    work()
    raise broken()


LOSE_ANSWER = Fault(on_the_way=_lose_answer)
"""The work is done, and the answer is lost."""
LOSE_REQUEST = Fault(on_the_way=_lose_request)
"""The request is lost, and nothing is done."""
FAIL = Fault(in_server=_fail)
"""500, and nothing is done."""
FAIL_AFTER = Fault(in_server=_fail_after)
"""The work is done, and the answer is 500 all the same."""


def busy(retry_after: float | None = None) -> Fault:
    """429, and nothing is done."""

    def refuse(_: Work) -> Answer:
        raise too_many(retry_after)

    return Fault(on_the_way=refuse)


def slow(seconds: float) -> Fault:
    """The work takes so long."""

    def wait(work: Work) -> Answer:
        time.sleep(seconds)
        return work()

    return Fault(in_server=wait)


def hold_answer(until: Event) -> Fault:
    """The work is done, and the answer waits."""

    def hold(work: Work) -> Answer:
        answer = work()
        until.wait(LONGEST_WAIT_SECONDS)
        return answer

    return Fault(on_the_way=hold)


BY_NAME = {
    "lose-answer": LOSE_ANSWER,
    "lose-request": LOSE_REQUEST,
    "fail": FAIL,
    "fail-after": FAIL_AFTER,
    "busy": busy(1),
}


class Faults:
    """The faults to come, for each operation in the order in which they were asked for."""

    def __init__(self) -> None:
        self._next: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()

    def add(self, operation: str, *faults: Fault) -> None:
        """Misbehave the next times at this operation, such as `confirm`: see `provider.ROUTES`."""
        with self._lock:
            self._next.setdefault(operation, []).extend(faults)

    def take(self, operation: str) -> Fault:
        """What to do this time."""
        with self._lock:
            waiting = self._next.get(operation)
            return waiting.pop(0) if waiting else Fault()

    def clear(self) -> None:
        """Behave."""
        with self._lock:
            self._next.clear()
