"""Messages of other services, from their queue to jobs."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Consumers, Message, Work, consumer
from outbox.operations import dead_letters
from outbox.operations.dead_letters import DeadLetterFilter
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, note_kind
from tests.support.engine.rabbit import Rabbit
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

NOTE = note_kind("notes")
JSON = "application/json"


class Order(BaseModel):
    """What the other service sends."""

    order_id: int


def made(by_hand: ByHand) -> list[str]:
    """What the jobs that were submitted are about, in order."""
    found = by_hand.take("SELECT payload->>'text' AS text FROM duly.jobs ORDER BY id")
    return [row["text"] for row in found]


class Partner:
    """Another service, and the worker that consumes what it sends."""

    def __init__(self, rabbit: Rabbit, queue: str) -> None:
        self.queue = queue
        self._rabbit = rabbit

    def send(self, body: bytes, **properties: Any) -> None:
        """Send a message with these properties."""
        self._rabbit.publish_whole("", self.queue, body, **properties)

    def order(self, order_id: int, message_id: str | None = None) -> None:
        """Send an order."""
        body = json.dumps({"order_id": order_id}).encode()
        self.send(body, message_id=message_id or f"m{order_id}", content_type=JSON)

    @property
    def consumers(self) -> Consumers:
        """One for the queue."""

        @consumer(self.queue, Order)
        def note(order: Order, message: Message) -> Work[Any] | None:
            if order.order_id == 13:
                raise ValueError("13 brings bad luck")
            return NOTE(text=f"{order.order_id} {message.id}") if order.order_id else None

        return Consumers([note])


@pytest.fixture
def partner(rabbit: Rabbit, queue: str) -> Partner:
    """It has made its queue."""
    rabbit.declare_classic(queue)
    return Partner(rabbit, queue)


def letters(engine: Engine) -> list[Any]:
    """The open dead letters in full, the oldest first."""
    with Session(engine) as session:
        found = dead_letters.find(session, DeadLetterFilter(), oldest_first=True)
        return [dead_letters.get(session, each.id) for each in found]


def test_a_message_that_is_received_twice_is_done_once(
    line: Line, by_hand: ByHand, rabbit: Rabbit, partner: Partner
) -> None:
    for order_id in (1, 2, 1, 0):
        partner.order(order_id)
    line.start_worker(consumers=partner.consumers)
    wait_for("both", lambda: made(by_hand) == ["1 m1", "2 m2"])
    partner.order(2)
    partner.order(3)
    wait_for("the third", lambda: made(by_hand) == ["1 m1", "2 m2", "3 m3"])
    (job,) = by_hand.take("SELECT submitted_by FROM duly.jobs WHERE payload->>'text' = '3 m3'")
    assert job == {"submitted_by": f"queue:{partner.queue}"}
    line.stop()
    assert rabbit.depth(partner.queue) == 0


def test_a_worker_that_only_has_consumers_tells_whether_it_reaches_the_broker(
    line: Line, partner: Partner, proxy: Proxy, amqp_url: str
) -> None:
    worker = line.start_worker(consumers=partner.consumers, amqp_url=proxy.url(amqp_url))
    wait_for("its connection", lambda: worker.consumes)
    proxy.refuse()
    wait_for("its loss", lambda: worker.consumes is False)
    proxy.admit()
    wait_for("the next one", lambda: worker.consumes)


def test_messages_are_known_by_the_id_and_source_of_their_cloud_event(
    line: Line, by_hand: ByHand, partner: Partner
) -> None:
    for source in ("a", "b", "a"):
        for prefix in ("cloudEvents:", "cloudEvents_"):
            headers = {f"{prefix}id": "7", f"{prefix}source": source}
            partner.send(b'{"order_id":1}', content_type=JSON, headers=headers, message_id=prefix)
        event = {"specversion": "1.0", "id": "7", "source": source, "data": {"order_id": 2}}
        structured = "application/cloudevents+json; charset=UTF-8"
        partner.send(json.dumps(event).encode(), content_type=structured)
    partner.order(9)
    line.start_worker(consumers=partner.consumers)
    wait_for("all", lambda: made(by_hand)[-1:] == ["9 m9"])
    assert made(by_hand) == ["1 a 7", "1 b 7", "9 m9"]


UNUSABLE: list[tuple[bytes, dict[str, Any], str]] = [
    (b'{"order_id":1}', {"content_type": JSON}, "it has no message id"),
    (b'{"order_id":', {"content_type": JSON, "message_id": "1"}, "does not fit the model"),
    (b'{"order_id":"x"}', {"content_type": JSON, "message_id": "2"}, "does not fit the model"),
    (b"<order/>", {"content_type": "text/xml", "message_id": "3"}, "not JSON"),
    (b"\x1f\x8b", {"content_encoding": "gzip", "message_id": "4"}, "it is encoded"),
    (
        b'{"order_id":13}',
        {"content_type": JSON, "message_id": "5"},
        "raised ValueError",
    ),
    (b"x" * 10_000_000, {"content_type": JSON, "message_id": "6"}, "more than 1000000 bytes"),
    (b'{"order_id":1}', {"message_id": "7", "headers": {"n": "\0"}, "content_type": "a/b"}, "JSON"),
    (b"[]", {"content_type": "application/cloudevents+json"}, "not a JSON object"),
    (b"[]", {"content_type": "application/cloudevents-batch+json", "message_id": "8"}, "JSON"),
]


def test_what_is_no_job_becomes_a_dead_letter_and_holds_nothing_up(
    line: Line, engine: Engine, by_hand: ByHand, partner: Partner
) -> None:
    for body, properties, _ in UNUSABLE:
        partner.send(body, **properties)
    partner.order(9)
    line.start_worker(consumers=partner.consumers)
    wait_for("the good one", lambda: made(by_hand) == ["9 m9"])
    wait_for("the letters", lambda: len(letters(engine)) == len(UNUSABLE))
    found = {letter.message_body[:9]: letter for letter in letters(engine)}
    assert {letter.reason for letter in found.values()} == {"malformed"}
    for body, _, why in UNUSABLE:
        assert any(
            why in letter.error_message and letter.message_size == len(body)
            for letter in letters(engine)
        )


def test_a_queue_that_is_missing_or_deleted_holds_up_no_other(
    line: Line, by_hand: ByHand, rabbit: Rabbit, partner: Partner, new_queue: Callable[[], str]
) -> None:
    other = Partner(rabbit, new_queue())
    consumers = Consumers([*partner.consumers.values(), *other.consumers.values()])
    partner.order(1)
    line.start_worker(consumers=consumers)
    wait_for("the first", lambda: made(by_hand) == ["1 m1"])
    rabbit.declare_classic(other.queue)
    other.order(2)
    wait_for("the second", lambda: made(by_hand) == ["1 m1", "2 m2"])
    rabbit.delete(other.queue)
    rabbit.declare_classic(other.queue)
    other.order(3)
    wait_for("the third", lambda: made(by_hand) == ["1 m1", "2 m2", "3 m3"])


def test_what_was_committed_but_not_acknowledged_is_not_done_again(
    line: Line, by_hand: ByHand, partner: Partner, proxy: Any, amqp_url: str
) -> None:
    for order_id in range(20, 60):
        partner.order(order_id)
    line.start_worker(consumers=partner.consumers, amqp_url=proxy.url(amqp_url))
    wait_for("some", lambda: made(by_hand))
    for _ in range(3):
        proxy.cut()
    expected = {f"{order_id} m{order_id}" for order_id in range(20, 60)}
    wait_for("all", lambda: set(made(by_hand)) == expected)
    assert len(made(by_hand)) == 40
