"""Claims jobs for free slots: the stage between the consumers and what runs the actors.

A message waits here until its queue gets a free slot: a thread for a `def` actor, the place of a
task for an `async def` one. Then its job is claimed, together with the jobs of other messages, and
started once this worker owns it. So no thread waits for Postgres before it can start, and no job is
claimed that could not start at once.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import structlog

from outbox.amqp.messages import Dispatch
from outbox.kinds import Kind
from outbox.worker.attempt import Attempt
from outbox.worker.delivery import Delivery
from outbox.worker.in_flight import InFlight, JobInFlight, State
from outbox.worker.records.claims import claim_of
from outbox.worker.records.group_commit import GroupCommit
from outbox.worker.slots import Slots

log = structlog.get_logger(__name__)


Prepare = Callable[[Dispatch, Any], Attempt]
"""Makes an attempt from a dispatch and the row that its claim returned."""


class Runner(Protocol):
    """What runs the actors of some kinds."""

    slots: Slots[Delivery]

    def start(self, job: JobInFlight) -> None:
        """Run the claimed job, then `release` it. From any thread."""


class Claimer:
    """Claims the jobs of the messages that the consumers receive.

    If the process dies, the broker gives the messages to other workers. A job that was claimed but
    had not started is rescued like one that was running.
    """

    def __init__(
        self,
        group_commit: GroupCommit,
        in_flight: InFlight,
        prepare: Prepare,
        put_off: Callable[[Delivery], None],
    ) -> None:
        self._group_commit = group_commit
        self._in_flight = in_flight
        self._prepare = prepare
        self._put_off = put_off
        self._runners: dict[str, Runner] = {}
        self._claims: dict[str, str] = {}
        self._stopped = False
        self._lock = threading.Lock()

    def serve(self, kind: Kind[..., Any], runner: Runner) -> None:
        """Claim the jobs of this kind, for that runner."""
        self._runners[kind.name] = runner
        self._claims[kind.name] = claim_of(kind)

    def receive(self, delivery: Delivery) -> None:
        """Take a message from a consumer."""
        runner = self._runners.get(delivery.dispatch.kind)
        if runner is None:
            return self._put_off(delivery)
        with self._lock:
            runner.slots.add(delivery.dispatch.queue, delivery)
        return self._claim_for_free_slots(runner)

    def release(self, job: JobInFlight) -> None:
        """Free the job's slot, and claim a job for it."""
        self._release(job.delivery)

    def run_again(self, job: JobInFlight) -> None:
        """Start a job that has already run once more."""
        runner = self._runners[job.delivery.dispatch.kind]
        with self._lock:
            runner.slots.occupy(job.delivery.dispatch.queue)
        self._start(runner, job)

    def stop(self) -> None:
        """Claim and start nothing more. What is claimed stays in flight."""
        with self._lock:
            self._stopped = True
            for runner in self._runners.values():
                runner.slots.clear()

    @property
    def waiting(self) -> int:
        """How many messages wait for a slot."""
        return sum(len(runner.slots) for runner in set(self._runners.values()))

    def _claim_for_free_slots(self, runner: Runner) -> None:
        while True:
            with self._lock:
                delivery = None if self._stopped else runner.slots.take()
            if delivery is None:
                return
            self._claim(delivery)

    def _release(self, delivery: Delivery) -> None:
        runner = self._runners[delivery.dispatch.kind]
        with self._lock:
            runner.slots.release(delivery.dispatch.queue)
        self._claim_for_free_slots(runner)

    def _claim(self, delivery: Delivery) -> None:
        job = self._in_flight.reserve(delivery)
        if job is None:
            delivery.settle()  # a duplicate of one in flight
            with self._lock:
                self._runners[delivery.dispatch.kind].slots.release(delivery.dispatch.queue)
            return
        id_, number, kind, _ = delivery.dispatch
        row = {"id": id_, "dispatch": number, "kind": kind}
        self._group_commit.post(self._claims[kind], row, partial(self._on_claim, job))

    def _on_claim(self, job: JobInFlight, answer: Any) -> None:
        """Take the claim's row, None if the message is stale, or an error.

        Runs on the group-commit thread.
        """
        dispatch = job.delivery.dispatch
        if answer is not None and not isinstance(answer, Exception):
            job.attempt = self._prepare(dispatch, answer)
            job.attempt.events.claimed()
            return self._start(self._runners[dispatch.kind], job)
        self._in_flight.remove(job)
        if answer is None:
            log.debug("message is stale", job=dispatch.job_id, dispatch=dispatch.dispatch)
            job.delivery.settle()
        else:
            log.warning("message given back", job=dispatch.job_id, why=str(answer))
            job.delivery.give_back()
        return self._release(job.delivery)

    def _start(self, runner: Runner, job: JobInFlight) -> None:
        with self._lock:
            job.enter(State.CLAIMED)
            if not self._stopped:
                runner.start(job)
