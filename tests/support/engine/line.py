"""The line under test: relay and workers in this process, on real servers."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Actor, Actors, Consumers, Duly, Job, Kind, Kinds, Retry, Work, event_log, submit
from outbox.maintenance import supervision
from outbox.operations import dead_letters, jobs, overdue
from outbox.operations.dead_letters import DeadLetter, DeadLetterFilter
from outbox.operations.jobs import AttemptRecord, JobRecord
from outbox.operations.overdue import OverdueJob
from outbox.relay.duties import Duties
from outbox.worker.lease import SILENCE
from outbox.worker.worker import NO_CONSUMERS, Worker
from tests.support.wait import wait_for

OTHERS = ("collector", "rescuer", "expirer", "batches", "admitter", "listener")
"""Those of a relay's other duties that are needed: the rest would act on other tests' rows."""
AT_ONCE = Retry(attempts=3, first=timedelta())


class Note(BaseModel):
    """The payload of the tests' kinds."""

    text: str = ""
    secret: str = ""


def note_kind(queue: str, name: str = "test.note", **options: Any) -> Kind[..., Note]:
    """A kind of an app, on the queue; it is retried at once, unless told otherwise."""
    kind = Kind(name, Note, queue=queue, **({"retry": AT_ONCE} | options))
    Duly(Kinds(kind), Actors([]))
    return kind


def do_nothing(_payload: BaseModel, _job: Job) -> None:
    """An actor without a care."""


def prefetched(worker: Worker) -> int:
    """How many messages wait inside the worker."""
    return worker._claimer.waiting


class Line:
    """Starts relays and workers, and stops them; submits jobs and looks at them."""

    def __init__(self, engine: Engine, database_url: str, amqp_url: str) -> None:
        self._engine = engine
        self._database_url = database_url
        self._amqp_url = amqp_url
        self._exits = ExitStack()
        self._workers: set[Worker] = set()

    def start_worker(
        self,
        *actors: Actor[Any, Any],
        threads: int = 4,
        tasks: int = 100,
        amqp_url: str | None = None,
        patience: timedelta = timedelta(hours=1),
        database_url: str | None = None,
        silence: timedelta = SILENCE,
        consumers: Consumers = NO_CONSUMERS,
    ) -> Worker:
        """A worker that does the jobs of these actors until the test ends, with its logs on."""
        event_log.subscribe()
        url = amqp_url or self._amqp_url
        postgres = database_url or self._database_url
        worker = Worker(
            *(Actors(actors), postgres, url, None, threads, patience, tasks, silence, consumers)
        )
        worker.register()
        assert worker.is_registered(10)
        worker.start()
        self._workers.add(worker)
        self._exits.callback(self.stop_worker, worker)
        return worker

    def stop_worker(self, worker: Worker, grace: timedelta = timedelta(seconds=10)) -> None:
        """Stop the worker, unless that was done already."""
        if worker in self._workers:
            self._workers.remove(worker)
            worker.stop(grace)

    def start_relay(
        self,
        *queues: str,
        window: int = 100,
        silence: timedelta = timedelta(seconds=10),
        patience: timedelta = timedelta(seconds=30),
        amqp_url: str | None = None,
        kinds: Sequence[Kind[..., Any]] = (),
    ) -> None:
        """The duties of a relay that act on jobs, until the test ends."""
        duties = Duties(
            *(self._database_url, amqp_url or self._amqp_url, queues),
            window=window,
            kinds=Kinds(*kinds),
            silence=silence,
            patience=patience,
        )
        others = (duties.others[name] for name in OTHERS)
        self._exits.callback(run_aside(*duties.settling.values(), *others))

    def submit(self, work: Work[Any], **options: Any) -> UUID:
        """Submit and commit; returns the job's id."""
        with Session(self._engine) as session, session.begin():
            job = submit(session, work, **options)
        return job.id

    def cancel(self, job_id: UUID) -> str | None:
        """Cancel the job; returns its state then."""
        with Session(self._engine) as session, session.begin():
            return jobs.cancel(session, job_id, by="ann")

    def replay(self, letter_id: int) -> None:
        """Replay the dead letter, as ops do."""
        with Session(self._engine) as session, session.begin():
            assert dead_letters.replay(session, [letter_id], by="ann")

    def job(self, job_id: UUID) -> JobRecord:
        """The job as it is now."""
        with Session(self._engine) as session:
            job = jobs.get(session, job_id)
        assert job is not None
        return job

    def attempts(self, job_id: UUID) -> list[AttemptRecord]:
        """The job's failed attempts."""
        with Session(self._engine) as session:
            return jobs.attempts(session, job_id)

    def letters(self) -> list[DeadLetter]:
        """All dead letters, the newest first."""
        with Session(self._engine) as session:
            found = dead_letters.find(session, DeadLetterFilter(open=None), limit=1000)
            return [each for row in found if (each := dead_letters.get(session, row.id))]

    def overdue(self) -> list[OverdueJob]:
        """What `duly status` says is overdue."""
        with Session(self._engine) as session:
            return overdue.find(session, Kinds(), silence=timedelta(seconds=1))

    def wait_for(self, job_id: UUID, state: str) -> JobRecord:
        """The job once it is in the state."""
        # All looks take one connection: to connect takes ten times as long as to look.
        looking = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with looking.connect() as connection, Session(connection) as session:

            def job() -> JobRecord | None:
                found = jobs.get(session, job_id)
                return found if found and found.state == state else None

            return wait_for(f"job {state}", job)

    def stop(self) -> None:
        """Stop all that was started, the last first."""
        self._exits.close()


def run_aside(*duties: Callable[[], Any]) -> Callable[[], None]:
    """Run a relay's duties on a loop in a thread; returns what stops it, and raises its errors."""
    errors: list[BaseException] = []

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for duty in duties:
                group.create_task(supervision.supervise(duty.__qualname__, duty))

    def in_thread() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)
        finally:
            loop.close()

    def stop() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        if errors:
            raise errors[0]

    loop = asyncio.new_event_loop()
    task = loop.create_task(run())
    thread = threading.Thread(target=in_thread, name="relay")
    thread.start()
    return stop
