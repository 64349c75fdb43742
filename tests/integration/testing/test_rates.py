"""Jobs of keys with rates in an app's own tests."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Job, Key, Kind, Rate, RateLimited, actor, submit_all
from outbox.testing import drain
from tests.integration.testing.parts import Note

PER_HOUR = Rate(1, per=timedelta(hours=1), burst=2)
CALL = Kind("note.call", Note, key=Key(lambda note: note.text, rate=PER_HOUR))
CALL_ASYNC = Kind("note.call_async", Note, key=Key(lambda note: note.text, rate=PER_HOUR))
refused: set[str] = set()


@actor(CALL)
def call(note: Note, _: Job) -> None:
    """Nobody answers."""


@actor(CALL_ASYNC)
async def call_async(note: Note, job: Job) -> None:
    """The receiver asks for a pause, once."""
    if note.text not in refused:
        refused.add(note.text)
        raise RateLimited(timedelta(hours=3))


def test_permits_are_taken_and_come_with_the_time(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        submit_all(session, [CALL(text="a") for _ in range(4)])
    ran = drain([call], engine)
    assert sorted(job.state for job in ran) == ["queued", "queued", "succeeded", "succeeded"]
    rest = drain([call], engine, until=datetime.now(UTC) + timedelta(hours=3))
    assert [(job.state, job.attempt) for job in rest] == [("succeeded", 1)] * 2


def test_a_receivers_pause_holds_up_other_jobs_of_its_key(engine: Engine) -> None:
    refused.clear()
    with Session(engine) as session, session.begin():
        submit_all(session, [CALL_ASYNC(text="a") for _ in range(2)])
    assert [job.state for job in drain([call_async], engine)] == ["queued"] * 2
    assert drain([call_async], engine, until=datetime.now(UTC) + timedelta(hours=2)) == []
    rest = drain([call_async], engine, until=datetime.now(UTC) + timedelta(hours=4))
    assert [(job.state, job.attempt) for job in rest] == [("succeeded", 1)] * 2
