"""Sends mails, and records what became of each."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from actors.mailing.message import Documents, message_id, write
from actors.mailing.parts import check_size, document
from actors.mailing.signature import signed
from actors.mailing.transmission import (
    MailDeferred,
    MailUncertain,
    Outgoing,
    ServerBusy,
    transmit,
)
from outbox import Job, actor
from outbox.operations import jobs
from service.job_times import first_id, time_of
from service.mail import addresses, emails, suppressions
from service.mail.kinds import (
    PRUNE_EMAILS,
    SEND_EMAIL,
    SEND_EMAIL_ONCE,
    AddressGone,
    MailRefused,
    PruneEmails,
    SendEmail,
)
from service.settings import settings

HANDED_OVER = "handed_over"
"""In the checkpoint: the attempt that has left it open whether the server has the mail."""
LONGEST_BUSY = timedelta(days=4)
"""After this time a server that is still busy costs attempts, and the job dies in the end."""
LEFT_OPEN = "an earlier attempt ended while it handed the mail over, and nobody knows if it arrived"


@actor(SEND_EMAIL)
def send(work: SendEmail, job: Job) -> None:
    """Hand the mail to the mail server, unless its receiver is suppressed.

    Raises what `transmit` raises, and records it in the mail's row. A lost answer is tried once
    more, as is the mail if the process dies after the server accepted it: with the same
    Message-ID, so that mail programs can recognise the duplicate.
    """
    _send(work, job, lambda: None)


@actor(SEND_EMAIL_ONCE)
def send_once(work: SendEmail, job: Job) -> None:
    """As `send`, but never again once the server may have the mail.

    A mark is committed before the mail leaves. If the process dies after that, or if the answer is
    lost, the job is dead as `uncertain`, and a person decides: a replay sends the mail again.
    """
    if _is_open(job):
        _note(job, "uncertain", LEFT_OPEN)
        raise MailUncertain(LEFT_OPEN)
    _send(work, job, lambda: _mark(job))


@actor(PRUNE_EMAILS)
def prune(_: PruneEmails, job: Job) -> dict[str, int]:
    """Delete the rows of mails older than `keep_emails`, in short transactions.

    If the process dies, the next attempt deletes what is left.
    """
    kept, pruned = settings().keep_emails, 0
    if kept is not None:
        oldest = first_id(datetime.now(UTC) - kept)
        while deleted := _prune_some(job, oldest):
            pruned += deleted
            job.progress(pruned)
    return {"pruned": pruned}


def _prune_some(job: Job, oldest: UUID) -> int:
    with job.sessions() as session, session.begin():
        return emails.prune(session, oldest)


def _send(work: SendEmail, job: Job, before_content: Callable[[], None]) -> None:
    if why := _suppressed(work, job):
        with job.transaction() as tx:
            job.result = why
            emails.record(tx, job.id, "suppressed")
        return
    reply = _hand_over(work, job, before_content)
    with job.transaction() as tx:
        job.result = {"message_id": message_id(job.id, settings().sender)}
        emails.record(tx, job.id, "sent", reply)


def _suppressed(work: SendEmail, job: Job) -> dict[str, str] | None:
    """Why the receiver gets no mail, or None. From here on a bounce finds the mail's row."""
    with job.sessions() as session, session.begin():
        emails.add(session, job.id, work.to, work.category)
        found = suppressions.find(session, work.to, work.category)
        return {"suppressed": found.reason, "category": found.category} if found else None


def _hand_over(work: SendEmail, job: Job, before_content: Callable[[], None]) -> str:
    """Hand the mail over, and note in its row what went wrong; returns the server's reply."""
    try:
        return transmit(_outgoing(work, job), settings().mail_server, before_content)
    except MailUncertain as error:
        with suppress(DBAPIError):  # what matters is that the attempt ends as uncertain
            _note(job, "uncertain", str(error))
        raise
    except MailRefused as error:
        _note(job, "refused", str(error), gone=work.to if isinstance(error, AddressGone) else None)
        raise
    except Exception as error:
        _unmark(job)  # whatever it was, the server has not taken the mail
        if isinstance(error, ServerBusy) and _age(job) > LONGEST_BUSY:
            raise MailDeferred(str(error)) from error
        if isinstance(error, MailDeferred):
            # Servers that greylist strangers want to see them again after minutes, not seconds.
            error.retry_in = timedelta(minutes=2 ** min(job.attempt - 1, 6))
        raise


def _outgoing(work: SendEmail, job: Job) -> Outgoing:
    own = settings()
    link = own.unsubscribe_link(job.id) if work.list_unsubscribe else None
    content = write(work, job.id, own.sender, _documents(work, job), link)
    return Outgoing(own.return_path(job.id), addresses.recipient(work.to), signed(content, own))


def _documents(work: SendEmail, job: Job) -> Documents:
    """Where the documents are. Raises MailRefused if they are too large for any mail."""
    with job.sessions() as session:
        attached = tuple(document(each, session) for each in work.attachments)
        inline = {name: document(each, session) for name, each in work.inline.items()}
    check_size([*attached, *inline.values()])
    return Documents(attached, inline)


def _note(job: Job, state: str, reply: str, *, gone: str | None = None) -> None:
    """Record what became of the mail; the attempt is about to fail with it."""
    mark: Any = {HANDED_OVER: job.attempt} if state == "uncertain" else None
    with job.step(mark) as tx:
        emails.record(tx, job.id, state, reply)
        if gone:
            address = addresses.normalised(gone)
            suppressions.add(tx, address, suppressions.ALL, "bounce", job.id)


def _mark(job: Job) -> None:
    with job.step({HANDED_OVER: job.attempt}):
        pass


def _unmark(job: Job) -> None:
    """Take the mark back, if there is one."""
    if job.checkpoint:
        with job.step(None):
            pass


def _is_open(job: Job) -> bool:
    """Whether an attempt has left it open if the server has the mail, and no person has looked.

    One that is on record as uncertain has made a dead letter: there is only another attempt after
    it because a person has replayed that.
    """
    if not job.checkpoint:
        return False
    with job.sessions() as session:
        outcomes = {each.attempt: each.outcome for each in jobs.attempts(session, job.id)}
    return outcomes.get(job.checkpoint[HANDED_OVER]) != "uncertain"


def _age(job: Job) -> timedelta:
    """Since it was submitted."""
    return datetime.now(UTC) - time_of(job.id)


ACTORS = (send, send_once, prune)
