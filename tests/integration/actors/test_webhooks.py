"""What a delivery sends, and what the answers of an endpoint mean."""

import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from actors.delivering import attempt
from actors.delivering.attempt import DeliveryFailed
from actors.web.post import NoAnswer
from outbox import RateLimited
from service.webhooks.kinds import DELIVER_WEBHOOK, AddressRefused, EndpointGone, EndpointMoved
from service.webhooks.models import WebhookEndpoint
from tests.integration.actors.conftest import Claim, Configure
from tests.integration.actors.hooked import (
    SECRET,
    act,
    delivery_of,
    endpoint_at,
    event_for,
    next_try,
)
from tests.support.outside.receiver import Receiver, receiver, status


def test_the_event_arrives_signed(claim: Claim, hooks: Receiver, endpoint_id: UUID) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    result = _deliver(claim, endpoint_id)
    [delivery] = hooks.deliveries
    event = delivery.verified(SECRET)
    assert (event["type"], event["data"]) == ("invoice.rendered", {"total": "19.00", "to": "Zoë"})
    assert before < datetime.fromisoformat(event["timestamp"]) < datetime.now(UTC)
    assert delivery.path == "/hooks?tenant=7"
    assert delivery.headers["Host"] == f"127.0.0.1:{hooks.server_port}"
    assert delivery.headers["Content-Type"] == "application/json"
    assert result == {"status": 204}


def test_each_attempt_sends_the_same_id_and_bytes(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session
) -> None:
    work = event_for(endpoint_id)
    job = claim(work)
    hooks.answer = status(500)
    with pytest.raises(DeliveryFailed):
        act(work, job)
    hooks.answer = status(204)
    act(work, next_try(session, job))
    first, second = hooks.deliveries
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(job.id)
    assert first.body == second.body


def test_an_answer_that_is_no_2xx_is_retried(
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    for code in (400, 401, 404, 500):
        hooks.answer = status(code)
        with pytest.raises(DeliveryFailed, match=str(code)) as failure:
            _deliver(claim, endpoint_id)
        assert DELIVER_WEBHOOK.retry.allows(failure.value)
        assert failure.value.retry_in is None


@pytest.mark.parametrize(
    ("asked", "given"),
    [("120", 120.0), ("0", 5.0), ("999999999999", 86_400.0)],
)
def test_a_server_that_says_for_how_long_is_left_alone_and_no_attempt_is_spent(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, asked: str, given: float
) -> None:
    hooks.answer = status(429, Retry_After=asked)
    with pytest.raises(RateLimited, match="the endpoint answered 429") as limited:
        _deliver(claim, endpoint_id)
    assert limited.value.delay.total_seconds() == given
    assert DELIVER_WEBHOOK.is_rated  # so that it pauses the endpoint's other deliveries, too


def test_a_server_that_names_a_date_is_left_alone_until_then(
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True)
    hooks.answer = status(503, Retry_After=date)
    with pytest.raises(RateLimited) as limited:
        _deliver(claim, endpoint_id)
    assert timedelta(minutes=29) < limited.value.delay <= timedelta(minutes=30)


def test_a_server_that_sends_a_delivery_away_for_days_spends_its_attempts(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "PATIENCE", timedelta())
    hooks.answer = status(429, Retry_After="120")
    with pytest.raises(DeliveryFailed) as failure:
        _deliver(claim, endpoint_id)
    assert DELIVER_WEBHOOK.retry.delay(1, failure.value) == timedelta(minutes=2)


def test_410_switches_the_endpoint_off_for_good(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session
) -> None:
    hooks.answer = status(410)
    with pytest.raises(EndpointGone) as failure:
        _deliver(claim, endpoint_id)
    assert not DELIVER_WEBHOOK.retry.allows(failure.value)
    session.expire_all()
    assert session.get_one(WebhookEndpoint, endpoint_id).disabled_at is not None
    with pytest.raises(EndpointGone):
        _deliver(claim, endpoint_id)
    assert len(hooks.deliveries) == 1


def test_an_endpoint_that_is_switched_on_again_gets_what_it_missed(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, session: Session
) -> None:
    session.get_one(WebhookEndpoint, endpoint_id).disabled_at = datetime.now(UTC)
    session.commit()
    work = event_for(endpoint_id)
    job = claim(work)
    with pytest.raises(EndpointGone, match=f"{endpoint_id} is switched off"):
        act(work, job)
    assert delivery_of(session, job.id).attempts[0]["request_headers"] is None

    session.get_one(WebhookEndpoint, endpoint_id).disabled_at = None
    session.commit()
    assert act(work, next_try(session, job)) == {"status": 204}
    assert len(hooks.deliveries) == 1


@pytest.mark.parametrize("code", [301, 308])
@pytest.mark.parametrize(
    ("location", "pointing"),
    [
        ("https://new.example/hooks?token=secret", " and points to new.example"),
        ("/elsewhere", r" and points to 127\.0\.0\.1"),
        ("https://[::1", ""),
    ],
)
def test_a_move_for_good_is_final_and_names_the_host(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, code: int, location: str, pointing: str
) -> None:
    hooks.answer = status(code, Location=location)
    said = f"^the endpoint answered {code}{pointing} for good: give the endpoint its new address$"
    with pytest.raises(EndpointMoved, match=said) as failure:
        _deliver(claim, endpoint_id)
    assert not DELIVER_WEBHOOK.retry.allows(failure.value)


def test_a_denied_network_is_not_called(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, configure: Configure
) -> None:
    configure(webhooks_deny="203.0.113.0/24, 127.0.0.0/8")
    with pytest.raises(AddressRefused, match="denied"):
        _deliver(claim, endpoint_id)
    assert hooks.deliveries == []


def test_a_deleted_endpoint_is_gone(claim: Claim) -> None:
    with pytest.raises(EndpointGone):
        _deliver(claim, uuid4())


def test_a_redirect_is_a_failure_and_not_followed(
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    with receiver() as elsewhere:
        hooks.answer = status(307, Location=elsewhere.url)
        with pytest.raises(DeliveryFailed, match=r"307 and points to 127\.0\.0\.1"):
            _deliver(claim, endpoint_id)
        assert elsewhere.deliveries == []


def test_a_private_address_is_refused_for_good(
    claim: Claim, hooks: Receiver, endpoint_id: UUID, configure: Configure
) -> None:
    configure(webhooks_may_reach_private=False)
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1") as failure:
        _deliver(claim, endpoint_id)
    assert not DELIVER_WEBHOOK.retry.allows(failure.value)
    assert hooks.deliveries == []


def test_a_server_that_is_away_is_tried_again(
    claim: Claim, hooks: Receiver, session: Session
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    with pytest.raises(NoAnswer) as failure:
        _deliver(claim, endpoint_at(session, f"http://127.0.0.1:{closed}/"))
    assert DELIVER_WEBHOOK.retry.allows(failure.value)


def test_numbers_and_text_of_the_data_are_sent_as_valid_json(
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    data = {
        "big": 10**30,
        "small": 1e-7,
        "none": None,
        "text": '"\u2028</script>',
        "list": [1, [2]],
    }
    _deliver(claim, endpoint_id, data=data)
    assert json.loads(hooks.deliveries[0].body)["data"] == data


def _deliver(claim: Claim, endpoint_id: UUID, **fields: Any) -> Any:
    work = event_for(endpoint_id, **fields)
    return act(work, claim(work))
