"""Claims jobs for free threads: the stage between the consumers and the worker threads.

A message waits here until a thread is free for its queue. Then its job is claimed, together with
the jobs of other messages, and handed to a thread once this worker owns it. So no thread waits for
Postgres before it can start, and no job is claimed that could not start at once.
"""

import queue
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from outbox.amqp.messages import Dispatch
from outbox.store import transitions
from outbox.worker.attempt import Attempt
from outbox.worker.in_flight import ClaimedJob, InFlight
from outbox.worker.records.group_commit import GroupCommit
from outbox.worker.thread_shares import ThreadShares

log = structlog.get_logger(__name__)

Prepare = Callable[[Dispatch, Any], Attempt]
"""Makes an attempt from a dispatch and the row that its claim returned."""


class Claimer:
    """Takes the place of the work queue in Dramatiq's worker.

    If the process dies, the broker gives the messages to other workers. A job that was claimed but
    had not started is rescued like one that was running.
    """

    def __init__(
        self,
        group_commit: GroupCommit,
        in_flight: InFlight,
        prepare: Prepare,
        *,
        threads: int,
        queues: Collection[str],
    ) -> None:
        """Raises TooFewThreads if there are fewer threads than queues."""
        self._group_commit = group_commit
        self._in_flight = in_flight
        self._prepare = prepare
        self._threads = threads
        self._stopped = False
        self._lock = threading.Lock()
        self._shares: ThreadShares[Any] = ThreadShares(threads, queues)
        self._current = threading.local()
        self._claimed: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, item: Any) -> None:
        """Take a message from a consumer."""
        with self._lock:
            self._shares.add(_queue_of(item), item)
        self._claim_for_free_threads()

    def get(self, timeout: float) -> Any:  # noqa: ARG002 - the signature is Dramatiq's
        """Wait for a claimed job and return its message. Raises queue.Empty once stopped.

        Ignores `timeout`: with several threads waiting, CPython's SimpleQueue may wait forever
        (up to 3.12: the remaining time can be negative, which it takes for no timeout).
        """
        item = self._claimed.get()
        if item is None:
            raise queue.Empty
        self._current.queue = _queue_of(item)
        return item

    def task_done(self) -> None:
        """Mark the calling thread free again, done with what it got."""
        self._release(self._current.queue)

    def run_again(self, claimed: ClaimedJob) -> None:
        """Give a job that has already run to a thread once more.

        Its message is a fresh copy: the thread of the first run may not be done with the old one.
        """
        message = claimed.item.message
        item = replace(claimed.item, message=message.consumer.fresh_copy(message))
        again = ClaimedJob(item, claimed.attempt)
        self._in_flight.add(again)
        with self._lock:
            self._shares.occupy(_queue_of(item))
        self._hand_out(again)

    def stop(self) -> None:
        """Claim and start nothing more. What is claimed stays in flight.

        Each thread is woken up once, so the threads must have been told to stop before.
        """
        with self._lock:
            self._stopped = True
            self._shares.clear()
            with suppress(queue.Empty):
                while True:
                    self._claimed.get_nowait()
            for _ in range(self._threads):
                self._claimed.put(None)

    def _claim_for_free_threads(self) -> None:
        while True:
            with self._lock:
                item = None if self._stopped else self._shares.take()
            if item is None:
                return
            self._claim(item)

    def _release(self, queue: str) -> None:
        with self._lock:
            self._shares.release(queue)
        self._claim_for_free_threads()

    def _claim(self, item: Any) -> None:
        dispatch: Dispatch = item.message.dispatch
        if not self._in_flight.reserve(dispatch):
            item.message.consumer.settle(item.message)  # a duplicate of one in flight
            with self._lock:
                self._shares.release(dispatch.queue)
            return
        row = {"id": dispatch.job_id, "dispatch": dispatch.dispatch, "kind": dispatch.kind}
        self._group_commit.post(transitions.CLAIM, row, partial(self._on_claim, item))

    def _on_claim(self, item: Any, answer: Any) -> None:
        """Take the claim's row, None if the message is stale, or an error.

        Runs on the group-commit thread.
        """
        message, dispatch = item.message, item.message.dispatch
        if answer is not None and not isinstance(answer, Exception):
            claimed = ClaimedJob(item, self._prepare(dispatch, answer))
            self._in_flight.add(claimed)
            return self._hand_out(claimed)
        self._in_flight.remove((dispatch.job_id, dispatch.dispatch))
        if answer is None:
            log.debug("message is stale", job=dispatch.job_id, dispatch=dispatch.dispatch)
            message.consumer.settle(message)
        else:
            log.warning("message given back", job=dispatch.job_id, why=str(answer))
            message.consumer.give_back(message)
        return self._release(dispatch.queue)

    def _hand_out(self, claimed: ClaimedJob) -> None:
        with self._lock:
            if not self._stopped:
                self._claimed.put(claimed.item)


def _queue_of(item: Any) -> str:
    queue: str = item.message.dispatch.queue
    return queue
