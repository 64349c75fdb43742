"""The person at a system that has one: replays what died, and pauses the schedules in the end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dev.say import Failure
from dev.wait import wait_until
from outbox.operations import dead_letters, schedules
from outbox.operations.dead_letters import DeadLetterFilter
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.replication import watch_commits

PAUSE_SECONDS = 5
PATIENCE_SECONDS = 60
NAME = "person"
MENDABLE = DeadLetterFilter(error="Mendable")


class Person:
    """Looks at the dead letters every few seconds, and goes on whatever breaks meanwhile."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._leaving = threading.Event()

    def work(self) -> None:
        """Replay until asked to leave."""
        while not self._leaving.wait(PAUSE_SECONDS):
            with suppress(DBAPIError):
                self._replay()

    def leave(self) -> None:
        """Go."""
        self._leaving.set()

    def pause_schedules(self) -> None:
        """Pause them all. Raises Failure where that cannot be done."""
        if not wait_until(self._has_paused, PATIENCE_SECONDS):
            raise Failure("the schedules cannot be paused")

    def _replay(self) -> None:
        with Session(self._engine) as session, session.begin():
            found = dead_letters.find(session, MENDABLE)
            dead_letters.replay(session, [letter.id for letter in found], by=NAME, why="mended")

    def _has_paused(self) -> bool:
        try:
            with Session(self._engine) as session, session.begin():
                for each in schedules.find(session):
                    if each.paused_at is None:
                        schedules.pause(session, each.name, by=NAME, why="the storm is over")
        except DBAPIError:
            return False
        return True


@contextmanager
def at_work(database_url: str) -> Iterator[Person]:
    """A person who works meanwhile."""
    engine = create_engine(sqlalchemy_url(database_url), pool_pre_ping=True)
    watch_commits(engine)
    person = Person(engine)
    thread = threading.Thread(target=person.work)
    thread.start()
    try:
        yield person
    finally:
        person.leave()
        thread.join()
        engine.dispose()
