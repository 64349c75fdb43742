"""What all the apps share: the orders, and the service that gives receipts."""

import os
import signal
from pathlib import Path

import httpx2
from fastapi import HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from outbox.postgres.address import sqlalchemy_url

RECEIPTS_URL = os.environ["RECEIPTS_URL"]
engine = create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]))


class Base(DeclarativeBase):
    """The shop's tables."""


class Order(Base):
    """An order that was taken."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)


class NewOrder(BaseModel):
    """An order as it is posted."""

    id: int
    is_fraud: bool = False


def check(order: NewOrder) -> None:
    """Refuse an order that cannot be taken."""
    if order.is_fraud:
        raise HTTPException(422, "this is a fraud")


def give_receipt(order_id: int, key: str) -> None:
    """The side effect: a request without a timeout, as they often are."""
    headers = {"Idempotency-Key": key}
    answer = httpx2.post(RECEIPTS_URL, json={"order": order_id}, headers=headers, timeout=None)
    answer.raise_for_status()


async def give_receipt_async(order_id: int, key: str) -> None:
    """The same, for an event loop."""
    headers = {"Idempotency-Key": key}
    async with httpx2.AsyncClient(timeout=None) as client:
        answer = await client.post(RECEIPTS_URL, json={"order": order_id}, headers=headers)
    answer.raise_for_status()


@event.listens_for(Session, "after_commit")
def _die_if_told(_: Session) -> None:
    """End the process between the commit and what follows it, where this file says so."""
    if Path(os.environ["DIE_AFTER_COMMIT"]).exists():
        os.kill(os.getpid(), signal.SIGKILL)
