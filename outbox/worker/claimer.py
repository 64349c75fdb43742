"""Claims jobs for free slots: the stage between the consumers and what runs the actors.

A message waits here until its queue gets a free slot: a thread for a `def` actor, the place of a
task for an `async def` one. Then its job is claimed, together with the jobs of other messages, and
started once this worker owns it. So no thread waits for Postgres before it can start, and no job is
claimed that could not start at once.
"""

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import structlog

from outbox.actors import Actor
from outbox.amqp.messages import Dispatch
from outbox.job import Claim, Job
from outbox.listeners import measures
from outbox.listeners.measures import EmptyClaim
from outbox.worker.attempts.attempt import Attempt
from outbox.worker.broker import Delivery
from outbox.worker.in_flight import InFlight, JobInFlight, State
from outbox.worker.records.claims import claim_of, rates_of
from outbox.worker.records.group_commit import GroupCommit

log = structlog.get_logger(__name__)

T = TypeVar("T")


class TooFewSlots(ValueError):
    """A worker serves more queues than it has slots for."""


class Slots(Generic[T]):
    """Reserves one slot for each queue and shares the rest among all queues, in turns.

    So long jobs of one queue never keep another queue's jobs waiting for a slot. Any other queue,
    where a job may have been moved, has only the shared slots. Not thread-safe: the caller must
    serialize the calls.
    """

    def __init__(self, count: int, queues: Collection[str], unit: str = "threads") -> None:
        """Raises TooFewSlots if there are fewer slots than queues."""
        if count < len(queues):
            raise TooFewSlots(
                f"{count} {unit} are too few: each of the {len(queues)} queues needs its own"
            )
        self.count = count
        self._shared = count - len(queues)
        self._own = frozenset(queues)
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict((each, deque()) for each in queues)
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def busy(self) -> int:
        """How many are busy. From any thread: then it may be off by those that change meanwhile."""
        return sum(list(self._busy.values()))

    def most_of(self, queue: str) -> int:
        """How many slots the queue can have at once."""
        return self._shared + 1 if queue in self._own else 0

    def add(self, queue: str, message: T) -> None:
        """Add a message that waits for a slot."""
        self._waiting.setdefault(queue, deque()).append(message)

    def take(self) -> T | None:
        """Take the next message that may have a slot, and mark one busy; None if none may."""
        for queue, messages in self._waiting.items():
            if messages and self._may_begin(queue):
                self._waiting.move_to_end(queue)
                self.occupy(queue)
                return messages.popleft()
        return None

    def occupy(self, queue: str) -> None:
        """Mark one more slot busy with this queue."""
        self._busy[queue] += 1

    def release(self, queue: str) -> None:
        """Mark one slot of this queue free again."""
        self._busy[queue] -= 1

    def clear(self) -> None:
        """Drop all waiting messages."""
        for messages in self._waiting.values():
            messages.clear()

    def _may_begin(self, queue: str) -> bool:
        if queue in self._own and not self._busy[queue]:
            return True
        shared = (busy - (each in self._own) for each, busy in self._busy.items() if busy)
        return sum(shared) < self._shared


class Runner(Protocol):
    """What runs the actors of some kinds."""

    slots: Slots[Delivery]

    def open_sessions_of(self, job: Job) -> None:
        """Have the job open sessions of the sort that its actor uses."""

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
        put_off: Callable[[Delivery], None],
        patience: timedelta,
    ) -> None:
        self._group_commit = group_commit
        self._in_flight = in_flight
        self._put_off = put_off
        self._patience = patience
        self._actors: dict[str, Actor[Any, Any]] = {}
        self._runners: dict[str, Runner] = {}
        self._claims: dict[str, tuple[str, dict[str, str]]] = {}
        self._stopped = False
        self._lock = threading.Lock()

    def serve(self, actor: Actor[Any, Any], runner: Runner) -> None:
        """Claim the jobs of this actor's kind, for that runner."""
        kind = actor.kind
        self._actors[kind.name] = actor
        self._runners[kind.name] = runner
        self._claims[kind.name] = claim_of(kind), rates_of(kind)

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
        claim, rates = self._claims[kind]
        row = {"id": id_, "dispatch": number, "kind": kind, **rates}
        self._group_commit.post(claim, row, partial(self._on_claim, job))

    def _on_claim(self, job: JobInFlight, answer: Any) -> None:
        """Take the claim's row, None if the message is stale, or an error.

        Runs on the group-commit thread.
        """
        dispatch = job.delivery.dispatch
        if answer is not None and not isinstance(answer, Exception):
            runner = self._runners[dispatch.kind]
            job.attempt = self._attempt(dispatch, answer, runner)
            job.attempt.events.claimed()
            return self._start(runner, job)
        self._in_flight.remove(job)
        if answer is None:
            log.debug(
                "message is stale",
                job=dispatch.job_id,
                kind=dispatch.kind,
                dispatch=dispatch.dispatch,
            )
            measures.emit(EmptyClaim(queue=dispatch.queue))
            job.delivery.settle()
        else:
            log.warning(
                "message given back", job=dispatch.job_id, kind=dispatch.kind, why=str(answer)
            )
            job.delivery.give_back()
        return self._release(job.delivery)

    def _attempt(self, dispatch: Dispatch, claim: Claim, runner: Runner) -> Attempt:
        id_, number, kind, queue = dispatch
        job = Job.claimed(UUID(id_), number, kind, claim, self._group_commit.name)
        runner.open_sessions_of(job)
        return Attempt(self._actors[kind], job, queue, claim, self._group_commit, self._patience)

    def _start(self, runner: Runner, job: JobInFlight) -> None:
        with self._lock:
            job.enter(State.CLAIMED)
            if not self._stopped:
                runner.start(job)
