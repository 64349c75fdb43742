"""Month ends: at a provider, a mail server and a document store that are real."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from actors import ACTORS
from actors.closings import NEXT
from dev.stripe.provider import KEY, Provider
from outbox import batch, flush_jobs, submit
from outbox.operations import batches, dead_letters
from outbox.operations.dead_letters import DeadLetterFilter
from outbox.testing import drain
from service.closings.kinds import CLOSING_BEGIN, CLOSING_GO_ON, Stage
from service.closings.models import Closing
from service.closings.progress import Counts, counts
from service.invoices.models import Invoice, InvoiceLine
from service.mail.kinds import SEND_EMAIL
from service.reports.models import Report
from tests.integration.actors.conftest import Configure
from tests.support.outside.mail_server import Inbox, mail_server
from tests.support.outside.stripe import stripe_server

MONTHS = timedelta(days=60)
DECLINED = "pm_card_visa_chargeDeclined"

Invoices = Callable[[Sequence[str | None]], list[UUID]]


@pytest.fixture
def provider(configure: Configure) -> Iterator[Provider]:
    with stripe_server(Provider()) as server:
        configure(stripe_url=server.url, stripe_key=KEY)
        yield server.provider


@pytest.fixture
def inbox(configure: Configure) -> Iterator[Inbox]:
    inbox = Inbox()
    with mail_server(inbox) as address:
        configure(smtp_url=f"smtp://{address}")
        yield inbox


@pytest.fixture
def invoices(engine: Engine) -> Invoices:
    """Makes an invoice of 7.00 for each of these cards; None is a customer without one."""

    def make(cards: Sequence[str | None]) -> list[UUID]:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            made = [invoice(card, f"c{number}@example.com") for number, card in enumerate(cards)]
            session.add_all(made)
        return [each.id for each in made]

    return make


def invoice(card: str | None, email: str) -> Invoice:
    line = InvoiceLine(position=1, description="Tea", quantity=2, unit_price=Decimal("3.50"))
    return Invoice(
        customer="Ada",
        email=email,
        currency="EUR",
        payment_method=card,
        at_month_end=True,
        lines=[line],
        payments=[],
    )


@pytest.fixture
def closing(engine: Engine) -> Closing:
    """A closing of this month, with its first job."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        closing = Closing(month=f"{datetime.now(UTC):%Y-%m}")
        session.add(closing)
        session.flush()
        submit(session, CLOSING_BEGIN(closing_id=closing.id), subject=closing.subject)
    return closing


def work(engine: Engine) -> None:
    """Run all that is due within two months: what is retried for weeks is dead then."""
    drain(ACTORS, engine, until=datetime.now(UTC) + MONTHS)


def look(engine: Engine, closing: Closing) -> tuple[bool, dict[Stage, Counts]]:
    """Whether the closing is complete, and the jobs of its stages."""
    with Session(engine) as session:
        now = session.get_one(Closing, closing.id)
        return now.completed_at is not None, counts(session, now)


def replay_the_dead(engine: Engine, closing: Closing) -> int:
    """As `duly dlq replay --batch` does."""
    with Session(engine) as session, session.begin():
        batch_id = session.get_one(Closing, closing.id).batch_id
        ids = list(dead_letters.matching(session, DeadLetterFilter(batch=batch_id)))
        return len(dead_letters.replay(session, ids, by="ann"))


def test_a_month_is_charged_rendered_and_mailed(
    engine: Engine, invoices: Invoices, closing: Closing, provider: Provider, inbox: Inbox
) -> None:
    paid, declined, without_card = invoices(["pm_card_visa", DECLINED, None])
    work(engine)
    three = Counts(jobs=3, succeeded=3)
    assert look(engine, closing) == (
        True,
        {Stage.CHARGE: Counts(jobs=2, succeeded=2), Stage.RENDER: three, Stage.MAIL: three},
    )
    assert provider.book.charged(paid) == [700]
    assert provider.book.charged(declined) == []
    assert sorted(str(mail["To"]) for mail in inbox.messages()) == [
        *("c0@example.com", "c1@example.com", "c2@example.com")
    ]
    with Session(engine) as session:
        assert session.get_one(Invoice, without_card).pdf is not None
        batch_id = session.get_one(Closing, closing.id).batch_id
        assert batch_id is not None
        whole = batches.get(session, batch_id)
        assert whole is not None
        assert (whole.state, whole.members) == ("succeeded", 3)
        report = session.get_one(Report, session.get_one(Closing, closing.id).report_id)
        assert report.built_at is not None
        assert [(each["currency"], each["amount"]) for each in report.totals or ()] == [
            ("EUR", "21.00")
        ]


def test_the_replay_of_failed_charges_completes_the_month(
    engine: Engine,
    invoices: Invoices,
    closing: Closing,
    provider: Provider,
    inbox: Inbox,
    configure: Configure,
) -> None:
    first, second, _ = invoices(["pm_card_visa", "pm_card_visa", None])
    configure(stripe_key="sk_test_revoked")
    work(engine)
    is_complete, stages = look(engine, closing)
    assert not is_complete
    assert stages[Stage.CHARGE] == Counts(jobs=2, dead=2)
    assert stages[Stage.MAIL] == Counts(jobs=1, succeeded=1)
    configure(stripe_key=KEY)
    assert replay_the_dead(engine, closing) == 2
    work(engine)
    is_complete, stages = look(engine, closing)
    assert is_complete
    assert {each.succeeded for each in stages.values()} == {2, 3}
    assert [provider.book.charged(each) for each in (first, second)] == [[700], [700]]
    assert len(inbox.messages()) == 3


def test_one_refused_mail_leaves_the_month_incomplete_until_it_is_settled(
    engine: Engine, invoices: Invoices, closing: Closing, provider: Provider, inbox: Inbox
) -> None:
    invoices(["pm_card_visa"])
    inbox.to_recipient = "550 nobody here"
    work(engine)
    is_complete, stages = look(engine, closing)
    assert (is_complete, stages[Stage.MAIL]) == (False, Counts(jobs=1, dead=1))
    with Session(engine) as session, session.begin():
        ids = list(dead_letters.matching(session, DeadLetterFilter()))
        dead_letters.discard(session, ids, by="ann")
        submit(session, CLOSING_GO_ON(closing_id=closing.id, after=Stage.CHARGE))
    work(engine)
    is_complete, stages = look(engine, closing)
    assert (is_complete, stages[Stage.MAIL]) == (True, Counts(jobs=1, cancelled=1))


def test_a_month_without_invoices_completes(
    engine: Engine, closing: Closing, configure: Configure
) -> None:
    work(engine)
    is_complete, stages = look(engine, closing)
    assert is_complete
    assert set(stages.values()) == {Counts()}


def test_going_on_twice_does_nothing_twice(
    engine: Engine, invoices: Invoices, closing: Closing, provider: Provider, inbox: Inbox
) -> None:
    invoices(["pm_card_visa"])
    with Session(engine) as session, session.begin():
        for stage in Stage:
            submit(session, CLOSING_GO_ON(closing_id=closing.id, after=stage))
    work(engine)
    assert look(engine, closing)[0]
    assert len(inbox.messages()) == 1


def test_a_second_job_that_begins_does_nothing(
    engine: Engine, invoices: Invoices, closing: Closing, provider: Provider, inbox: Inbox
) -> None:
    invoices(["pm_card_visa"])
    with Session(engine) as session, session.begin():
        submit(session, CLOSING_BEGIN(closing_id=closing.id))
    work(engine)
    one = Counts(jobs=1, succeeded=1)
    assert look(engine, closing) == (True, dict.fromkeys(Stage, one))
    assert len(inbox.messages()) == 1


def test_a_month_with_mails_that_were_not_counted_yet_is_not_complete(
    engine: Engine, invoices: Invoices, closing: Closing, provider: Provider, inbox: Inbox
) -> None:
    invoices(["pm_card_visa"])
    work(engine)
    with Session(engine) as session, session.begin():
        # As if a last mail had just been submitted: nobody has counted its batch.
        now = session.get_one(Closing, closing.id)
        now.completed_at = None
        with batch(session, subject=now.subject_of(Stage.MAIL)) as last:
            submit(session, SEND_EMAIL(to="late@example.com", subject="Late", text="Tea"))
        flush_jobs(session)
        within = {"whole": now.batch_id, "last": last.id}
        session.execute(text("UPDATE duly.batches SET parent_id = :whole WHERE id = :last"), within)
        NEXT[Stage.MAIL](session, now)
        assert now.completed_at is None
