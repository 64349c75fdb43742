"""From the provider's event to the payment's row, whatever way the events take."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors import charging
from dev.stripe.events import Events
from dev.stripe.provider import KEY, Provider
from outbox import Actors
from outbox.testing import drain
from service.invoices.examples import NEW_INVOICES
from service.settings import settings
from tests.integration.http.hooks import Hooks, serving_hooks
from tests.support.outside.senders import SECRET
from tests.support.outside.stripe import stripe_server
from tests.support.wait import wait_for

INVOICE: Any = NEW_INVOICES["two lines"]["value"]
CHARGING = Actors(charging.ACTORS)


@pytest.fixture
def own_hooks(database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[Hooks]:
    """A server on the test's own database."""
    with serving_hooks(database_url, amqp_url, tmp_path) as hooks:
        yield hooks


@pytest.fixture
def provider(own_hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A provider that sends its events to the server."""
    provider = Provider(Events(f"{own_hooks.sender.base_url}/v1/hooks/stripe", SECRET))
    with stripe_server(provider) as server:
        for name, value in {
            "DATABASE_URL": own_hooks.database_url,
            "DULY_STRIPE_URL": server.url,
            "DULY_STRIPE_KEY": KEY,
        }.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield provider
    settings.cache_clear()


def test_the_providers_events_settle_what_was_open_and_may_all_come_again_in_reverse(
    own_hooks: Hooks, provider: Provider
) -> None:
    by_bank, by_card = (
        _charge(own_hooks, method) for method in ("pm_usBankAccount", "pm_card_pendingRefund")
    )
    drain(CHARGING, own_hooks.database_url)
    own_hooks.operator.post(f"/v1/payments/{by_card}/refunds")
    drain(CHARGING, own_hooks.database_url)
    assert _payment(own_hooks, by_bank)["state"] == "open"
    assert _payment(own_hooks, by_card)["refunds"][0]["state"] == "open"

    provider.book.finish(_payment(own_hooks, by_bank)["intent_id"], "succeeded")
    [refund] = provider.book.refunds
    provider.book.finish_refund(refund, "succeeded")
    _work_on(own_hooks, provider.events.sent)

    settled = [_payment(own_hooks, each) for each in (by_bank, by_card)]
    assert [each["state"] for each in settled] == ["succeeded", "succeeded"]
    assert settled[1]["refunds"][0]["state"] == "succeeded"
    for event in provider.events.sent[::-1]:
        assert own_hooks.from_stripe(json.dumps(event).encode()).json()["duplicate"]
    assert drain(CHARGING, own_hooks.database_url) == []
    assert [_payment(own_hooks, each) for each in (by_bank, by_card)] == settled


def _charge(hooks: Hooks, payment_method: str) -> str:
    """The id of a payment of a new invoice."""
    invoice = hooks.operator.post("/v1/invoices", json=INVOICE).json()["id"]
    method = {"payment_method": payment_method}
    return str(hooks.operator.post(f"/v1/invoices/{invoice}/charge", json=method).json()["id"])


def _payment(hooks: Hooks, payment_id: str) -> Any:
    return hooks.operator.get(f"/v1/payments/{payment_id}").json()


def _work_on(hooks: Hooks, sent: Sequence[Any]) -> None:
    """Wait until all of these have come, and do their jobs."""
    count = "SELECT count(*) FROM hook_events"
    wait_for("all events", lambda: hooks.database.execute(count).fetchone() == (len(sent),))
    drain(CHARGING, hooks.database_url)
