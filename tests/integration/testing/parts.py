"""The kinds and actors that the tests of outbox.testing use."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import text

from outbox import Actors, Job, Kind, Retry, Snooze, actor, submit


class Note(BaseModel):
    """What an actor writes, and how it is to end."""

    text: str
    end: str = ""


class Refused(Exception):
    """Another attempt would not help."""


HOURLY = Retry(attempts=2, first=timedelta(hours=1), never=(Refused,))
KEEP = Kind("note.keep", Note, retry=HOURLY)
KEEP_ASYNC = Kind("note.keep_async", Note, retry=HOURLY)
FOLLOW = Kind("note.follow", Note)
INSERT = text("INSERT INTO notes VALUES (:text)")
TABLE = "CREATE TABLE notes (text text NOT NULL)"


@actor(KEEP)
def keep(note: Note, job: Job) -> Any:
    """Write the note and a follow-up."""
    if note.end == "returns":
        return {"kept": False}
    with job.transaction() as session:
        session.execute(INSERT, {"text": note.text})
        submit(session, FOLLOW(text=note.text))
        job.result = {"kept": note.text}
        _end(note, job)
    return {"late": True} if note.end == "late" else None


@actor(KEEP_ASYNC)
async def keep_async(note: Note, job: Job) -> Any:
    """The same on an event loop."""
    if note.end == "returns":
        return {"kept": False}
    async with job.transaction() as session:
        await session.execute(INSERT, {"text": note.text})
        submit(session, FOLLOW(text=note.text))
        job.result = {"kept": note.text}
        _end(note, job)
    return {"late": True} if note.end == "late" else None


@actor(FOLLOW)
def follow(note: Note, job: Job) -> str:
    """The follow-up."""
    return f"{note.text} after {job.attempt}"


def _end(note: Note, job: Job) -> None:
    if note.end == "refused":
        raise Refused("not this one")
    if note.end == "once" and job.attempt == 1:
        raise ValueError("the first time")
    if note.end == "always":
        raise ValueError("again")
    if note.end == "snooze":
        raise Snooze(timedelta(hours=1))


ACTORS = Actors([keep, keep_async, follow])
