"""Reports, built on a real database: their figures, their files and what becomes of them."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import openpyxl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from actors import ACTORS
from actors.drawing.report import draw
from actors.reporting import csv_file, xlsx_file
from actors.reporting.figures import Figures, snapshot
from outbox import Job, Superseded
from outbox.operations import jobs, schedules
from outbox.operations.jobs import JobFilter
from outbox.testing import drain
from service.documents.store import documents
from service.files.keeping import find
from service.files.models import File
from service.invoices.models import Invoice, InvoiceLine
from service.reports.formats import FORMATS
from service.reports.kinds import BUILD_REPORT, REPORT_LAST_MONTH, BuildReport, ReportGone
from service.reports.models import Report
from service.reports.period import Period
from service.reports.requests import ask_for
from service.reports.schedule import MONTHLY
from tests.integration.actors.conftest import Claim, Configure, next_attempt
from tests.support.pdf import text as text_of

NOVEMBER = Period.month(2026, 11, "Europe/Berlin")
BEGIN = datetime(2026, 10, 20, tzinfo=UTC)
NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)
TOTALS = text(
    "SELECT currency, sum(coalesce(quantity * unit_price, 0))::numeric(60, 2) AS total"
    " FROM invoices"
    " LEFT JOIN invoice_lines ON invoice_id = invoices.id"
    " WHERE (created_at AT TIME ZONE :zone)::date BETWEEN :first AND :last GROUP BY currency"
)

build = ACTORS["report.build"].function


def invoice(
    currency: str, *amounts: str, customer: str = "Ada", at: datetime = NOON, quantity: int = 1
) -> Invoice:
    """An invoice with a line for each amount."""
    lines = [
        InvoiceLine(position=n, description="Tea", quantity=quantity, unit_price=Decimal(amount))
        for n, amount in enumerate(amounts)
    ]
    return Invoice(customer=customer, email="a@b.c", currency=currency, created_at=at, lines=lines)


@pytest.fixture
def ask(engine: Engine, claim: Claim, configure: Configure) -> Callable[..., Job]:
    """Asks for a report of November, and claims its job."""

    def ask(*formats: Any) -> Job:
        period, wanted = NOVEMBER, formats or FORMATS
        work = BUILD_REPORT(
            first_day=period.first_day, last_day=period.last_day, zone=period.zone, formats=wanted
        )
        job = claim(work)
        with Session(engine) as session, session.begin():
            report, found = ask_for(session, period, wanted)
            assert (report.id, found.is_duplicate) == (job.id, True)
        return job

    return ask


def payload(*formats: Any) -> BuildReport:
    """What the actor is given."""
    period = NOVEMBER
    return BuildReport(
        first_day=period.first_day,
        last_day=period.last_day,
        zone=period.zone,
        formats=formats or FORMATS,
    )


def stored(session: Session, report: Report, format_: str) -> bytes:
    """The file of the report."""
    assert report.files is not None
    name = find(session, UUID(report.files[format_]["file"])).name
    return documents().get(name)


# --- The figures ---


@st.composite
def invoices(draw_: Any) -> list[Invoice]:
    """Invoices around the end of summer time, which is in the night to 25 October 2026."""
    amount = st.decimals(-99_999_999, 99_999_999, places=2).map(str)
    return [
        invoice(
            draw_(st.sampled_from(["EUR", "JPY", "KWD", "USD"])),
            *draw_(st.lists(amount, max_size=3)),
            customer=draw_(st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
            at=BEGIN + timedelta(minutes=draw_(st.integers(0, 10 * 24 * 60))),
            quantity=draw_(st.integers(1, 1_000_000)),
        )
        for _ in range(draw_(st.integers(0, 8)))
    ]


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"])
DAYS = st.dates(date(2026, 10, 22), date(2026, 10, 28))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(invoices(), DAYS, DAYS, ZONES)
def test_the_totals_of_all_files_agree_with_sql_to_the_cent(
    engine: Engine, some: list[Invoice], one: date, other: date, zone: str
) -> None:
    period = Period(min(one, other), max(one, other), zone)
    days = {"zone": zone, "first": period.first_day, "last": period.last_day}
    with Session(engine) as session:
        session.add_all(some)
        session.flush()
        expected = {row.currency: row.total for row in session.execute(TOTALS, days)}
        figures = Figures(session, period)
        totals = figures.totals()
        in_csv = b"".join(csv_file.parts(figures.groups()))
        with xlsx_file.written(totals, figures.groups(), NOON) as file:
            book = openpyxl.load_workbook(file)
        pdf = draw(period, totals, figures.days(), figures.customers(), NOON)
        per_day = Counter[str]()
        for day in figures.days():
            assert period.first_day <= day.day <= period.last_day
            per_day[day.currency] += day.amount  # type: ignore[assignment]

    assert {each.currency: each.amount for each in totals} == expected
    assert _sums(csv.DictReader(io.StringIO(in_csv.decode(), newline=""))) == expected
    assert _sums(_rows(book["Invoiced"])) == _sums(_rows(book["Totals"])) == expected
    assert {currency: Decimal(amount) for currency, amount in per_day.items()} == expected
    text_ = text_of(pdf)
    assert [each for each, amount in expected.items() if f"{amount:,.2f}" not in text_] == []


def _rows(sheet: Any) -> Iterator[dict[str, Any]]:
    headings, *rows = sheet.iter_rows(values_only=True)
    return (dict(zip(headings, row, strict=True)) for row in rows)


def _sums(rows: Any) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for row in rows:
        # As a person reads it: what Excel shows of a number with two decimals.
        amount = Decimal(str(row["amount"])).quantize(Decimal("0.01"))
        found[row["currency"]] = found.get(row["currency"], Decimal()) + amount
    return found


@pytest.mark.parametrize("customer", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\uff1d1"])
def test_no_name_of_a_customer_is_computed_by_a_spreadsheet(
    session: Session, customer: str
) -> None:
    session.add(invoice("EUR", "-5.00", customer=customer))
    session.flush()
    figures = Figures(session, NOVEMBER)
    rows = csv.DictReader(io.StringIO(b"".join(csv_file.parts(figures.groups())).decode()))
    assert [(row["customer"], row["amount"]) for row in rows] == [(f"'{customer}", "-5.00")]
    with xlsx_file.written([], figures.groups(), NOON) as file:
        cell = openpyxl.load_workbook(file)["Invoiced"]["C2"]
    assert (cell.data_type, cell.value) == ("s", customer.replace("\r", "_x000D_"))


def test_an_amount_that_excel_would_round_is_a_text(session: Session) -> None:
    session.add(invoice("EUR", "99999999.99", quantity=100_000))
    session.add(invoice("USD", "99999999.99", quantity=100_001))
    session.flush()
    with xlsx_file.written(Figures(session, NOVEMBER).totals(), [], NOON) as file:
        found = {
            row["currency"]: row["amount"] for row in _rows(openpyxl.load_workbook(file)["Totals"])
        }
    assert found == {"EUR": 9999999999000.0, "USD": "10000099998999.99"}


def test_rows_come_through_a_cursor_and_a_full_sheet_goes_on_in_another(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.add_all(invoice("EUR", "1.00", customer=f"{n:04}") for n in range(25))
    session.flush()
    monkeypatch.setattr(xlsx_file, "LAST_ROW", 10)
    groups = Figures(session, NOVEMBER).groups()
    first = next(groups)
    assert session.scalar(text("SELECT count(*) FROM pg_cursors")) == 1
    with xlsx_file.written([], [first, *groups], NOON) as file:
        book = openpyxl.load_workbook(file)
    names = [row["customer"] for sheet in book.worksheets[1:] for row in _rows(sheet)]
    assert book.sheetnames == ["Totals", "Invoiced", "Invoiced 2", "Invoiced 3"]
    assert names == [f"{n:04}" for n in range(25)]


def test_all_figures_are_of_one_moment(ask: Callable[..., Job], session: Session) -> None:
    session.add(invoice("EUR", "1.00"))
    session.commit()
    with snapshot(ask()) as reading:
        figures = Figures(reading, NOVEMBER)
        totals = figures.totals()
        session.add(invoice("EUR", "2.00"))
        session.commit()
        assert [each.amount for each in figures.groups()] == [Decimal("1.00")]
        assert [each.amount for each in totals] == [Decimal("1.00")]


# --- Building ---


def test_the_files_are_the_reports_once_the_job_has_succeeded(
    ask: Callable[..., Job], session: Session
) -> None:
    session.add(invoice("EUR", "1.10", "2.20", customer="Ada", quantity=3))
    session.add(
        invoice("USD", "5.00", customer="Bob", at=datetime(2026, 10, 31, 23, 30, tzinfo=UTC))
    )
    session.commit()
    job = ask()
    build(payload(), job)
    report = session.get_one(Report, job.id)
    assert report.totals == [
        {"currency": "EUR", "invoices": 1, "lines": 2, "customers": 1, "amount": "9.90"},
        {"currency": "USD", "invoices": 1, "lines": 1, "customers": 1, "amount": "5.00"},
    ]
    assert report.built_at is not None
    assert report.expires_at == report.built_at + timedelta(days=90)
    assert stored(session, report, "csv").decode().splitlines() == [
        "currency,day,customer,invoices,lines,amount",
        "EUR,2026-11-05,Ada,1,2,9.90",
        "USD,2026-11-01,Bob,1,1,5.00",
    ]
    assert stored(session, report, "xlsx").startswith(b"PK")
    assert "November 2026" in text_of(stored(session, report, "pdf"))
    record = jobs.get(session, job.id)
    assert record is not None
    assert record.state == "succeeded"
    assert record.result["bytes"].keys() == {"csv", "xlsx", "pdf"}
    assert record.progress is not None
    assert (record.progress.done, record.progress.total) == (4, 6)


def test_only_the_formats_that_were_asked_for_are_built(
    ask: Callable[..., Job], session: Session
) -> None:
    job = ask("csv")
    build(payload("csv"), job)
    report = session.get_one(Report, job.id)
    assert report.files is not None
    assert [*report.files] == ["csv"]
    assert report.totals == []
    assert [file.media_type for file in session.query(File)] == [
        "text/csv; charset=utf-8; header=present"
    ]


def test_a_second_attempt_stores_the_same_bytes_by_other_names(
    ask: Callable[..., Job], session: Session, sql_now: psycopg.Connection
) -> None:
    session.add_all(invoice("EUR", "1.00", customer=f"{n}") for n in range(9))
    session.commit()
    job = ask()
    sql_now.execute("UPDATE duly.jobs SET dispatch = 2, attempt = 2 WHERE id = %s", [job.id])
    with pytest.raises(Superseded):
        build(payload(), job)
    assert session.get_one(Report, job.id).built_at is None
    first = {each: documents().get(f"reports/{job.id}/1.{each}") for each in FORMATS}
    session.expire_all()
    build(payload(), next_attempt(job))
    report = session.get_one(Report, job.id)
    assert {each: stored(session, report, each) for each in FORMATS} == first
    names = {file.name: file.state for file in session.query(File)}
    assert names == {
        f"reports/{job.id}/{dispatch}.{each}": state
        for dispatch, state in ((1, "storing"), (2, "stored"))
        for each in FORMATS
    }


def test_a_report_that_nobody_asked_for_is_gone_for_good(claim: Claim) -> None:
    job = claim(BUILD_REPORT(**payload().model_dump()))
    with pytest.raises(ReportGone) as gone:
        build(payload(), job)
    assert not BUILD_REPORT.retry.allows(gone.value)


# --- The monthly report ---


def test_each_tick_asks_for_the_month_before_it(
    engine: Engine, session: Session, configure: Configure
) -> None:
    configure(reports_zone="Europe/Berlin")
    schedules.create(session, MONTHLY, by="ops")
    session.commit()
    since = datetime(2026, 1, 15, tzinfo=UTC)
    schedules.backfill(session, MONTHLY.name, since, since + timedelta(days=60), by="ops")
    session.commit()
    ended = drain(ACTORS, engine)
    reports = session.query(Report).order_by(Report.first_day).all()
    assert [(str(each.period), each.zone) for each in reports] == [
        ("January 2026", "Europe/Berlin"),
        ("February 2026", "Europe/Berlin"),
    ]
    assert all(report.built_at for report in reports)
    assert Counter((job.kind, job.state) for job in ended) == {
        ("report.last_month", "succeeded"): 2,
        ("report.build", "succeeded"): 2,
    }


def test_a_monthly_report_that_is_being_built_is_not_asked_for_again(
    engine: Engine, session: Session, claim: Claim, configure: Configure
) -> None:
    job = claim(REPORT_LAST_MONTH())
    last = Period.month_before(datetime.now(UTC), "UTC")
    report, _ = ask_for(session, last, FORMATS)
    report_id = report.id
    session.commit()
    ACTORS["report.last_month"].function(REPORT_LAST_MONTH().payload, job)
    [only] = jobs.find(session, JobFilter(kind="report.build"))
    assert only.id == report_id
    assert session.query(Report).count() == 1
