"""The thread of a worker on which foreign messages become jobs: an event loop of its own."""

import asyncio
import threading
from contextlib import suppress
from math import inf

from outbox.consumers import Consumers
from outbox.maintenance.supervision import supervise
from outbox.submission.sessions import job_sessions
from outbox.worker.receiving.loop import Receiving
from outbox.worker.runners.engines import engine_for_tasks


class ReceivingThread:
    """Receives until closed, with connections of its own. A failure begins again after a backoff.

    Without consumers it does nothing.
    """

    def __init__(self, database_url: str, amqp_url: str, consumers: Consumers) -> None:
        self._database_url = database_url
        self._amqp_url = amqp_url
        self._consumers = consumers
        self._receiving: Receiving | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="receiving", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        if self._consumers:
            self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. It ends only when closed, or by a bug."""
        return not self._consumers or self._thread.is_alive()

    @property
    def is_up(self) -> bool | None:
        """Whether it reaches RabbitMQ, as far as is known; None before the first try.

        A failure of Postgres closes the connection, and says nothing of RabbitMQ.
        """
        return self._receiving.is_up if self._receiving else None

    def close(self, seconds: float) -> None:
        """End it, and wait that long. What is not committed is delivered to another worker."""
        if self._loop is None or self._task is None:
            return
        with suppress(RuntimeError):  # it has ended meanwhile
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(seconds)

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._receive())

    async def _receive(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        engine = engine_for_tasks(self._database_url, lambda: -inf)
        self._receiving = Receiving(self._amqp_url, job_sessions(engine), self._consumers)
        try:
            await supervise("consumers", self._receiving.run)
        finally:
            await engine.dispose()
