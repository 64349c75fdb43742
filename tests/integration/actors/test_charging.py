"""Charging at a provider that loses answers, breaks down, and forgets idempotency keys."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from actors import ACTORS
from dev.stripe.faults import FAIL, FAIL_AFTER, LOSE_ANSWER, LOSE_REQUEST, Fault, busy
from dev.stripe.provider import KEY, Provider
from dev.stripe.server import StripeServer
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter, JobRecord
from outbox.testing import drain
from service.charging.kinds import PAYMENT_CHARGE, PAYMENT_SETTLED
from service.charging.models import Payment, Refund, RefundState
from tests.integration.actors.conftest import Configure
from tests.support.outside.stripe import stripe_server
from tests.support.service.charges import AMOUNT, Charges
from tests.support.service.charging_machine import ChargingMachine

DAY = timedelta(days=1)
FAULTS = (LOSE_ANSWER, LOSE_REQUEST, FAIL, FAIL_AFTER)
FORGETS = pytest.mark.parametrize("forgets", [False, True], ids=["keys kept", "keys forgotten"])


@pytest.fixture(scope="module")
def server() -> Iterator[StripeServer]:
    with stripe_server(Provider()) as server:
        yield server


@pytest.fixture
def provider(server: StripeServer, configure: Configure) -> Provider:
    """A provider of this test's own, at the address in the settings."""
    server.provider = Provider()
    configure(stripe_url=server.url, stripe_key=KEY)
    return server.provider


@pytest.fixture
def charges(engine: Engine, provider: Provider) -> Charges:
    return Charges(engine)


def work(engine: Engine) -> list[JobRecord]:
    """Run what is due within a day."""
    return drain(ACTORS, engine, until=datetime.now(UTC) + DAY)


def test_a_payment_is_charged(charges: Charges, engine: Engine, provider: Provider) -> None:
    payment = charges.charge()
    [job] = work(engine)
    assert job.state == "succeeded"
    assert job.result == {"payment_id": str(payment.id), "state": "succeeded", "why": None}
    assert charges.outcome(payment) == ("succeeded", None)
    assert provider.book.charged(payment.invoice_id) == [AMOUNT]
    [intent] = provider.book.intents.values()
    assert (intent["id"], intent["currency"]) == (charges.payment(payment).intent_id, "eur")


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "insufficient_funds: Your card has insufficient funds.",
        ),
        ("pm_card_stolen_token", "No such PaymentMethod: 'pm_card_stolen_token'"),
    ],
)
def test_a_card_that_is_declined_is_an_outcome_after_which_another_is_charged(
    charges: Charges, engine: Engine, provider: Provider, card: str, why: str
) -> None:
    payment = charges.charge(card)
    [job] = work(engine)
    assert (job.state, job.attempt) == ("succeeded", 1)
    assert charges.outcome(payment) == ("declined", why)
    again = charges.charge(invoice_id=payment.invoice_id)
    work(engine)
    assert charges.outcome(again) == ("succeeded", None)
    assert provider.book.charged(payment.invoice_id) == [AMOUNT]


@FORGETS
def test_whatever_goes_wrong_with_a_call_an_invoice_is_charged_once(
    charges: Charges, engine: Engine, provider: Provider, *, forgets: bool
) -> None:
    for call in ("create", "retrieve", "confirm"):
        payments = [charges.charge() for _ in FAULTS]
        provider.faults.add(call, *FAULTS)
        drain(ACTORS, engine)
        if forgets:
            provider.keys.forget()
        work(engine)
        for payment in payments:
            assert charges.outcome(payment) == ("succeeded", None)
            assert provider.book.charged(payment.invoice_id) == [AMOUNT]


def test_a_rate_limit_spends_no_attempt_and_pauses_the_other_charges(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    provider.faults.add("create", busy(600))
    charges.charge()
    charges.charge()
    states = {(job.state, job.attempt) for job in drain(ACTORS, engine)}
    assert states == {("queued", 0)}
    assert provider.requests == ["create"]


def test_jobs_of_a_payment_that_has_ended_move_no_money(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    payment = charges.charge()
    work(engine)
    provider.keys.forget()
    for again in (charges.charging(payment), charges.cancelling(payment)):
        charges.submit(again)
        [job] = work(engine)
        assert job.result["state"] == "succeeded"
    assert provider.book.charged(payment.invoice_id) == [AMOUNT]


def test_what_the_bank_decides_later_is_recorded_by_the_providers_event(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    payment = charges.charge("pm_usBankAccount")
    [waiting] = drain(ACTORS, engine)
    assert (waiting.state, waiting.attempt) == ("queued", 0)
    charges.submit(charges.settling(payment))
    drain(ACTORS, engine)
    assert charges.outcome(payment) == ("open", None)
    provider.book.finish(charges.payment(payment).intent_id or "", "succeeded")
    for _ in range(2):
        charges.submit(charges.settling(payment))
    drain(ACTORS, engine)
    assert charges.outcome(payment) == ("succeeded", None)
    assert [job.state for job in work(engine)] == ["succeeded"]
    assert provider.requests.count("confirm") == 1


def test_the_job_itself_sees_what_the_bank_has_decided_where_no_event_comes(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    payment = charges.charge("pm_usBankAccount")
    drain(ACTORS, engine)
    provider.book.finish(charges.payment(payment).intent_id or "", "requires_payment_method")
    work(engine)
    assert charges.outcome(payment) == ("declined", "declined: It was declined.")


def test_a_payment_that_the_customer_does_not_authenticate_in_a_day_is_cancelled(
    charges: Charges, engine: Engine, provider: Provider, sql_now: psycopg.Connection
) -> None:
    payment = charges.charge("pm_customer_must_act")
    drain(ACTORS, engine)
    assert charges.outcome(payment) == ("open", None)
    _make_older(sql_now, payment, DAY)
    work(engine)
    assert charges.outcome(payment)[0] == "cancelled"
    [intent] = provider.book.intents.values()
    assert intent["status"] == "canceled"


def test_a_bank_that_does_not_decide_in_a_month_is_looked_into_by_a_person(
    charges: Charges, engine: Engine, session: Session, sql_now: psycopg.Connection
) -> None:
    payment = charges.charge("pm_usBankAccount")
    _make_older(sql_now, payment, 31 * DAY)
    [job] = drain(ACTORS, engine)
    [attempt] = jobs.attempts(session, job.id)
    assert attempt.error_type == "NotSettled"
    assert charges.outcome(payment) == ("open", None)


def test_a_payment_is_cancelled_before_it_is_tried(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    provider.faults.add("create", FAIL)
    payment = charges.charge()
    drain(ACTORS, engine)
    charges.submit(charges.cancelling(payment))
    drain(ACTORS, engine)
    assert charges.outcome(payment) == ("cancelled", "nothing was charged yet")
    work(engine)
    assert provider.book.movements == []


@pytest.mark.parametrize(
    ("fault", "outcome", "charged"),
    [
        (LOSE_REQUEST, ("cancelled", None), []),
        (LOSE_ANSWER, ("succeeded", None), [AMOUNT]),
    ],
    ids=["in time", "too late"],
)
def test_a_payment_is_cancelled_unless_money_has_moved(
    charges: Charges,
    engine: Engine,
    provider: Provider,
    fault: Fault,
    outcome: tuple[str, str | None],
    charged: list[int],
) -> None:
    provider.faults.add("confirm", fault)
    payment = charges.charge()
    drain(ACTORS, engine)
    charges.submit(charges.cancelling(payment))
    work(engine)
    assert charges.outcome(payment) == outcome
    assert provider.book.charged(payment.invoice_id) == charged


def test_an_event_about_an_intent_that_no_payment_has_is_left_alone(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    params = {"amount": "100", "currency": "eur"}
    charges.submit(PAYMENT_SETTLED(intent_id=provider.book.create(params)["id"]))
    [job] = work(engine)
    assert (job.state, job.result) == ("succeeded", {"payment_id": None})


def test_money_that_moved_after_all_is_recorded(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    payment = charges.charge("pm_card_visa_chargeDeclined")
    work(engine)
    provider.book.finish(charges.payment(payment).intent_id or "", "succeeded")
    charges.submit(charges.settling(payment))
    work(engine)
    assert charges.outcome(payment) == ("succeeded", None)


def test_a_payment_that_is_not_there_is_dead_at_once(
    charges: Charges, engine: Engine, session: Session
) -> None:
    charges.submit(PAYMENT_CHARGE(payment_id=uuid4(), invoice_id=uuid4()))
    [job] = work(engine)
    assert (job.state, job.attempt) == ("dead", 1)


@pytest.mark.parametrize(
    ("key", "error"), [("", "NoKey"), ("sk_test_of_another_account", "AuthenticationError")]
)
def test_without_the_right_key_a_charge_waits_until_somebody_has_set_it(
    charges: Charges, engine: Engine, session: Session, configure: Configure, key: str, error: str
) -> None:
    payment = charges.charge()
    configure(stripe_key=key)
    [job] = drain(ACTORS, engine)
    [attempt] = jobs.attempts(session, job.id)
    assert (attempt.error_type, charges.outcome(payment)[0]) == (error, "open")
    configure(stripe_key=KEY)
    work(engine)
    assert charges.outcome(payment) == ("succeeded", None)


@FORGETS
def test_whatever_goes_wrong_with_a_call_money_is_given_back_once(
    charges: Charges, engine: Engine, provider: Provider, *, forgets: bool
) -> None:
    for call in ("list", "refund"):
        payments = [charges.charge() for _ in FAULTS]
        work(engine)
        for payment in payments:
            charges.refund(payment, Decimal("5.00"))
        provider.faults.add(call, *FAULTS)
        drain(ACTORS, engine)
        if forgets:
            provider.keys.forget()
        work(engine)
        for payment in payments:
            assert charges.refunds(payment) == [("succeeded", 500)]
            assert provider.book.returned(payment.invoice_id) == [500]


def test_parts_are_refunded_until_nothing_is_left(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    payment = charges.charge()
    work(engine)
    charges.refund(payment, Decimal("5.00"))
    rest = charges.refund(payment)
    work(engine)
    charges.submit(charges.refunding(rest, payment))
    work(engine)
    assert charges.refunds(payment) == [("succeeded", 500), ("succeeded", 1490)]
    assert provider.book.returned(payment.invoice_id) == [500, 1490]


def test_a_refund_that_the_provider_refuses_has_failed(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    payment = charges.charge()
    work(engine)
    elsewhere = {"payment_intent": charges.payment(payment).intent_id, "amount": "1000"}
    provider.book.refund(elsewhere)
    charges.refund(payment)
    [job] = work(engine)
    assert (job.state, job.result["state"]) == ("succeeded", "failed")
    assert "greater than unrefunded amount" in job.result["why"]
    assert charges.refunds(payment) == [("failed", AMOUNT)]


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_refund_that_the_bank_decides_later_is_recorded(
    charges: Charges, engine: Engine, provider: Provider, status: str
) -> None:
    payment = charges.charge("pm_card_pendingRefund")
    drain(ACTORS, engine)
    charges.refund(payment)
    drain(ACTORS, engine)
    assert charges.refunds(payment) == [("open", AMOUNT)]
    [refund_id] = provider.book.refunds
    provider.book.finish_refund(refund_id, status)
    charges.submit(charges.settling(payment))
    drain(ACTORS, engine)
    assert charges.refunds(payment) == [(status, AMOUNT)]
    assert [job.state for job in work(engine)] == ["succeeded"]


def test_a_refund_that_came_back_is_not_taken_for_one_that_succeeded_before(
    charges: Charges, engine: Engine, provider: Provider
) -> None:
    payment = charges.charge("pm_card_pendingRefund")
    drain(ACTORS, engine)
    refund = charges.refund(payment)
    drain(ACTORS, engine)
    [refund_id] = provider.book.refunds
    provider.book.finish_refund(refund_id, "succeeded")
    charges.submit(charges.settling(payment))
    with Session(engine) as session, ThreadPoolExecutor(1) as threads:
        # What another job has heard since then, and is about to commit.
        row = session.get_one(Refund, refund.id, with_for_update=True)
        row.settle(RefundState.FAILED, "it came back", refund_id)
        session.flush()
        settling = threads.submit(drain, ACTORS, engine)
        wait([settling], timeout=2)
        session.commit()
        settling.result(30)
    assert charges.refunds(payment) == [("failed", AMOUNT)]


def test_what_people_see_of_a_job_tells_no_card(charges: Charges, session: Session) -> None:
    charges.charge("pm_card_visa")
    [job] = jobs.find(session, JobFilter(kind="payment.charge"))
    assert "pm_card" not in str(job)


def test_whatever_happens_money_moves_once(engine: Engine, provider: Provider) -> None:
    few = hypothesis.settings(max_examples=4, stateful_step_count=10, deadline=None)
    run_state_machine_as_test(ChargingMachine.at(engine, provider), settings=few)


def _make_older(sql_now: psycopg.Connection, payment: Payment, by: timedelta) -> None:
    move = "UPDATE payments SET created_at = created_at - %s::interval WHERE id = %s"
    sql_now.execute(move, [by, payment.id])
