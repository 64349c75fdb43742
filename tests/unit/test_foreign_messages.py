"""Messages of other services, read without a server."""

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from outbox import Key, Kind, Message, Unique, Work, consumer
from outbox.consumers import Consumer
from outbox.worker.receiving.envelope import Received, Unusable
from outbox.worker.receiving.reading import read


class Order(BaseModel):
    """What the other service sends."""

    order_id: int
    customer: str | None = None


def _customer(order: Order) -> str:
    if order.customer is None:
        raise LookupError("no customer")
    return order.customer


IMPORT = Kind("order.import", Order, key=Key(_customer), unique=Unique("order_id"))


@consumer("partner.orders", Order)
def order(content: Order, _: Message) -> Work[Order]:
    return IMPORT(order_id=content.order_id, customer=content.customer)


def _acknowledge() -> None:
    """Nobody waits for it."""


def received(body: bytes) -> Received:
    """A message with this body."""
    return Received("partner.orders", "", "", {"message_id": "1"}, body, False, _acknowledge)


CONSUMER: Consumer[Order] = order


def test_a_message_becomes_the_work_that_its_consumer_returns() -> None:
    found = read(CONSUMER, received(b'{"order_id":1,"customer":"ada"}'))
    assert found.message_id == "1"
    assert found.work == IMPORT(order_id=1, customer="ada")


@pytest.mark.parametrize("customer", [b"null", b'""', b'"%s"' % (b"x" * 10_000)])
def test_a_message_whose_job_has_no_usable_key_is_unusable(customer: bytes) -> None:
    with pytest.raises(Unusable, match="its consumer raised ValueError"):
        read(CONSUMER, received(b'{"order_id":1,"customer":%s}' % customer))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"no json", r"does not fit the model: Invalid JSON"),
        (b'{"order_id":"x"}', r"does not fit the model: order_id: Input should be"),
    ],
)
def test_an_unusable_body_tells_what_is_wrong_and_where(body: bytes, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        read(CONSUMER, received(body))


def test_the_log_says_where_a_consumer_failed_and_nothing_of_the_message() -> None:
    @consumer("partner.orders", Order)
    def failing(content: Order, _: Message) -> Work[Order]:
        raise LookupError(f"nobody is called {content.customer}")

    with capture_logs() as logs, pytest.raises(Unusable, match="its consumer raised LookupError"):
        read(failing, received(b'{"order_id":1,"customer":"hunter2"}'))
    (line,) = logs
    assert (line["event"], line["error_type"]) == ("consumer failed", "LookupError")
    assert line["stack"].endswith("in failing")
    assert "hunter2" not in str(line)
