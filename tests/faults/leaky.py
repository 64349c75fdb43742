"""Actors that put what is sensitive into whatever they raise and return.

`DULY_ACTORS` tells a worker to take them in place of the service's.
"""

from collections.abc import Callable
from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy import text

from outbox import Actors, Job, Kind, Retry, Snooze, Superseded, Uncertain, actor

QUEUE = "leaks"
ONCE = Retry(attempts=1, first=timedelta())


class Leak(BaseModel):
    """A payload: a secret, and how the actor gives it away."""

    how: str
    secret: str


LEAK = Kind("fault.leak", Leak, queue=QUEUE, retry=ONCE, sensitive=("secret",))
LEAK_AS_TASK = Kind("fault.leak_as_task", Leak, queue=QUEUE, retry=ONCE, sensitive=("secret",))


class OwnError(Exception):
    """An error whose text is made when somebody asks for it."""

    def __str__(self) -> str:
        return f"cannot do {self.args[0]!r}"


def in_its_text(work: Leak, _: Job) -> None:
    """In the text of an error."""
    raise ValueError(f"cannot send to {work.secret}")


def whole_payload(work: Leak, _: Job) -> None:
    """The payload as pydantic shows it."""
    raise OwnError(work)


def in_a_cause(work: Leak, _: Job) -> None:
    """In the text of an error's cause."""
    try:
        dict[str, str]()[work.secret]
    except KeyError as error:
        raise RuntimeError("it failed") from error


def in_a_context(work: Leak, _: Job) -> None:
    """In the text of an error that was being handled."""
    try:
        int(work.secret)
    except ValueError:
        raise RuntimeError("it failed")  # noqa: B904 - its context is what leaks


def in_a_group(work: Leak, _: Job) -> None:
    """In an error of a group."""
    raise ExceptionGroup("all failed", [ValueError(work.secret), OwnError([work.secret])])


def in_a_note(work: Leak, _: Job) -> None:
    """In a note of an error."""
    error = RuntimeError("it failed")
    error.add_note(f"while sending to {work.secret.upper()}")
    raise error


def in_a_statement(work: Leak, job: Job) -> None:
    """In an error of Postgres, which quotes the value."""
    with job.transaction() as tx:
        tx.execute(text("SELECT CAST(:secret AS int)"), {"secret": work.secret})


def in_a_row(work: Leak, job: Job) -> None:
    """In an error of Postgres, which quotes the row."""
    with job.transaction() as tx:
        tx.execute(text("CREATE TEMPORARY TABLE told (secret text PRIMARY KEY)"))
        for _ in range(2):
            tx.execute(text("INSERT INTO told VALUES (:secret)"), {"secret": work.secret})


def in_a_nap(work: Leak, _: Job) -> None:
    """In the reason of a snooze, again and again."""
    raise Snooze(timedelta(hours=1), work.secret)


def uncertain(work: Leak, _: Job) -> None:
    """In what may have happened."""
    raise Uncertain(work.secret)


def superseded(work: Leak, _: Job) -> None:
    """In why somebody else has done it."""
    raise Superseded(work.secret)


def at_its_exit(work: Leak, _: Job) -> None:
    """In what the interpreter is to print when it ends."""
    raise SystemExit(work.secret)


def in_a_result(work: Leak, _: Job) -> object:
    """In the field of the same name of what it returns."""
    return {"given": [{"secret": work.secret}]}


def unstorable(work: Leak, _: Job) -> object:
    """In a result that is no JSON."""
    return {work.secret: object()}


HOWS: dict[str, Callable[[Leak, Job], object]] = {
    each.__name__: each
    for each in (
        in_its_text,
        whole_payload,
        in_a_cause,
        in_a_context,
        in_a_group,
        in_a_note,
        in_a_statement,
        in_a_row,
        in_a_nap,
        uncertain,
        superseded,
        at_its_exit,
        in_a_result,
        unstorable,
    )
}
IN_POSTGRES = {"in_a_statement", "in_a_row"}
"""What only a `def` actor does here."""


@actor(LEAK)
def leak(work: Leak, job: Job) -> object:
    """Gives the secret away on a thread."""
    return HOWS[work.how](work, job)


@actor(LEAK_AS_TASK)
async def leak_as_task(work: Leak, job: Job) -> object:
    """Gives the secret away on the event loop."""
    return HOWS[work.how](work, job)


ACTORS = Actors([leak, leak_as_task])
