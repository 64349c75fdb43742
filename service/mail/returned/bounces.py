"""What a report about a mail changes: the mail has bounced, or its receiver gets no more."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.mail import emails, suppressions
from service.mail.models import Email
from service.mail.returned.delivery_reports import Report

MOST_BOUNCES, PERIOD = 5, timedelta(days=30)
"""So many mails that bounced in this period, for whatever reason, suppress an address, too."""
MOST_IDS = 20

Outcome = Literal["bounced", "complained", "ignored"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a report has changed. It was ignored if it is about no mail of ours, or no bounce."""

    outcome: Outcome
    email_id: UUID | None = None
    is_suppressed: bool = False
    """Whether the mail's receiver gets no more mail now."""


def apply(session: Session, report: Report | None) -> Applied:
    """Record the report, in the session's transaction. The same one again changes nothing.

    It is the receiver of our mail who is suppressed, not an address that the report names: whoever
    makes a report up can only harm receivers of our mails, and has to know the id of such a mail.
    """
    mail = _find(session, report) if report else None
    if report is None or mail is None:
        return Applied("ignored")
    if report.action == "complained":
        suppressions.add(session, mail.recipient, suppressions.ALL, "complaint", mail.id)
        return Applied("complained", mail.id, is_suppressed=True)
    if report.action != "failed":
        return Applied("ignored", mail.id)
    emails.record(session, mail.id, "bounced", f"{report.status or ''} {report.said}".strip())
    is_suppressed = report.is_hard or _count(session, mail.recipient) >= MOST_BOUNCES
    if is_suppressed:
        suppressions.add(session, mail.recipient, suppressions.ALL, "bounce", mail.id)
    return Applied("bounced", mail.id, is_suppressed)


def _find(session: Session, report: Report) -> Email | None:
    named = select(Email).where(Email.id.in_(report.emails[:MOST_IDS]))
    found = {each.id: each for each in session.scalars(named)}
    return next((found[each] for each in report.emails if each in found), None)


def _count(session: Session, recipient: str) -> int:
    bounced = (
        select(func.count())
        .select_from(Email)
        .where(
            Email.recipient == recipient,
            Email.state == "bounced",
            Email.changed_at > func.now() - PERIOD,
        )
    )
    return session.scalars(bounced).one()
