import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from actors import ACTORS
from actors.web.post import NoAnswer
from actors.webhooks import DeliveryFailed
from service.webhooks.kinds import (
    DELIVER_WEBHOOK,
    AddressRefused,
    DeliverWebhook,
    EndpointGone,
    EndpointMoved,
)
from service.webhooks.models import WebhookEndpoint
from tests.integration.actors.conftest import Claim, Configure, next_attempt
from tests.support.outside.receiver import Receiver, receiver, status

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

deliver = ACTORS["webhook.deliver"].function


@pytest.fixture
def hooks(configure: Configure) -> Iterator[Receiver]:
    """A receiver on this machine, which the setting allows."""
    configure(webhooks_may_reach_private=True)
    with receiver() as server:
        yield server


@pytest.fixture
def endpoint_id(session: Session, hooks: Receiver) -> UUID:
    return _endpoint(session, hooks.url)


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
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    work = _work(endpoint_id)
    job = claim(DELIVER_WEBHOOK(**work.model_dump()))
    deliver(work, job)
    deliver(work, next_attempt(job))
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


def test_a_server_that_asks_for_seconds_gets_them(
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    hooks.answer = status(429, Retry_After="120")
    with pytest.raises(DeliveryFailed) as failure:
        _deliver(claim, endpoint_id)
    assert DELIVER_WEBHOOK.retry.delay(1, failure.value) == timedelta(minutes=2)


def test_a_server_that_names_a_date_is_left_alone_until_then(
    claim: Claim, hooks: Receiver, endpoint_id: UUID
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True)
    hooks.answer = status(503, Retry_After=date)
    with pytest.raises(DeliveryFailed) as failure:
        _deliver(claim, endpoint_id)
    delay = DELIVER_WEBHOOK.retry.delay(1, failure.value)
    assert timedelta(minutes=29) < delay <= timedelta(minutes=30)


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
    work = _work(endpoint_id)
    job = claim(DELIVER_WEBHOOK(**work.model_dump()))
    with pytest.raises(EndpointGone, match=f"{endpoint_id} is switched off"):
        deliver(work, job)

    session.get_one(WebhookEndpoint, endpoint_id).disabled_at = None
    session.commit()
    assert deliver(work, next_attempt(job)) == {"status": 204}
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
        _deliver(claim, _endpoint(session, f"http://127.0.0.1:{closed}/"))
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


def _endpoint(session: Session, url: str) -> UUID:
    endpoint = WebhookEndpoint(url=url, events=["*"], secret=SECRET)
    session.add(endpoint)
    session.commit()
    return endpoint.id


def _work(endpoint_id: UUID, data: dict[str, Any] | None = None) -> DeliverWebhook:
    data = data or {"total": "19.00", "to": "Zoë"}
    return DeliverWebhook(endpoint_id=endpoint_id, event="invoice.rendered", data=data)


def _deliver(claim: Claim, endpoint_id: UUID, data: dict[str, Any] | None = None) -> Any:
    work = _work(endpoint_id, data)
    return deliver(work, claim(DELIVER_WEBHOOK(**work.model_dump())))
