"""A RabbitMQ that accepts connections and never answers is one that is away."""

import asyncio

import pytest
from dramatiq.errors import BrokerConnectionError

from outbox import link
from outbox.broker import Broker
from outbox.ledger import Ledger
from outbox.link import BrokerGone
from outbox.unfit import PATIENCE, Unfit
from tests.deaf import deaf_server


def test_a_link_to_a_broker_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(port: int) -> None:
        async with link.connect(f"amqp://127.0.0.1:{port}/"):
            pass

    monkeypatch.setattr(link, "ANSWER_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(link, "FAREWELL_SECONDS", 0.1)
    with deaf_server() as port, pytest.raises(BrokerGone, match="does not answer"):
        asyncio.run(connect(port))


def test_a_worker_takes_it_for_a_lost_connection() -> None:
    with deaf_server() as port:
        broker = Broker(
            f"amqp://127.0.0.1:{port}/?stack_timeout=0.1&connection_attempts=1",
            Unfit(Ledger("", "w1"), PATIENCE),
        )
        with pytest.raises(BrokerConnectionError):
            broker.consume("mail", timeout=1)
