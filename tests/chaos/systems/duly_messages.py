"""The messages of Duly's app: an order that another service hears of, and one that it sends."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Consumers, Job, Message, Work, actor, consumer, publish
from tests.chaos import messages, shop
from tests.chaos.orders import Order
from tests.chaos.systems.duly_kinds import IMPORT

PUBLISHED = text("INSERT INTO published VALUES (:key, :message_id)")


def place(session: Session, order: Order) -> None:
    """Tell the other service, and note under which id."""
    about = {"key": order.key}
    message = publish(session, messages.EXCHANGE, "order.placed", about, type="order.placed")
    session.execute(PUBLISHED, about | {"message_id": str(message.id)})


@consumer(messages.FOREIGN, Order)
def receive(order: Order, _message: Message) -> Work[Order]:
    return IMPORT(**order.model_dump())


@actor(IMPORT)
def import_(order: Order, job: Job) -> None:
    with job.transaction() as tx:
        shop.store(tx, order)


CONSUMERS = Consumers([receive])
ACTORS = (import_,)
