"""The worker killed at each moment of a charge and of a refund; an answer lost; a replay.

The witness is the provider's own book: one charge for each invoice.
"""

from collections.abc import Iterator
from contextlib import closing
from threading import Event

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine, text

from dev.stripe.faults import LOSE_ANSWER, hold_answer
from dev.stripe.provider import KEY, Provider
from dev.stripe.server import StripeServer
from service.charging.kinds import PAYMENT_CHARGE
from service.charging.models import Payment
from service.settings import settings
from tests.faults import moments
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.support.engine.rabbit import Rabbit
from tests.support.outside.stripe import stripe_server
from tests.support.service.charges import AMOUNT, Charges
from tests.support.service.charging_machine import ChargingMachine
from tests.support.wait import wait_for

LAST_ATTEMPT = text("UPDATE duly.jobs SET attempt_limit = 1")
LETTERS = text("SELECT id FROM duly.dead_letters WHERE closed_at IS NULL")


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with stripe_server(Provider()) as server:
        yield server


@pytest.fixture
def provider(server: StripeServer) -> Provider:
    return server.provider


@pytest.fixture
def charges(line: Line, engine: Engine, server: StripeServer, amqp_url: str) -> Charges:
    """Charges, for workers of the service's own actors."""
    line.environment |= {
        "DULY_ACTORS": "actors:ACTORS",
        "DULY_STRIPE_URL": server.url,
        "DULY_STRIPE_KEY": KEY,
    }
    with closing(Rabbit(amqp_url)) as rabbit:
        rabbit.delete(PAYMENT_CHARGE.queue)
        rabbit.declare(PAYMENT_CHARGE.queue)
    return Charges(engine)


def wait_for_success(charges: Charges, payment: Payment) -> None:
    wait_for("the payment is settled", lambda: charges.outcome(payment)[0] == "succeeded")


def wait_until_quiet(engine: Engine) -> None:
    left = text("SELECT count(*) FROM duly.jobs WHERE state IN ('queued', 'running')")

    def is_quiet() -> bool:
        with engine.connect() as connection:
            return bool(connection.scalar(left) == 0)

    wait_for("no job is left", is_quiet)


@pytest.mark.parametrize("forgets", [False, True], ids=["", "keys-forgotten"])
@points(moments.CHARGING)
def test_as_it_charges(
    moment: Moment,
    line: Line,
    charges: Charges,
    engine: Engine,
    provider: Provider,
    *,
    forgets: bool,
) -> None:
    payment = charges.charge()
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    if forgets:
        provider.keys.forget()
    line.start("worker")
    wait_for_success(charges, payment)
    wait_until_quiet(engine)
    assert provider.book.charged(payment.invoice_id) == [AMOUNT]


@pytest.mark.parametrize("forgets", [False, True], ids=["", "keys-forgotten"])
@points(moments.REFUNDING)
def test_as_it_refunds(
    moment: Moment,
    line: Line,
    charges: Charges,
    engine: Engine,
    provider: Provider,
    *,
    forgets: bool,
) -> None:
    payment = charges.charge()
    line.start("relay")
    (worker,) = line.start("worker")
    wait_for_success(charges, payment)
    wait_until_quiet(engine)
    worker.terminate()
    worker.wait()
    charges.refund(payment)
    assert has_crashed(line.start_doomed(moment, "worker"))
    if forgets:
        provider.keys.forget()
    line.start("worker")
    wait_for("it is refunded", lambda: charges.refunds(payment) == [("succeeded", AMOUNT)])
    wait_until_quiet(engine)
    assert provider.book.returned(payment.invoice_id) == [AMOUNT]


@pytest.mark.slow
@pytest.mark.parametrize("call", ["create", "confirm"])
def test_as_it_waits_for_the_answer(
    call: str, line: Line, charges: Charges, engine: Engine, provider: Provider
) -> None:
    answer = Event()
    provider.faults.add(call, hold_answer(answer))
    payment = charges.charge()
    _, worker = line.start("relay", "worker")
    wait_for("it is asked", lambda: call in provider.requests)
    worker.kill()
    line.start("worker")
    wait_for_success(charges, payment)
    answer.set()
    wait_until_quiet(engine)
    assert provider.book.charged(payment.invoice_id) == [AMOUNT]


@pytest.mark.slow
def test_a_job_that_is_cancelled_while_it_waits_for_the_answer_records_it(
    line: Line, charges: Charges, engine: Engine, provider: Provider
) -> None:
    answer = Event()
    provider.faults.add("confirm", hold_answer(answer))
    payment = charges.charge()
    line.start("relay", "worker")
    wait_for("it is asked", lambda: "confirm" in provider.requests)
    with engine.connect() as connection:
        job_id = connection.scalar(text("SELECT id FROM duly.jobs"))
    line.duly("jobs", "cancel", str(job_id))
    answer.set()
    wait_until_quiet(engine)
    assert charges.outcome(payment) == ("succeeded", None)


@pytest.mark.slow
def test_a_charge_whose_answer_was_lost_dies_and_is_replayed_days_later(
    line: Line, charges: Charges, engine: Engine, provider: Provider
) -> None:
    provider.faults.add("confirm", LOSE_ANSWER)
    payment = charges.charge()
    with engine.begin() as connection:
        connection.execute(LAST_ATTEMPT)
    line.start("relay", "worker")
    letter = wait_for("it is dead", lambda: _letter(engine))
    provider.keys.forget()
    assert charges.outcome(payment) == ("open", None)
    line.duly("dlq", "replay", str(letter), "--why", "the network is back", "--yes")
    wait_for_success(charges, payment)
    assert provider.book.charged(payment.invoice_id) == [AMOUNT]


def _letter(engine: Engine) -> int | None:
    with engine.connect() as connection:
        letter: int | None = connection.scalar(LETTERS)
    return letter


@pytest.mark.slow
def test_a_hundred_charges_whose_workers_are_killed_again_and_again(
    line: Line, charges: Charges, engine: Engine, provider: Provider
) -> None:
    payments = [charges.charge() for _ in range(100)]
    line.start("relay")
    for number in range(1, 5):
        (worker,) = line.start("worker")
        wait_for("some are charged", lambda: len(provider.book.movements) >= number * 15)  # noqa: B023
        worker.kill()
        provider.keys.forget()
    line.start("worker")
    for payment in payments:
        wait_for_success(charges, payment)
    wait_until_quiet(engine)
    assert [provider.book.charged(each.invoice_id) for each in payments] == [[AMOUNT]] * 100


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_money_moves_once(
    engine: Engine,
    database_url: str,
    server: StripeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (
        ("DATABASE_URL", database_url),
        ("DULY_STRIPE_URL", server.url),
        ("DULY_STRIPE_KEY", KEY),
    ):
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    many = hypothesis.settings(max_examples=40, stateful_step_count=15, deadline=None)
    run_state_machine_as_test(ChargingMachine.at(engine, server.provider), settings=many)
    settings.cache_clear()
