"""The tests' payment provider keeps to Stripe's protocol where the proofs rely on it."""

from threading import Event, Thread
from time import time
from urllib.parse import urlencode

import pytest
import stripe

from dev.stripe.answers import Answer
from dev.stripe.events import signature
from dev.stripe.faults import FAIL, FAIL_AFTER, Fault, Work
from dev.stripe.provider import KEY, Provider, Request

INTENT = {"amount": "1990", "currency": "eur", "payment_method": "pm_card_visa"}


@pytest.fixture
def provider() -> Provider:
    return Provider()


def post(provider: Provider, path: str, key: str | None = None, **params: str) -> Answer:
    """What the provider answers to a POST."""
    return provider.answer(Request("POST", path, urlencode(params), f"Bearer {KEY}", key))


def test_a_key_is_answered_as_before_and_the_work_is_done_once(provider: Provider) -> None:
    first, again = (post(provider, "/v1/payment_intents", "a", **INTENT) for _ in range(2))
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(provider.book.intents) == 1
    provider.keys.forget()
    post(provider, "/v1/payment_intents", "a", **INTENT)
    assert len(provider.book.intents) == 2


@pytest.mark.parametrize(("fault", "made"), [(FAIL, 0), (FAIL_AFTER, 1)])
def test_a_500_is_repeated_for_its_key(provider: Provider, fault: Fault, made: int) -> None:
    provider.faults.add("create", fault)
    answers = [post(provider, "/v1/payment_intents", "a", **INTENT) for _ in range(2)]
    assert [each.status for each in answers] == [500, 500]
    assert len(provider.book.intents) == made


def test_a_key_with_other_parameters_is_refused(provider: Provider) -> None:
    post(provider, "/v1/payment_intents", "a", **INTENT)
    other = post(provider, "/v1/payment_intents", "a", **INTENT | {"amount": "5"})
    assert (other.status, other.body["error"]["type"]) == (400, "idempotency_error")


def test_a_key_whose_request_still_runs_is_a_conflict(provider: Provider) -> None:
    begun, go_on = Event(), Event()

    def wait(work: Work) -> Answer:
        begun.set()
        go_on.wait(10)
        return work()

    provider.faults.add("create", Fault(in_server=wait))
    first = Thread(target=post, args=(provider, "/v1/payment_intents", "a"), kwargs=INTENT)
    first.start()
    assert begun.wait(10)
    assert post(provider, "/v1/payment_intents", "a", **INTENT).status == 409
    go_on.set()
    first.join()
    assert post(provider, "/v1/payment_intents", "a", **INTENT).status == 200


def test_a_confirmed_intent_moves_no_more_money(provider: Provider) -> None:
    intent = post(provider, "/v1/payment_intents", **INTENT).body["id"]
    confirm = f"/v1/payment_intents/{intent}/confirm"
    assert [post(provider, confirm, key).status for key in "ab"] == [200, 400]
    assert post(provider, f"/v1/payment_intents/{intent}/cancel").status == 400
    assert [each.amount for each in provider.book.movements] == [1990]


def test_no_more_is_refunded_than_was_charged(provider: Provider) -> None:
    intent = post(provider, "/v1/payment_intents", **INTENT).body["id"]
    unpaid = post(provider, "/v1/refunds", payment_intent=intent)
    post(provider, f"/v1/payment_intents/{intent}/confirm")
    amounts = {"payment_intent": intent, "amount": "1000"}
    assert [post(provider, "/v1/refunds", **amounts).status for _ in range(2)] == [200, 400]
    assert unpaid.status == 400


def test_events_are_signed_as_stripes_own_client_expects() -> None:
    body, moment = '{"id": "evt_1", "object": "event"}', int(time())
    header = signature(body, "whsec_test", moment)
    event = stripe.Webhook.construct_event(body, header, "whsec_test")
    assert event.id == "evt_1"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, "whsec_other")


def test_a_stranger_is_turned_away(provider: Provider) -> None:
    assert provider.answer(Request("GET", "/v1/refunds", "", "Bearer sk_other")).status == 401
