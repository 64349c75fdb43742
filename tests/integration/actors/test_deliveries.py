"""What is put on record of deliveries, and when an endpoint is switched off."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.orm import Session
from standardwebhooks import WebhookVerificationError

from actors.delivering.attempt import DeliveryFailed
from actors.delivering.record import MOST_ATTEMPTS
from outbox import Work
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter
from service.job_times import first_id
from service.webhooks.announcing import announce
from service.webhooks.kinds import PRUNE_DELIVERIES, TEST_ENDPOINT, EndpointGone
from service.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.integration.actors.conftest import Claim, Configure
from tests.integration.actors.hooked import (
    SECRET,
    act,
    delivery_of,
    endpoint_at,
    event_for,
    next_try,
)
from tests.support.outside.receiver import Receiver, status

OTHER_SECRET = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="
DAYS_AGO = datetime.now(UTC) - timedelta(days=6)


def test_request_and_answer_of_each_attempt_are_on_record(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session
) -> None:
    work = event_for(endpoint_id)
    job = claim(work)
    hooks.answer = _say(500, b"no\0 " + b"x" * 3000, Server="nginx", X_Secret="hunter2")
    with pytest.raises(DeliveryFailed):
        act(work, job)
    hooks.answer = status(204)
    act(work, next_try(session, job))

    found = delivery_of(session, job.id)
    first, second = found.attempts
    assert (first["attempt"], first["status"], first["error"]) == (
        *(1, 500, "the endpoint answered 500"),
    )
    assert first["answer_headers"] == {"server": "nginx", "content-type": "text/plain"}
    assert first["answer_body"] == "no\ufffd " + "x" * 1996
    sent = hooks.deliveries[0].headers
    assert first["request_headers"] == {
        name: sent[name] for name in first["request_headers"] if name != "webhook-signature"
    }
    assert (second["attempt"], second["status"], second["error"]) == (2, 204, None)
    assert 0 < second["seconds"] < 20
    assert found.body.encode() == hooks.deliveries[1].body
    assert (found.event, found.event_id) == ("invoice.rendered", job.id)
    assert found.delivered_at is not None


def test_the_newest_attempts_are_kept(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session, sql_now: psycopg.Connection
) -> None:
    work = event_for(endpoint_id)
    job = claim(work)
    hooks.answer = status(500)
    for turn in range(2):
        with pytest.raises(DeliveryFailed):
            act(work, job if turn == 0 else next_try(session, job))
        if turn == 0:
            filled = [{"attempt": -each} for each in range(MOST_ATTEMPTS)]
            sql_now.execute("UPDATE webhook_deliveries SET attempts = %s", [json.dumps(filled)])
    kept = [each["attempt"] for each in delivery_of(session, job.id).attempts]
    assert kept == [*(-each for each in range(1, MOST_ATTEMPTS)), 2]


def test_a_compressed_answer_is_not_shown(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session
) -> None:
    hooks.answer = _say(200, b"\x1f\x8b", Content_Encoding="gzip")
    job = claim(work := event_for(endpoint_id))
    act(work, job)
    assert delivery_of(session, job.id).attempts[0]["answer_body"] is None


def test_an_event_that_is_delivered_again_is_the_same_for_its_receiver(
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    first = claim(event_for(endpoint_id))
    again = event_for(endpoint_id, event_id=first.id)
    act(event_for(endpoint_id), first)
    act(again, claim(again))
    one, two = hooks.deliveries
    assert one.headers["webhook-id"] == two.headers["webhook-id"] == str(first.id)
    assert one.body == two.body


@pytest.mark.parametrize("event_id", [uuid4(), UUID(int=(2**48 - 1) << 80 | 7 << 76 | 2 << 62)])
def test_any_id_can_be_that_of_an_event(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, event_id: UUID
) -> None:
    work = event_for(endpoint_id, event_id=event_id)
    act(work, claim(work))
    assert hooks.deliveries[0].headers["webhook-id"] == str(event_id)


@pytest.mark.parametrize(("left", "is_valid"), [(60, True), (-60, False)])
def test_after_a_rotation_either_secret_verifies_until_the_overlap_ends(
    claim: Claim, hooks: Receiver, session: Session, left: int, is_valid: bool
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=left)
    rotated = {"old_secret": OTHER_SECRET, "old_secret_until": until}
    work = event_for(endpoint_at(session, hooks.url, **rotated))
    act(work, claim(work))
    [delivery] = hooks.deliveries
    assert delivery.verified(SECRET)
    assert len(delivery.headers["webhook-signature"].split(" ")) == 1 + is_valid
    if is_valid:
        assert delivery.verified(OTHER_SECRET)
    else:
        with pytest.raises(WebhookVerificationError):
            delivery.verified(OTHER_SECRET)


def test_an_endpoint_that_fails_for_days_is_switched_off_and_its_owner_told_once(
    claim: Claim, hooks: Receiver, session: Session
) -> None:
    endpoint_id = endpoint_at(
        session, hooks.url, owner_email="ada@example.com", failing_since=DAYS_AGO
    )
    both_called = Barrier(2)

    def fail_both(request: BaseHTTPRequestHandler) -> None:
        both_called.wait(10)
        status(500)(request)

    hooks.answer = fail_both
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(partial(_fail, claim), [endpoint_id] * 2))
    endpoint = _endpoint(session, endpoint_id)
    assert endpoint.disabled_at is not None
    assert endpoint.disabled_because == "each delivery failed for 5 days"
    [mail] = jobs.find(session, JobFilter(kind="email.send"))
    assert mail.payload["to"] == "ada@example.com"
    assert f"/v1/webhook-endpoints/{endpoint_id}/enable" in mail.payload["text"]
    assert "tenant=7" not in mail.payload["text"]


def test_an_endpoint_that_has_just_begun_to_fail_stays_on(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session
) -> None:
    hooks.answer = status(500)
    _fail(claim, endpoint_id)
    first = _endpoint(session, endpoint_id).failing_since
    _fail(claim, endpoint_id)
    endpoint = _endpoint(session, endpoint_id)
    assert first is not None
    assert (endpoint.failing_since, endpoint.disabled_at) == (first, None)


def test_a_success_ends_the_days_of_failure(
    claim: Claim, hooks: Receiver, session: Session
) -> None:
    endpoint_id = endpoint_at(session, hooks.url, failing_since=DAYS_AGO)
    act(work := event_for(endpoint_id), claim(work))
    hooks.answer = status(500)
    _fail(claim, endpoint_id)
    endpoint = _endpoint(session, endpoint_id)
    assert endpoint.disabled_at is None
    assert endpoint.failing_since is not None
    assert endpoint.failing_since > DAYS_AGO


def test_the_owner_of_an_endpoint_that_is_gone_is_told(
    claim: Claim, hooks: Receiver, session: Session
) -> None:
    endpoint_id = endpoint_at(session, hooks.url, owner_email="ada@example.com")
    hooks.answer = status(410)
    with pytest.raises(EndpointGone):
        act(work := event_for(endpoint_id), claim(work))
    [mail] = jobs.find(session, JobFilter(kind="email.send"))
    assert "it answered 410 Gone" in mail.payload["text"]


def test_an_endpoint_that_has_a_new_address_stays_on_when_the_old_one_is_gone(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session, sql_now: psycopg.Connection
) -> None:
    def move(request: BaseHTTPRequestHandler) -> None:
        sql_now.execute("UPDATE webhook_endpoints SET url = 'https://new.example/'")
        status(410)(request)

    hooks.answer = move
    with pytest.raises(EndpointGone):
        act(work := event_for(endpoint_id), claim(work))
    assert _endpoint(session, endpoint_id).disabled_at is None


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (204, {"delivered": True, "status": 204, "error": None}),
        (500, {"delivered": False, "status": 500, "error": "the endpoint answered 500"}),
    ],
)
def test_a_test_says_what_the_endpoint_answers_and_changes_nothing(
    claim: Claim, hooks: Receiver, session: Session, code: int, result: dict[str, Any]
) -> None:
    endpoint_id = endpoint_at(session, hooks.url, disabled_at=DAYS_AGO)
    hooks.answer = status(code)
    work = TEST_ENDPOINT(endpoint_id=endpoint_id)
    job = claim(work)
    assert act(work, job) == result
    assert hooks.deliveries[0].verified(SECRET)["type"] == "webhook.test"
    assert _endpoint(session, endpoint_id).failing_since is None
    assert len(delivery_of(session, job.id).attempts) == 1


def test_old_deliveries_and_secrets_are_pruned(
    claim: Claim, session: Session, configure: Configure
) -> None:
    configure(keep_deliveries="P10D")
    over = endpoint_at(session, "https://x.example", **_rotated(-1))
    kept = endpoint_at(session, "https://x.example", **_rotated(1))
    ids = [first_id(datetime.now(UTC) - timedelta(days=days)) for days in (11, 9)]
    session.add_all(_delivery(each) for each in ids)
    session.commit()
    work = PRUNE_DELIVERIES()
    assert act(work, claim(work)) == {"pruned": 1}
    session.expire_all()
    assert [each.id for each in session.query(WebhookDelivery)] == ids[1:]
    assert _endpoint(session, over).old_secret is None
    assert _endpoint(session, kept).old_secret == OTHER_SECRET


def test_an_event_is_announced_to_those_that_listen_in_order_if_they_ask_for_it(
    session: Session,
) -> None:
    plain = endpoint_at(session, "https://x.example", events=["a.b"])
    ordered = endpoint_at(session, "https://x.example", ordered=True)
    endpoint_at(session, "https://x.example", events=["a.c"])
    announce(session, "a.b", {"n": 1}, subject="invoice:7")
    session.commit()
    found = {job.payload["endpoint_id"]: job for job in jobs.find(session, JobFilter())}
    assert {id_: job.keys for id_, job in found.items()} == {
        str(plain): [f"endpoint:{plain}"],
        str(ordered): [f"endpoint:{ordered}:invoice:7", f"endpoint:{ordered}"],
    }
    assert {job.subject for job in found.values()} == {"invoice:7"}


def _fail(claim: Claim, endpoint_id: UUID) -> None:
    work: Work[Any] = event_for(endpoint_id)
    with pytest.raises(DeliveryFailed):
        act(work, claim(work))


def _endpoint(session: Session, endpoint_id: UUID) -> WebhookEndpoint:
    session.rollback()
    return session.get_one(WebhookEndpoint, endpoint_id, populate_existing=True)


def _rotated(days: int) -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(days=days)
    return {"old_secret": OTHER_SECRET, "old_secret_until": until}


def _delivery(id_: UUID) -> WebhookDelivery:
    return WebhookDelivery(
        id=id_, endpoint_id=uuid4(), event="a.b", event_id=id_, body="{}", attempts=[]
    )


def _say(code: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        status(code, Content_Type="text/plain", **headers)(request)
        request.wfile.write(body)

    return answer
