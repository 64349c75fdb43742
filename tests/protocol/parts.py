"""The transactions of a relay and of an actor, taken apart: anything may come between the parts."""

from typing import NamedTuple
from uuid import UUID

from outbox.store import transitions
from tests.protocol.oracle import Hold
from tests.support.engine.by_hand import KIND, ByHand, wanted

ENDS = ("retry", "snooze", "die", "put off")


class Message(NamedTuple):
    """What a relay publishes and a worker reads."""

    job: UUID
    dispatch: int


class Relay:
    """Locks, publishes, deletes what it published, and commits; or dies."""

    def __init__(self, hand: ByHand) -> None:
        self._hand = hand
        self.locked: list[Message] = []
        self._sent = 0

    def lock(self, room: int) -> None:
        """Begin with the events that nobody else has locked."""
        self._hand.connection.execute("BEGIN")
        events = self._hand.take(transitions.LOCK_EVENTS, **wanted(q=room))
        self.locked = [Message(UUID(event["job_id"]), event["dispatch"]) for event in events]
        if not events:
            self.die()

    def publish(self, count: int) -> list[Message]:
        """The next messages."""
        messages = self.locked[self._sent :][:count]
        self._sent += len(messages)
        return messages

    def commit(self) -> None:
        """Delete the events whose messages are published, and put off the others."""
        self._hand.take(transitions.DELETE_EVENTS, **_columns(self.locked[: self._sent]))
        self._hand.take(transitions.DEFER_EVENTS, **_columns(self.locked[self._sent :]))
        self._hand.connection.commit()
        self.die()

    def die(self) -> None:
        """Roll back what is open."""
        self._hand.connection.rollback()
        self.locked, self._sent = [], 0


class Actor:
    """Has its effect, submits what follows, completes the job, and commits; or dies."""

    def __init__(self, hand: ByHand) -> None:
        self._hand = hand
        self._follow_ups: list[UUID] = []
        self.hold: Hold | None = None
        self.has_completed = False

    def act(self, hold: Hold, follow_ups: int = 0) -> None:
        """Begin with the effect, and submit the jobs that are to follow."""
        self.hold = hold
        self._hand.connection.execute("BEGIN")
        self._hand.take("INSERT INTO effects VALUES (%(job)s)", job=hold.job)
        self._follow_ups = [self._hand.submit() for _ in range(follow_ups)]

    def complete(self) -> bool:
        """Whether the job was still this worker's."""
        assert self.hold
        self.has_completed = self._hand.succeed(*self.hold[:4]) is not None
        return self.has_completed

    def commit(self) -> list[UUID]:
        """Make it so; returns the jobs that follow."""
        self._hand.connection.commit()
        follow_ups = self._follow_ups
        self.die()
        return follow_ups

    def die(self) -> None:
        """Roll back what is open."""
        self._hand.connection.rollback()
        self.hold, self.has_completed, self._follow_ups = None, False, []


def claim(hand: ByHand, message: Message, worker: str) -> Hold | None:
    """What the worker is told, if it is told anything."""
    told = hand.claim(*message, worker)
    if told is None:
        return None
    return Hold(*message, told["attempt"], worker, told["attempt"] >= told["attempt_limit"])


def end(hand: ByHand, hold: Hold, step: str, delay: float = 0) -> bool:
    """Retry, snooze, put off or die, and die where nothing else is left; whether it was ours."""
    if step == "die" or (step == "retry" and hold.is_last):
        return hand.die(*hold[:4]) is not None
    if step == "retry":
        return hand.retry(*hold[:4], delay=delay) is not None
    if step == "put off":
        return (hand.put_off(*hold[:4]) or hand.die(*hold[:4])) is not None
    return hand.snooze(*hold[:4], delay=delay) is not None


def find_lost(hand: ByHand, depth: int, patience: float = 30) -> None:
    """Publish again what the broker lost, whose queue holds `depth` messages."""
    hand.take(transitions.REDISPATCH_LOST, queues=["q"], depths=[depth], patience_seconds=patience)


def collect(hand: ByHand, message: Message, step: str) -> None:
    """Take one of the steps that there are for a message in the dead-letter queue."""
    row = {"job_id": message.job, "dispatch": message.dispatch, "kind": KIND, "queue": "q"}
    hand.take(step, **row, body=b"bytes", headers="{}", delay_seconds=0)


def refuse(hand: ByHand, message: Message) -> None:
    """What a worker does that does not know the kind."""
    if not hand.put_off(*message):
        hand.bury(*message)


def _columns(messages: list[Message]) -> dict[str, list[object]]:
    return {
        "job_id": [message.job for message in messages],
        "dispatch": [message.dispatch for message in messages],
    }
