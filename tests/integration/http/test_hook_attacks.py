"""What is not signed by a known source is refused, with one answer, and stores nothing."""

import json
import time
from typing import Any

import httpx2
import pytest

from tests.integration.http.hooks import Hooks, new_id
from tests.integration.http.raw import connect, head, status
from tests.support.outside.senders import SECRET, standard_headers, stripe_event, stripe_headers

OTHER_SECRET = "whsec_b25seSBhbiBleGFtcGxlLCBhbmQgbm90IG91cnM="
BODY = stripe_event("evt_attack")
EVENT_ID = "msg_attack"


def standard() -> dict[str, str]:
    """Good headers of now: made for each test, as they are good for five minutes."""
    return standard_headers(BODY, EVENT_ID)


def stripe() -> str:
    """A good signature of now."""
    return str(stripe_headers(BODY)["Stripe-Signature"])


def bad_stripe() -> dict[str, Any]:
    """Headers that Stripe did not send, by what is wrong with them."""
    at, signature = str(int(time.time())), stripe()
    good = signature.partition(",")[2]
    return {
        "no header": {},
        "an empty header": {"Stripe-Signature": ""},
        "two headers": [("Stripe-Signature", signature)] * 2,
        "another secret": stripe_headers(BODY, OTHER_SECRET),
        "an old one": stripe_headers(BODY, age_seconds=301),
        "an altered time": {"Stripe-Signature": f"t={int(at) + 1},{good}"},
        "an older scheme": {"Stripe-Signature": signature.replace("v1=", "v0=")},
        "a later scheme": {"Stripe-Signature": signature.replace("v1=", "v2=")},
        "no time": {"Stripe-Signature": good},
        "a time that is no number": {"Stripe-Signature": f"t=now,{good}"},
        "a huge time": {"Stripe-Signature": f"t={'9' * 5000},{good}"},
        "a signature that is no ASCII": {b"Stripe-Signature": f"t={at},v1=\xe9".encode("latin-1")},
        "many signatures": {"Stripe-Signature": f"t={at}" + f",v1={'0' * 64}" * 400},
        "garbage": {"Stripe-Signature": ",=,=,==v1"},
        "an API key in its place": {"Authorization": "Bearer duly_x"},
    }


def bad_standard() -> dict[str, Any]:
    """Headers that the source did not send, by what is wrong with them."""
    good = standard()
    signature = good["webhook-signature"]
    return {
        "no header": {},
        "no id": {**good, "webhook-id": ""},
        "two ids": [*good.items(), ("webhook-id", EVENT_ID)],
        "another id": {**good, "webhook-id": "msg_other"},
        "another secret": standard_headers(BODY, EVENT_ID, OTHER_SECRET),
        "an old one": standard_headers(BODY, EVENT_ID, age_seconds=302),
        "one of the future": standard_headers(BODY, EVENT_ID, age_seconds=-400),
        "another version": {**good, "webhook-signature": signature.replace("v1,", "v1a,")},
        "no version": {**good, "webhook-signature": signature[3:]},
        "no base64": {**good, "webhook-signature": "v1,a"},
        "a signature that is no ASCII": {
            **good,
            b"webhook-signature": "v1,\xe9".encode("latin-1"),
        },
        "a time that is no number": {**good, "webhook-timestamp": "nan"},
        "an endless time": {**good, "webhook-timestamp": "1e400"},
    }


@pytest.mark.parametrize("wrong", bad_stripe())
def test_what_stripe_did_not_sign_is_refused(hooks: Hooks, wrong: str) -> None:
    _assert_refused(hooks, hooks.send("stripe", BODY, bad_stripe()[wrong]))


@pytest.mark.parametrize("wrong", bad_standard())
def test_what_the_source_did_not_sign_is_refused(hooks: Hooks, wrong: str) -> None:
    _assert_refused(hooks, hooks.send("crm", BODY, bad_standard()[wrong]))


@pytest.mark.parametrize("source", ["nobody", "Stripe", "stripe%20", "%F0%9F%98%80"])
def test_an_unknown_source_gets_the_answer_of_a_wrong_signature(hooks: Hooks, source: str) -> None:
    _assert_refused(hooks, hooks.send(source, BODY, standard()))


@pytest.mark.parametrize(
    "body", [BODY + b" ", BODY.replace(b"pi_1", b"pi_2"), b"", b"\xff" + BODY, BODY[:-1]]
)
def test_an_altered_body_is_refused(hooks: Hooks, body: bytes) -> None:
    _assert_refused(hooks, hooks.send("stripe", body, {"Stripe-Signature": stripe()}))
    _assert_refused(hooks, hooks.send("crm", body, standard()))


def test_an_event_of_one_source_is_none_of_another(hooks: Hooks) -> None:
    secret = hooks.operator.post("/v1/hook-sources", json={"name": "other"}).json()["secret"]

    _assert_refused(hooks, hooks.send("other", BODY, standard()))
    _assert_refused(hooks, hooks.from_crm(BODY, EVENT_ID, secret=secret))


def test_a_recorded_event_does_nothing_within_the_five_minutes_and_is_refused_after_them(
    hooks: Hooks,
) -> None:
    body = stripe_event(new_id(), id=(intent := new_id("pi")))
    recorded = stripe_headers(body, age_seconds=290)
    first, again = (hooks.send("stripe", body, recorded) for _ in range(2))
    late = hooks.send("stripe", body, stripe_headers(body, age_seconds=302))

    assert [each.status_code for each in (first, again, late)] == [200, 200, 400]
    assert len(hooks.jobs(intent)) == 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b"{" * 90_000, "malformed"),
        (b"id=evt_1", "malformed"),
        (b'{"type": "payment_intent.succeeded"}', "validation"),
        (b'{"id": null}', "validation"),
        (b'{"id": ""}', "validation"),
        (b'{"id": "evt_\\u0000"}', "validation"),
        (b'{"id": "evt_\\ud800"}', "validation"),
        (json.dumps({"id": "x" * 256}).encode(), "validation"),
        (json.dumps({"id": "x" * 95_000}).encode(), "validation"),
    ],
    ids=lambda given: str(given)[:30],
)
def test_an_event_of_stripe_without_an_id_is_refused(
    hooks: Hooks, body: bytes, problem: str
) -> None:
    answer = hooks.from_stripe(body)

    assert answer.json()["type"] == f"/problems/{problem}"
    assert problem == "malformed" or answer.json()["errors"][0]["field"] == "id"


def test_an_id_that_is_too_long_is_refused(hooks: Hooks) -> None:
    assert hooks.from_crm(b"{}", "x" * 255).status_code == 200
    assert hooks.from_crm(b"{}", "x" * 256).status_code == 422
    assert hooks.from_crm(b"{}", "x" * 100_000).status_code == 431


def test_a_large_body_is_refused_and_one_without_a_signature_is_not_read(hooks: Hooks) -> None:
    signed = head("POST /v1/hooks/stripe", "Content-Length: 262145", "Stripe-Signature: t=1,v1=0")
    chunked = head("POST /v1/hooks/crm", "Transfer-Encoding: chunked")
    for request, expected in ((signed, 413), (chunked, 400)):
        with connect(hooks.sender) as stranger:
            stranger.sendall(request)
            assert status(stranger) == expected


def _assert_refused(hooks: Hooks, answer: httpx2.Response) -> None:
    shown = answer.json()
    assert (answer.status_code, shown["type"]) == (400, "/problems/signature")
    assert shown["detail"] == "the signature is missing, wrong, or too old"
    assert SECRET not in answer.text
    assert hooks.stored("evt_attack") == hooks.stored(EVENT_ID) == []
