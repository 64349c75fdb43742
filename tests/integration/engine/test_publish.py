"""Messages to other services, from the transaction that publishes them to their queue."""

from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import publish
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for

LEFT = "SELECT FROM duly.outgoing_messages WHERE sent_at IS NULL"


class Shipped(BaseModel):
    """What other services are told."""

    order_id: int


def test_a_message_is_sent_once_its_transaction_has_committed(
    line: Line, engine: Engine, by_hand: ByHand, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare(queue)
    line.start_relay()
    with Session(engine) as session:
        publish(session, "", queue, Shipped(order_id=1), type="order.shipped")
        session.rollback()
        sent = publish(session, "", queue, Shipped(order_id=2), type="order.shipped")
        session.commit()
    wait_for("the message", lambda: rabbit.depth(queue) == 1)
    ((properties, body),) = rabbit.take_whole(queue)
    assert body == b'{"order_id":2}'
    assert properties.message_id == str(sent.id)
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/json"
    assert properties.headers["cloudEvents:type"] == "order.shipped"
    assert properties.headers["cloudEvents:id"] == str(sent.id)
    wait_for("it is on record", lambda: by_hand.take(LEFT) == [])
