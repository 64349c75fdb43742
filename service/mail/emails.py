"""Statements on the table of mails: what became of each."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.mail.addresses import normalised
from service.mail.models import Email

LONGEST_REPLY = 1000
PRUNED_AT_ONCE = 1000


def add(
    session: Session, email_id: UUID, to: str, category: str | None, state: str = "queued"
) -> None:
    """Have a row for the mail, if there is none."""
    row = {"id": email_id, "recipient": normalised(to), "category": category, "state": state}
    session.execute(insert(Email).values(row).on_conflict_do_nothing())


def record(session: Session, email_id: UUID, state: str, reply: str | None = None) -> None:
    """Set what became of the mail. What has bounced stays so: its bounce may come before this."""
    values = {"state": state, "reply": reply and reply[:LONGEST_REPLY], "changed_at": func.now()}
    mail = update(Email).where(Email.id == email_id, Email.state != "bounced")
    session.execute(mail.values(values))


def prune(session: Session, oldest: UUID) -> int:
    """Delete some mails with a smaller id, the oldest first; returns how many.

    One that is still to be sent stays, and with it one whose job was cancelled or is dead.
    """
    ended = select(Email.id).where(Email.id < oldest, Email.state != "queued")
    some = ended.order_by(Email.id).limit(PRUNED_AT_ONCE)
    gone: Any = session.execute(delete(Email).where(Email.id.in_(some)))
    return int(gone.rowcount)
