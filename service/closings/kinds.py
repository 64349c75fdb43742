"""The jobs of a month end. What it asks of others (charge, render, mail) are their kinds."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from outbox import Key, Kind, Retry
from service.payload import Payload


class Stage(StrEnum):
    """What is done for each invoice, in this order."""

    CHARGE = "charge"
    RENDER = "render"
    MAIL = "mail"


class BeginClosing(Payload):
    """Charge all invoices that wait for the month end."""

    closing_id: UUID


class GoOn(Payload):
    """Begin what follows a stage, for the invoices that are through with it."""

    closing_id: UUID
    after: Stage


class ClosingGone(Exception):
    """There is no such closing."""


CLOSING_BEGIN = Kind(
    "closing.begin",
    BeginClosing,
    queue="closings",
    time_limit=timedelta(minutes=30),
    retry=Retry(never=(ClosingGone,)),
    owner="billing",
    idempotency="one transaction",
)
CLOSING_GO_ON = Kind(
    "closing.go_on",
    GoOn,
    queue="closings",
    time_limit=timedelta(minutes=30),
    retry=Retry(never=(ClosingGone,)),
    key=Key(lambda work: f"closing:{work.closing_id}", at_most=1),
    owner="billing",
    idempotency="one transaction, which takes only invoices that have not gone on",
)
