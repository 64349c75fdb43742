"""The world outside: what mail server and webhook receiver saw, and an answer that waits."""

from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from threading import Event

from tests.support.outside.mail_server import Inbox
from tests.support.outside.receiver import Delivery, status


class Gate:
    """A receiver's answer that holds jobs in their middle: each waits until the gate is opened."""

    def __init__(self) -> None:
        self._opened = Event()

    def open(self) -> None:
        """Answer 204 to all that wait, and to all that come."""
        self._opened.set()

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self._opened.wait()
        status(204)(request)


def message_ids(inbox: Inbox) -> list[str]:
    """The jobs whose mails arrived, by their Message-ID, in order."""
    return [str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in inbox.messages()]


def webhook_ids(deliveries: Iterable[Delivery]) -> list[str]:
    """The jobs whose webhooks arrived, in order."""
    return [delivery.headers["webhook-id"] for delivery in deliveries]
