"""What must hold after every fault, told from outside of Duly's tables wherever it can be.

The witnesses are what clients were told, what the receiver saw, and what the actors booked.
"""

from collections import Counter
from collections.abc import Collection
from contextlib import closing
from typing import Any

from pika.exceptions import ChannelClosedByBroker
from sqlalchemy import Engine, text

from dev.wait import wait_until
from outbox.amqp.topology import dead_letter_queue
from tests.faults.actors import BOOKING, CALLING, QUEUES
from tests.faults.clients import Clients
from tests.support.engine.rabbit import Rabbit
from tests.support.outside.receiver import Receiver
from tests.support.wait import PATIENCE_SECONDS

QUEUES_AND_INTAKES = [name for queue in QUEUES for name in (queue, dead_letter_queue(queue))]


class Promises:
    """Compares what was promised with what there is."""

    def __init__(self, engine: Engine, amqp_url: str, receiver: Receiver, clients: Clients) -> None:
        self._engine = engine
        self._amqp_url = amqp_url
        self._receiver = receiver
        self._clients = clients

    def assert_kept(self) -> None:
        """Wait until nothing moves any more, then look at each promise."""
        quiet = wait_until(lambda: not any(self.left().values()), PATIENCE_SECONDS)
        assert quiet, self.left()
        self._assert_each_job_ended_as_it_should()
        self._assert_each_mark_was_booked_once()
        self._assert_each_mark_was_called_with_one_key()
        self._assert_each_letter_says_why()

    def rows(self, query: str) -> list[Any]:
        """What the database says now; a column alone where there is one only."""
        with self._engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(text(query))]
        return [row[0] if len(row) == 1 else row for row in found]

    def foreign(self) -> list[bytes]:
        """The messages of others, as they were put away."""
        return self.rows("SELECT message_body FROM duly.dead_letters WHERE job_id IS NULL")

    def booked(self) -> int:
        """How many effects there are in Postgres."""
        return len(self.rows("SELECT mark FROM entries"))

    def left(self) -> dict[str, Any]:
        """What waits for a worker, for a relay, and in the broker."""
        unfinished = "SELECT state, kind, id FROM duly.jobs WHERE state IN ('queued', 'running')"
        return {
            "jobs": self.rows(unfinished),
            "events": self.rows("SELECT job_id FROM duly.outbox_events"),
            "messages": [name for name in QUEUES_AND_INTAKES if self._has_messages(name)],
        }

    def _has_messages(self, queue: str) -> bool:
        """Whether some wait there; so they may where the queue is missing."""
        try:
            with closing(Rabbit(self._amqp_url)) as rabbit:
                return rabbit.depth(queue) > 0
        except ChannelClosedByBroker:
            return True

    def _assert_each_job_ended_as_it_should(self) -> None:
        """What was accepted has ended; nothing else is there but what the jobs submitted."""
        ends = {each.job: each.end for each in self._clients.accepted}
        assert dict(self.rows("SELECT id, state FROM duly.jobs WHERE parent_id IS NULL")) == ends
        followers = self.rows("SELECT state FROM duly.jobs WHERE parent_id IS NOT NULL")
        assert set(followers) <= {"succeeded"}

    def _assert_each_mark_was_booked_once(self) -> None:
        """No effect in Postgres is missing, and none is there twice."""
        assert sorted(self.rows("SELECT mark FROM entries")) == self._marks(BOOKING)

    def _assert_each_mark_was_called_with_one_key(self) -> None:
        """No effect elsewhere is missing; each repetition had the key of the first."""
        seen = {
            (each.body.decode(), each.headers["Idempotency-Key"])
            for each in self._receiver.deliveries
        }
        assert sorted(mark for mark, _ in seen) == self._marks(CALLING)

    def _assert_each_letter_says_why(self) -> None:
        """Each dead job has one letter not replayed, and every attempt on record with its error."""
        letters = self.rows(
            "SELECT job_id FROM duly.dead_letters"
            " WHERE job_id IS NOT NULL AND resolution IS DISTINCT FROM 'replayed'"
        )
        dead = [each.job for each in self._clients.accepted if each.end == "dead"]
        assert Counter(letters) == Counter(dead)
        untold = self.rows(
            "SELECT job.id FROM duly.jobs AS job CROSS JOIN generate_series(1, job.attempt) AS n"
            " LEFT JOIN duly.attempts AS told ON told.job_id = job.id AND told.attempt = n"
            " AND told.error_message <> '' AND (told.traceback <> '' OR told.outcome = 'crashed')"
            " WHERE job.state = 'dead' AND told.job_id IS NULL"
        )
        assert untold == []

    def _marks(self, kinds: Collection[str]) -> list[str]:
        """Of what was accepted and must have had its effect."""
        return sorted(
            each.mark
            for each in self._clients.accepted
            if each.kind in kinds and each.end == "succeeded"
        )
