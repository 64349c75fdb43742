"""The suppression list: which addresses get no more mail."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from service.mail.addresses import normalised
from service.mail.models import Suppression

ALL = "*"
"""The category that stands for all mail."""


def find(session: Session, address: str, category: str | None) -> Suppression | None:
    """Why the address gets no mail of this category; None if it gets it."""
    these = [ALL, *([category] if category else [])]
    found = select(Suppression).where(
        Suppression.address == normalised(address), Suppression.category.in_(these)
    )
    return session.scalars(found.order_by(Suppression.category).limit(1)).first()


def add(
    session: Session, address: str, category: str, reason: str, email_id: UUID | None = None
) -> Suppression:
    """Suppress mail of the category to the address. One that is suppressed already stays as it is.

    `address` is normalised.
    """
    row = {"id": uuid7(), "address": address, "category": category, "reason": reason}
    new = insert(Suppression).values(row | {"email_id": email_id})
    kept = {"address": new.excluded.address}  # changes nothing, and returns the row that there is
    added = new.on_conflict_do_update(index_elements=["address", "category"], set_=kept).returning(
        Suppression
    )
    return session.scalars(added).one()
