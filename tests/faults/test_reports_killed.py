"""The worker killed at each moment of a report: there is never half of one, and in the end all."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from service.documents.store import Documents
from service.files.models import File
from service.invoices.models import Invoice, InvoiceLine
from service.reports.formats import FORMATS
from service.reports.kinds import BUILD_REPORT
from service.reports.models import Report
from service.reports.period import Period
from service.reports.requests import ask_for
from tests.faults import moments
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment, named
from tests.faults.points import points
from tests.support.engine.rabbit import Rabbit
from tests.support.outside.mail_server import Inbox
from tests.support.outside.receiver import Receiver
from tests.support.wait import wait_for

NOVEMBER = Period.month(2026, 11)
STATE = text("SELECT state FROM duly.jobs WHERE kind = 'report.build'")


@pytest.fixture
def documents_url(tmp_path: Path) -> str:
    """Where the line stores documents."""
    return (tmp_path / "documents").as_uri()


@pytest.fixture
def line(
    database_url: str, amqp_url: str, hooks: Receiver, tmp_path: Path, documents_url: str
) -> Iterator[Line]:
    """The line with the service's own actors."""
    with closing(Rabbit(amqp_url)) as rabbit:
        rabbit.delete(BUILD_REPORT.queue)
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "AMQP_URL": amqp_url,
        "DULY_DOCUMENTS_URL": documents_url,
        "DULY_WORKER_SILENCE": "PT3S",
        "DULY_REDISPATCH_AFTER": "PT3S",
    }
    line = Line(environment, tmp_path, Inbox(), hooks)
    yield line
    line.end()


@pytest.fixture
def asked(engine: Engine) -> UUID:
    """A report that somebody asked for, of two invoices."""
    with Session(engine) as session, session.begin():
        for currency, price in (("EUR", "19.90"), ("USD", "-5.00")):
            row = InvoiceLine(position=1, description="T", quantity=3, unit_price=Decimal(price))
            at = datetime(2026, 11, 5, tzinfo=UTC)
            made: dict[str, Any] = {"customer": "Ada", "email": "a@b.c", "created_at": at}
            session.add(Invoice(currency=currency, lines=[row], **made))
        report, _ = ask_for(session, NOVEMBER, FORMATS)
        return report.id


@points([*moments.REPORTING, named("succeeded but not committed")])
def test_as_it_builds_a_report(
    moment: Moment, line: Line, asked: UUID, engine: Engine, documents_url: str
) -> None:
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker", "--queues", BUILD_REPORT.queue))
    with Session(engine) as session:
        report = session.get_one(Report, asked)
        assert (report.built_at, report.files, report.totals) == (None, None, None)
        assert {file.state for file in session.query(File)} == {"storing"}

    line.start("worker", "--queues", BUILD_REPORT.queue)
    with Session(engine) as session:
        wait_for("the report", lambda: session.scalar(STATE) == "succeeded")
        report = session.get_one(Report, asked)
        names = {file.name: file for file in session.query(File) if file.state == "stored"}
        assert [each["amount"] for each in report.totals or ()] == ["59.70", "-15.00"]
        assert names.keys() == {f"reports/{asked}/2.{each}" for each in FORMATS}
        sizes = {name: Documents(documents_url).size(name) for name in names}
        assert sizes == {name: file.size for name, file in names.items()}
