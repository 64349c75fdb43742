"""Between the consumers and the threads: claims jobs for threads that are free.

A message waits here until a thread is free for its queue. Then its job is claimed, together with
those of other messages, and the thread gets it once it is this worker's. So no thread waits for
Postgres before it can begin, and no job is claimed that could not begin at once.
"""

import queue
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from outbox import steps
from outbox.attempt import Attempt
from outbox.desk import Desk, InHand
from outbox.ledger import Ledger
from outbox.thread_shares import ThreadShares
from outbox.wire import Dispatch

log = structlog.get_logger(__name__)

Prepare = Callable[[Dispatch, Any], Attempt]
"""Makes an attempt of a dispatch and of what its claim returned."""


class Claims:
    """Stands where Dramatiq's worker has its queue of messages.

    If the process dies the broker gives the messages to others; a job that was claimed but had not
    begun is rescued, like one that had.
    """

    def __init__(
        self,
        ledger: Ledger,
        desk: Desk,
        prepare: Prepare,
        *,
        threads: int,
        queues: Collection[str],
    ) -> None:
        """Raises TooFewThreads where there are fewer threads than queues."""
        self._ledger = ledger
        self._desk = desk
        self._prepare = prepare
        self._threads = threads
        self._stopped = False
        self._lock = threading.Lock()
        self._shares: ThreadShares[Any] = ThreadShares(threads, queues)
        self._taken = threading.local()
        self._claimed: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, item: Any) -> None:
        """Take a message from a consumer."""
        with self._lock:
            self._shares.add(_queue_of(item), item)
        self._claim_for_the_free()

    def get(self, timeout: float) -> Any:  # noqa: ARG002 - the signature is Dramatiq's
        """The message of a claimed job, however long it takes. Raises queue.Empty once stopped.

        Not within `timeout`: where several threads wait, CPython's SimpleQueue may forget it (up to
        3.12: what is left of it can be less than nothing, which is taken for no timeout).
        """
        item = self._claimed.get()
        if item is None:
            raise queue.Empty
        self._taken.queue = _queue_of(item)
        return item

    def task_done(self) -> None:
        """The thread that calls it is free again: it is done with what it got."""
        self._release(self._taken.queue)

    def hand_out_again(self, in_hand: InHand) -> None:
        """Give a job to a thread once more, although it has run.

        Its message begins anew: the thread that ran it may not have ended its part with it yet.
        """
        message = in_hand.item.message
        item = replace(in_hand.item, message=message.consumer.begun_anew(message))
        again = InHand(item, in_hand.attempt)
        self._desk.lay(again)
        with self._lock:
            self._shares.occupy(_queue_of(item))
        self._hand_out(again)

    def stop(self) -> None:
        """Claim nothing more, and begin nothing more: what is claimed stays on the desk.

        Each thread is woken up once: they have to be told before that they end.
        """
        with self._lock:
            self._stopped = True
            self._shares.clear()
            with suppress(queue.Empty):
                while True:
                    self._claimed.get_nowait()
            for _ in range(self._threads):
                self._claimed.put(None)

    def _claim_for_the_free(self) -> None:
        while True:
            with self._lock:
                item = None if self._stopped else self._shares.take()
            if item is None:
                return
            self._claim(item)

    def _release(self, queue: str) -> None:
        with self._lock:
            self._shares.release(queue)
        self._claim_for_the_free()

    def _claim(self, item: Any) -> None:
        dispatch: Dispatch = item.message.dispatch
        if not self._desk.take_place(dispatch):
            item.message.consumer.settle(item.message)  # a duplicate of what this process has
            with self._lock:
                self._shares.release(dispatch.queue)
            return
        asked = {"id": dispatch.job_id, "dispatch": dispatch.dispatch, "kind": dispatch.kind}
        self._ledger.post(steps.CLAIM, asked, partial(self._answered, item))

    def _answered(self, item: Any, answer: Any) -> None:
        """On the ledger's thread: the claim's row, None where the message is stale, or an error."""
        message, dispatch = item.message, item.message.dispatch
        if answer is not None and not isinstance(answer, Exception):
            in_hand = InHand(item, self._prepare(dispatch, answer))
            self._desk.lay(in_hand)
            return self._hand_out(in_hand)
        self._desk.clear((dispatch.job_id, dispatch.dispatch))
        if answer is None:
            log.debug("message is stale", job=dispatch.job_id, dispatch=dispatch.dispatch)
            message.consumer.settle(message)
        else:
            log.warning("message given back", job=dispatch.job_id, why=str(answer))
            message.consumer.give_back(message)
        return self._release(dispatch.queue)

    def _hand_out(self, in_hand: InHand) -> None:
        with self._lock:
            if not self._stopped:
                self._claimed.put(in_hand.item)


def _queue_of(item: Any) -> str:
    queue: str = item.message.dispatch.queue
    return queue
