"""One of several threads that take random steps on the same few jobs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar
from uuid import UUID

from psycopg.errors import DeadlockDetected

from outbox.store import transitions
from tests.protocol.oracle import Hold
from tests.protocol.parts import (
    ENDS,
    Actor,
    Message,
    Relay,
    claim,
    collect,
    end,
    find_lost,
    refuse,
)
from tests.support.engine.by_hand import ByHand

T = TypeVar("T")


@dataclass
class Shared:
    """What all threads see: the jobs, what the broker ever held, and what workers were told."""

    jobs: list[UUID] = field(default_factory=list)
    bag: list[Message] = field(default_factory=list)
    claims: list[Hold] = field(default_factory=list)
    ends: list[Hold] = field(default_factory=list)


class Racer:
    """Each claim is a worker's of its own, and nobody beats: a rescue may come at any time."""

    def __init__(self, hand: ByHand, shared: Shared, random: Random) -> None:
        self._hand = hand
        self._shared = shared
        self._random = random

    def run(self, count: int) -> None:
        """Take random steps; whom Postgres ends because of a deadlock goes on with another."""
        for _ in range(count):
            (step,) = self._random.choices(list(STEPS), list(STEPS.values()))
            with suppress(DeadlockDetected):
                step(self)
            self._hand.connection.rollback()

    def _submit(self) -> None:
        self._shared.jobs.append(self._hand.submit())

    def _relay(self) -> None:
        relay = Relay(self._hand)
        relay.lock(room=self._random.randint(1, 5))
        self._shared.bag += relay.publish(count=self._random.randint(0, 5))
        if self._random.random() < 0.8:
            relay.commit()

    def _find_lost(self) -> None:
        find_lost(self._hand, depth=0, patience=0)

    def _rescue(self) -> None:
        self._hand.rescue()

    def _collect(self) -> None:
        for message in self._any(self._shared.bag):
            step = self._random.choice((transitions.ATTACH_MESSAGE, transitions.REDISPATCH))
            collect(self._hand, message, step)

    def _refuse(self) -> None:
        for message in self._any(self._shared.bag):
            refuse(self._hand, message)

    def _claim(self) -> None:
        for message in self._any(self._shared.bag):
            hold = claim(self._hand, message, worker=f"w{self._random.random()}")
            if hold:
                self._shared.claims.append(hold)

    def _fail(self) -> None:
        for hold in self._any(self._shared.claims):
            if end(self._hand, hold, self._random.choice(ENDS)):
                self._shared.ends.append(hold)

    def _succeed(self) -> None:
        for hold in self._any(self._shared.claims):
            actor = Actor(self._hand)
            actor.act(hold)
            if actor.complete():
                actor.commit()
                self._shared.ends.append(hold)

    def _cancel(self) -> None:
        for job in self._any(self._shared.jobs):
            self._hand.cancel(job)

    def _stop(self) -> None:
        for hold in self._any(self._shared.claims):
            if self._hand.stop(*hold[:4]):
                self._shared.ends.append(hold)

    def _close_letter(self) -> None:
        for letter in self._any(self._hand.take("SELECT id FROM duly.dead_letters")):
            self._hand.close(
                self._random.choice((transitions.REPLAY, transitions.DISCARD)), letter["id"]
            )

    def _any(self, some: Sequence[T]) -> Sequence[T]:
        """One of the latest, or none where there is none."""
        return self._random.choices(some[-6:], k=1) if some else []


STEPS = {
    Racer._submit: 2,
    Racer._relay: 6,
    Racer._claim: 6,
    Racer._succeed: 2,
    Racer._fail: 5,
    Racer._rescue: 2,
    Racer._find_lost: 2,
    Racer._collect: 1,
    Racer._refuse: 1,
    Racer._cancel: 1,
    Racer._stop: 1,
    Racer._close_letter: 4,
}
"""How often each is taken: what ends a job for good, seldom."""
