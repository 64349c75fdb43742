"""Pauses of queues: relays publish nothing of a queue until somebody resumes it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations import acts
from outbox.store import transitions
from outbox.store.schema import paused_queues as table
from outbox.submission.wake_up import CHANNEL, QUEUES

_NOTIFICATION = {"channel": CHANNEL, "message": QUEUES.decode()}


class Refused(Exception):
    """The queue is paused already, or not paused; nothing was changed."""


class UnknownQueue(Refused):
    """No kind, worker or waiting job has this queue."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Since when a queue is paused, by whom, and why."""

    since: datetime
    who: str
    why: str | None


def find(session: Session) -> dict[str, Pause]:
    """The paused queues."""
    rows = session.execute(select(table.c.queue, table.c.since, table.c.who, table.c.why))
    return {queue: Pause(*pause) for queue, *pause in rows}


def pause(session: Session, kinds: Kinds, queue: str, *, by: str, why: str | None = None) -> Pause:
    """Have relays publish nothing of the queue, from within a second after the caller's commit.

    Jobs wait in Postgres. What is in the broker is still run. Raises UnknownQueue; Refused if it is
    paused; and ValueError if `by` names nobody.
    """
    _check(session, kinds, queue)
    asked = {"queue": queue, "by": acts.named(by), "why": why or None, **_NOTIFICATION}
    found = session.connection().exec_driver_sql(transitions.PAUSE_QUEUE, asked).first()
    if found is None:
        raise Refused(f"{queue} is paused already")
    return Pause(found.since, found.who, found.why)


def resume(session: Session, kinds: Kinds, queue: str, *, by: str, why: str | None = None) -> None:
    """Have relays publish what waits, in its usual order, from the caller's commit on.

    Raises UnknownQueue; Refused if it is not paused; and ValueError if `by` names nobody.
    """
    asked = {"queue": queue, "by": acts.named(by), "why": why or None, **_NOTIFICATION}
    if session.connection().exec_driver_sql(transitions.RESUME_QUEUE, asked).first() is None:
        _check(session, kinds, queue)
        raise Refused(f"{queue} is not paused")


def _check(session: Session, kinds: Kinds, queue: str) -> None:
    if queue in kinds.queues:
        return
    in_use = session.connection().exec_driver_sql(transitions.QUEUES_IN_USE)
    if queue not in {row.queue for row in in_use}:
        raise UnknownQueue(f"no kind, worker or waiting job has the queue {queue}")
