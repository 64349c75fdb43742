"""Signed events, sent to the address of a webhook endpoint."""

import hashlib
import hmac
import json
from queue import SimpleQueue
from secrets import token_hex
from threading import Thread
from time import sleep, time

import httpx2

from dev.stripe.answers import Json

TRIES = 10
PAUSE_SECONDS = 1.0


class Events:
    """All events so far; with an address each is also sent there, until it is taken."""

    def __init__(self, url: str | None = None, secret: str = "") -> None:
        self.sent: list[Json] = []
        self._url = url
        self._secret = secret
        self._waiting: SimpleQueue[Json] = SimpleQueue()
        if url:
            Thread(target=self._send_all, daemon=True).start()

    def tell(self, name: str, object_: Json) -> None:
        """Make an event of what happened to an object."""
        event = {
            "id": f"evt_{token_hex(12)}",
            "object": "event",
            "type": name,
            "created": int(time()),
            "livemode": False,
            "data": {"object": dict(object_)},
        }
        self.sent.append(event)
        if self._url:
            self._waiting.put(event)

    def _send_all(self) -> None:
        while True:
            event = self._waiting.get()
            for _ in range(TRIES):
                if self._is_taken(event):
                    break
                sleep(PAUSE_SECONDS)

    def _is_taken(self, event: Json) -> bool:
        body = json.dumps(event)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self._secret, int(time())),
        }
        try:
            return httpx2.post(self._url or "", content=body, headers=headers).is_success
        except httpx2.HTTPError:
            return False


def signature(body: str, secret: str, moment: int) -> str:
    """The header Stripe-Signature of a body that is sent at that moment."""
    signed = hmac.new(secret.encode(), f"{moment}.{body}".encode(), hashlib.sha256)
    return f"t={moment},v1={signed.hexdigest()}"
