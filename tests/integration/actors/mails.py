"""What the tests of mails share: a mail, sent by its actor, and what is on record of it."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from actors import ACTORS
from outbox import Job
from service.mail.kinds import SEND_EMAIL, SEND_EMAIL_ONCE, SendEmail
from service.mail.models import Email, Suppression
from tests.integration.actors.conftest import Claim

MAIL: dict[str, Any] = {"to": "ada@example.com", "subject": "Hello", "text": "Good morning.\n"}


def claimed(claim: Claim, *, once: bool = False, **fields: Any) -> tuple[SendEmail, Job]:
    """A mail and its job, which a worker has claimed."""
    work = SendEmail(**MAIL | fields)
    kind = SEND_EMAIL_ONCE if once else SEND_EMAIL
    return work, claim(kind(**work.model_dump()))


def run(work: SendEmail, job: Job) -> None:
    """Run the job's actor."""
    ACTORS[job.kind].function(work, job)


def send(claim: Claim, *, once: bool = False, **fields: Any) -> Job:
    """Send a mail; returns its job."""
    work, job = claimed(claim, once=once, **fields)
    run(work, job)
    return job


def state(session: Session, job: Job) -> str:
    """What is on record of the mail."""
    session.rollback()  # read anew
    return session.get_one(Email, job.id).state


def suppressed(session: Session) -> list[tuple[str, str, str]]:
    """Address, category and reason of all suppressions."""
    session.rollback()
    found = session.scalars(select(Suppression).order_by(Suppression.id))
    return [(each.address, each.category, each.reason) for each in found]
