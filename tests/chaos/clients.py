"""The clients: they post each order in its time, again and again until they are told 2xx.

Some then cancel it, as insistently. Some are the other service's, which sends a message.
"""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx2

from tests.chaos.orders import Order, Sort
from tests.chaos.partner import Partner
from tests.chaos.witness import Witness

CLIENTS = 16
ANSWER_SECONDS = 10
PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 60


class Clients:
    """Post orders to the API processes in turn; give up a minute after the last was due."""

    def __init__(
        self, ports: Sequence[int], witness: Witness, partner: Partner | None = None
    ) -> None:
        self._urls = itertools.cycle([f"http://127.0.0.1:{port}" for port in ports])
        self._witness = witness
        self._partner = partner
        self._http = httpx2.Client(timeout=ANSWER_SECONDS)

    def place(self, orders: Sequence[Order], seconds: float) -> None:
        """Place all orders, spread over so many seconds."""
        start = time.monotonic()
        self._end = start + seconds + PATIENCE_SECONDS
        with (
            self._http,
            ThreadPoolExecutor(CLIENTS) as own,
            ThreadPoolExecutor(1) as foreign,
        ):
            try:
                for number, order in enumerate(orders):
                    _sleep_until(start + seconds * number / len(orders))
                    pool = foreign if order.sort is Sort.FOREIGN else own
                    pool.submit(self._insist, order)
            except BaseException:  # told to stop: so are the clients
                self._end = start
                raise

    def _insist(self, order: Order) -> None:
        self._witness.asked(order.key)
        if not self._is_accepted(order):
            return
        self._witness.told(order.key)
        if order.cancel_after is not None:
            time.sleep(order.cancel_after)
            self._cancel(order)

    def _is_accepted(self, order: Order) -> bool:
        if order.sort is Sort.FOREIGN:
            return self._is_sent(order)
        return self._answer("/orders", order.model_dump(mode="json")) is not None

    def _is_sent(self, order: Order) -> bool:
        assert self._partner
        while time.monotonic() < self._end:
            if self._partner.send(order):
                return True
            time.sleep(PAUSE_SECONDS)
        return False

    def _cancel(self, order: Order) -> None:
        answer = self._answer(f"/orders/{order.key}/cancel")
        if answer and answer.json() == "cancelled":
            self._witness.told_cancelled(order.key)

    def _answer(self, path: str, body: object = None) -> httpx2.Response | None:
        """The first 2xx; None if none came in time."""
        while time.monotonic() < self._end:
            with suppress(httpx2.TransportError):
                answer = self._http.post(next(self._urls) + path, json=body)
                if answer.is_success:
                    return answer
            time.sleep(PAUSE_SECONDS)
        return None


def _sleep_until(moment: float) -> None:
    time.sleep(max(0, moment - time.monotonic()))
