"""An app with a consumer, for processes that something ends."""

import os
import signal

from pydantic import BaseModel

from outbox import Consumers, Duly, Message, Work, consumer
from service.subjects import KINDS
from tests.faults.actors import ACTORS, BOOK, Marked

PARTNER = "faults.partner"
DEADLY = "deadly"
"""The mark of a message that ends the process which reads it."""


class Order(BaseModel):
    """What the other service sends."""

    mark: str


@consumer(PARTNER, Order)
def order(content: Order, _message: Message) -> Work[Marked]:
    """A job for each that lets it."""
    if content.mark == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return BOOK(mark=content.mark)


duly = Duly(KINDS, actors=ACTORS, consumers=Consumers([order]))
