"""A RabbitMQ that accepts connections and never answers is one that is away."""

import asyncio

import pytest
from dramatiq.errors import BrokerConnectionError

from outbox.amqp import connection
from outbox.amqp.connection import BrokerGone
from outbox.worker.broker import Broker
from tests.support.network.deaf import deaf_server


def test_a_link_to_a_broker_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(port: int) -> None:
        async with connection.connect(f"amqp://127.0.0.1:{port}/"):
            pass

    monkeypatch.setattr(connection, "ANSWER_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(connection, "FAREWELL_SECONDS", 0.1)
    with deaf_server() as port, pytest.raises(BrokerGone, match="does not answer"):
        asyncio.run(connect(port))


def test_a_look_at_it_says_so_in_plain_words() -> None:
    with (
        deaf_server() as port,
        pytest.raises(BrokerGone, match=r"^it does not answer$"),
        connection.look(f"amqp://127.0.0.1:{port}/", 0.1),
    ):
        pytest.fail("it has answered")


def nothing_comes(*_: object) -> None:
    """Take no message, as there is none."""
    pytest.fail("a message")


def test_a_worker_takes_it_for_a_lost_connection() -> None:
    with deaf_server() as port:
        url = f"amqp://127.0.0.1:{port}/?stack_timeout=0.1&connection_attempts=1"
        broker = Broker(url, {"mail": 1}, nothing_comes, nothing_comes)
        with pytest.raises(BrokerConnectionError):
            broker.consume("mail", timeout=1)
