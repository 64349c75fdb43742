"""A month end while relays and workers are killed again and again: each invoice is done once."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, TextClause, text
from sqlalchemy.orm import Session

from dev.stripe.provider import KEY, Provider
from outbox import submit
from service.closings.kinds import CLOSING_BEGIN
from service.closings.models import Closing
from service.invoices.models import Invoice, InvoiceLine
from service.subjects import KINDS
from tests.faults.line import Line
from tests.support.engine.rabbit import Rabbit
from tests.support.outside.arrivals import message_ids
from tests.support.outside.mail_server import Inbox, mail_server
from tests.support.outside.stripe import stripe_server
from tests.support.wait import wait_for

INVOICES = 40
COMPLETED = text("SELECT completed_at FROM closings")
SETTLED = text("SELECT count(*) FROM duly.jobs WHERE state = 'succeeded'")
KILLS_AFTER = (2, 20, 45, 70, 100)
"""Of 123 jobs: so many have ended when everything is killed."""


@pytest.fixture
def month(
    line: Line, engine: Engine, amqp_url: str, tmp_path: Path
) -> Iterator[tuple[Provider, Inbox, list[UUID]]]:
    """A month end that has been asked for, and the servers that it reaches."""
    inbox = Inbox()
    with closing(Rabbit(amqp_url)) as rabbit:
        for queue in KINDS.queues:
            rabbit.delete(queue)
            rabbit.declare(queue)
    with stripe_server(Provider()) as stripe, mail_server(inbox) as mail:
        line.environment |= {
            "DULY_ACTORS": "actors:ACTORS",
            "DULY_STRIPE_URL": stripe.url,
            "DULY_STRIPE_KEY": KEY,
            "DULY_SMTP_URL": f"smtp://{mail}",
            "DULY_DOCUMENTS_URL": (tmp_path / "documents").as_uri(),
        }
        yield stripe.provider, inbox, _ask(engine)


def _ask(engine: Engine) -> list[UUID]:
    with Session(engine, expire_on_commit=False) as session, session.begin():
        invoices = [_invoice(number) for number in range(INVOICES)]
        month_end = Closing(month=f"{datetime.now(UTC):%Y-%m}")
        session.add_all([*invoices, month_end])
        session.flush()
        submit(session, CLOSING_BEGIN(closing_id=month_end.id), subject=month_end.subject)
    return [each.id for each in invoices]


def _invoice(number: int) -> Invoice:
    line = InvoiceLine(position=1, description="Tea", quantity=1, unit_price=Decimal("7.00"))
    return Invoice(
        customer="Ada",
        email=f"c{number}@example.com",
        currency="EUR",
        payment_method="pm_card_visa",
        at_month_end=True,
        lines=[line],
        payments=[],
    )


def wait_for_jobs(engine: Engine, least: int) -> None:
    """Wait until so many have succeeded."""
    wait_for("some jobs", lambda: _scalar(engine, SETTLED) >= least)


@pytest.mark.slow
def test_everything_again_and_again(
    month: tuple[Provider, Inbox, list[UUID]], line: Line, engine: Engine
) -> None:
    provider, inbox, invoices = month
    for ended in KILLS_AFTER:
        processes = line.start("relay", "worker", "relay", "worker")
        wait_for_jobs(engine, ended)
        for process in processes:
            process.kill()
    line.start("relay", "worker")
    wait_for("the month", lambda: _scalar(engine, COMPLETED) is not None)
    assert [provider.book.charged(each) for each in invoices] == [[700]] * INVOICES
    sent = message_ids(inbox)
    assert len(set(sent)) == INVOICES
    assert {str(mail["To"]) for mail in inbox.messages()} == {
        f"c{number}@example.com" for number in range(INVOICES)
    }


def _scalar(engine: Engine, query: TextClause) -> Any:
    with engine.connect() as connection:
        return connection.scalar(query)
