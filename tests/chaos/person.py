"""The person at a system that has one: replays what died, pauses queues, and tidies in the end."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dev.say import Failure
from dev.wait import wait_until
from outbox.kinds import Kinds
from outbox.operations import dead_letters, schedules
from outbox.operations.dead_letters import DeadLetterFilter
from outbox.operations.flow import outgoing, queue_pauses
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.replication import watch_commits

PAUSE_SECONDS = 5
PATIENCE_SECONDS = 60
NAME = "person"
MENDABLE = DeadLetterFilter(error="Mendable")
LOOKS_BETWEEN_PAUSES = 4
"""A queue is paused until the next look."""
A_DAY = timedelta(days=1)


class Person:
    """Looks at the dead letters every few seconds, and goes on whatever breaks meanwhile."""

    def __init__(self, engine: Engine, queues: Sequence[str]) -> None:
        self._engine = engine
        self._queues = itertools.cycle(queues)
        self._paused: str | None = None
        self._leaving = threading.Event()
        self._lock = threading.Lock()
        self._is_over = False

    def work(self) -> None:
        """Replay, pause and resume until asked to leave."""
        for look in itertools.count():
            if self._leaving.wait(PAUSE_SECONDS):
                return
            with suppress(DBAPIError):
                self._replay()
                with self._lock:
                    self._pause_or_resume(look)

    def leave(self) -> None:
        """Go."""
        self._leaving.set()

    def tidy(self, *, has_lost: bool) -> None:
        """Resume queues, pause schedules, and send again what the broker may have lost.

        Raises Failure where that cannot be done.
        """
        with self._lock:
            self._is_over = True
        if not wait_until(self._has_tidied, PATIENCE_SECONDS):
            raise Failure("the schedules cannot be paused, or the queues not be resumed")
        if has_lost and not wait_until(self._has_sent_again, PATIENCE_SECONDS):
            raise Failure("messages cannot be sent again")

    def _replay(self) -> None:
        with Session(self._engine) as session, session.begin():
            found = dead_letters.find(session, MENDABLE)
            dead_letters.replay(session, [letter.id for letter in found], by=NAME, why="mended")

    def _pause_or_resume(self, look: int) -> None:
        if self._paused:
            self._resume(self._paused)
            self._paused = None
        elif look % LOOKS_BETWEEN_PAUSES == 0 and not self._is_over:
            self._paused = next(self._queues)  # even if the answer is lost
            self._pause(self._paused)

    def _pause(self, queue: str) -> None:
        with suppress(queue_pauses.Refused), Session(self._engine) as session, session.begin():
            queue_pauses.pause(session, Kinds(), queue, by=NAME, why="to see what waits")

    def _resume(self, queue: str) -> None:
        with suppress(queue_pauses.Refused), Session(self._engine) as session, session.begin():
            queue_pauses.resume(session, Kinds(), queue, by=NAME, why="seen")

    def _has_sent_again(self) -> bool:
        """All that the broker has confirmed in this storm, by whatever clock."""
        since, until = datetime.now(UTC) - A_DAY, datetime.now(UTC) + A_DAY
        try:
            with Session(self._engine) as session, session.begin():
                outgoing.resend(session, since, until, by=NAME, why="the broker was wiped")
        except DBAPIError:
            return False
        return True

    def _has_tidied(self) -> bool:
        try:
            with Session(self._engine) as session, session.begin():
                paused = [*queue_pauses.find(session)]
            for queue in paused:
                self._resume(queue)
            with Session(self._engine) as session, session.begin():
                for each in schedules.find(session):
                    if each.paused_at is None:
                        schedules.pause(session, each.name, by=NAME, why="the storm is over")
        except DBAPIError:
            return False
        return True


@contextmanager
def at_work(database_url: str, queues: Sequence[str]) -> Iterator[Person]:
    """A person who works meanwhile."""
    engine = create_engine(sqlalchemy_url(database_url), pool_pre_ping=True)
    watch_commits(engine)
    person = Person(engine, queues)
    thread = threading.Thread(target=person.work)
    thread.start()
    try:
        yield person
    finally:
        person.leave()
        thread.join()
        engine.dispose()
