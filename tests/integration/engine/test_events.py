"""Events come after the commit that makes them true, and only then."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from outbox.events import Cancelled, Died, Discarded, Event, Published, Replayed, Rescued
from outbox.operations import dead_letters, jobs
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.after_commit import ANNOUNCED, announce
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.line import Line
from tests.support.wait import wait_for


def news(kind: str) -> Cancelled:
    """An event that only its kind tells from others."""
    return Cancelled(job_id=UUID(int=0), kind=kind)


def kinds(heard: list[Any]) -> list[str]:
    """The kinds of the events."""
    return [each.kind for each in heard]


def test_a_commit_emits_and_a_rollback_does_not(session: Session, heard: list[Any]) -> None:
    session.begin()
    announce(session, news("kept"))
    assert heard == []
    session.commit()
    assert kinds(heard) == ["kept"]

    session.begin()
    announce(session, news("rolled back"))
    session.rollback()
    session.begin()
    announce(session, news("closed"))
    session.close()
    with session.begin():
        session.execute(text("SELECT 1"))
    assert kinds(heard) == ["kept"]
    assert not session.info.get(ANNOUNCED)


def test_a_commit_that_fails_emits_nothing(session: Session, heard: list[Any]) -> None:
    with suppress(ZeroDivisionError), session.begin():
        announce(session, news("failed"))
        raise ZeroDivisionError
    assert heard == []


def test_events_of_savepoints_share_their_fate(session: Session, heard: list[Any]) -> None:
    with session.begin():
        announce(session, news("outer"))
        with session.begin_nested():
            announce(session, news("released"))
            with session.begin_nested():
                announce(session, news("released twice"))
        lost = session.begin_nested()
        with session.begin_nested():
            announce(session, news("released into what is rolled back"))
        announce(session, news("rolled back"))
        lost.rollback()
        announce(session, news("after"))
        assert heard == []
    assert kinds(heard) == ["outer", "released", "released twice", "after"]


def test_a_commit_releases_the_savepoints_that_are_open(session: Session, heard: list[Any]) -> None:
    session.begin()
    session.begin_nested()
    session.begin_nested()
    announce(session, news("inner"))
    session.commit()
    assert kinds(heard) == ["inner"]


async def announce_and_end(url: str, how: str) -> None:
    """Announce in an AsyncSession and end its transaction."""
    engine = create_async_engine(sqlalchemy_url(url))
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        announce(session.sync_session, news(how))
        await getattr(session, how)()
    await engine.dispose()


def test_a_session_inside_another_transaction_tells_nothing(
    engine: Engine, heard: list[Any]
) -> None:
    """Its commit commits nothing."""
    with engine.connect() as connection, connection.begin() as around:
        with Session(connection) as session:
            session.execute(text("SELECT 1"))
            announce(session, news("inside"))
            session.commit()
        around.rollback()
    assert heard == []


def test_an_async_session_emits_after_its_commit(database_url: str, heard: list[Any]) -> None:
    for how in ("rollback", "commit"):
        asyncio.run(announce_and_end(database_url, how))
    assert kinds(heard) == ["commit"]


def test_a_cancelled_job_is_told_and_one_that_was_only_asked_is_not(
    session: Session, by_hand: ByHand, heard: list[Any]
) -> None:
    queued, running = by_hand.submit(), by_hand.running()
    with session.begin():
        assert jobs.cancel(session, queued, by="ann", why="late") == "cancelled"
        assert jobs.cancel(session, running, by="ann") == "running"
        assert jobs.cancel(session, uuid4(), by="ann") is None
        assert heard == []
    assert heard == [Cancelled(job_id=queued, kind=KIND, by="ann", why="late")]


def test_replays_and_discards_are_told(session: Session, by_hand: ByHand, heard: list[Any]) -> None:
    (job, letter), (other, discarded) = by_hand.dead(), by_hand.dead()
    foreign = by_hand.keep_foreign(b"?")
    with session.begin():
        dead_letters.replay(session, [letter, foreign], by="ann", why="mended")
        dead_letters.discard(session, [discarded, foreign], by="bob")
        assert heard == []
    person: dict[str, Any] = {"by": "bob", "why": None}
    assert heard == [
        Replayed(job_id=job, kind=KIND, dead_letter=letter, by="ann", why="mended"),
        Discarded(job_id=other, kind=KIND, dead_letter=discarded, **person),
        Discarded(job_id=None, kind=None, dead_letter=foreign, **person),
    ]


def test_what_a_rescue_makes_of_each_job_is_told(
    line: Line, by_hand: ByHand, heard: list[Any]
) -> None:
    again, last, asked = by_hand.running(), by_hand.running(budget=1), by_hand.running()
    by_hand.cancel(asked)
    line.start_relay(silence=timedelta(seconds=1))
    wait_for("three rescues", lambda: len(found(heard, Rescued, Died, Cancelled)) == 3)
    letter = by_hand.letters(last)[0]
    error: Any = {"error_type": letter["error_type"], "error": letter["error_message"]}
    job: dict[str, Any] = {"kind": KIND, "queue": "q", "worker": "w1", "attempt": 1}
    assert sorted(found(heard, Rescued, Died, Cancelled), key=lambda each: type(each).__name__) == [
        Cancelled(job_id=asked, kind=KIND),
        Died(job_id=last, reason="crashed", **error, **job),
        Rescued(job_id=again, **job),
    ]


def test_a_published_job_is_told_and_so_is_one_that_cannot_be(
    line: Line, by_hand: ByHand, queue: str, heard: list[Any]
) -> None:
    job, impossible = by_hand.submit(queue), by_hand.submit("q" * 253)
    line.start_relay(queue)
    wait_for("both", lambda: found(heard, Published) and found(heard, Died))
    assert found(heard, Published) == [Published(job_id=job, kind=KIND, queue=queue, dispatch=1)]
    (died,) = found(heard, Died)
    (letter,) = by_hand.letters(impossible)
    assert (died.job_id, died.reason) == (impossible, "unpublishable")
    assert died.error_type == letter["error_type"]
    assert (died.error, died.attempt) == (letter["error_message"], None)


def found(heard: list[Any], *types: type[Event]) -> list[Any]:
    """The events of these types."""
    return [each for each in heard if isinstance(each, types)]
