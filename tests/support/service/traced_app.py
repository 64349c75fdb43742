"""An app with one of each: a job that fails and follows up, a batch, an event, a schedule."""

from datetime import timedelta

from fastapi import FastAPI
from opentelemetry import propagate
from pydantic import BaseModel

from outbox import (
    Actors,
    Consumers,
    Duly,
    Job,
    Kind,
    Kinds,
    Message,
    Retry,
    Work,
    actor,
    batch,
    consumer,
    publish,
    submit,
    submit_all,
)
from outbox.http.app import create_app

NEWS = "traced.news"
"""The queue of the messages that the app publishes, and receives itself."""


class Note(BaseModel):
    """A text that no span may have."""

    text: str


SOON = Retry(attempts=3, first=timedelta(milliseconds=100))
BEGIN = Kind("story.begin", Note, queue="traced", retry=SOON)
FOLLOW = Kind("story.follow", Note, queue="traced-tasks")
MEMBER = Kind("story.member", Note, queue="traced")
SETTLED = Kind("story.settled", Note, queue="traced")
HEARD = Kind("story.heard", Note, queue="traced")
KINDS = Kinds(BEGIN, FOLLOW, MEMBER, SETTLED, HEARD)


@actor(BEGIN)
def begin(note: Note, job: Job) -> None:
    """Fail once, then have all else follow in one transaction."""
    if job.attempt == 1:
        raise LookupError(f"nobody knows {note.text}")
    with job.transaction() as tx:
        submit(tx, FOLLOW(text=note.text))
        with batch(tx, on_success=SETTLED(text=note.text)):
            submit_all(tx, [MEMBER(text=note.text), MEMBER(text=note.text)])
        publish(tx, "", NEWS, note, type="story.told")


@actor(FOLLOW)
async def follow(_note: Note, _job: Job) -> None:
    """Do nothing, as a task."""


@actor(MEMBER)
def member(_note: Note, _job: Job) -> None:
    """Do nothing."""


@actor(SETTLED)
def settled(_note: Note, _job: Job) -> None:
    """Do nothing."""


@actor(HEARD)
def heard(_note: Note, _job: Job) -> None:
    """Do nothing."""


@consumer(NEWS, Note)
def hear(note: Note, _message: Message) -> Work[Note]:
    """Make a job of the app's own message."""
    return HEARD(text=note.text)


duly = Duly(
    KINDS,
    Actors([begin, follow, member, settled, heard]),
    open_kinds=KINDS,
    consumers=Consumers([hear]),
    api="tests.support.service.traced_app:api",
)


def api() -> FastAPI:
    """Duly's routes, and one of the app's own."""
    app = duly.router()
    app.get("/onward")(onward)
    return create_app(app, lifespan=duly.lifespan, largest_body=duly.settings().largest_body)


async def onward() -> dict[str, str]:
    """The headers that an instrumented HTTP client would send from this request."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers
