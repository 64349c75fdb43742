"""Duly's library: jobs that commit with the caller's rows, and are not lost afterwards.

Reading order:

- kinds, flow, retry, actor, job, errors: what an application declares, and what its actors see
- consumers: make jobs of other services' messages
- store, store/transitions: the tables, and the SQL that moves a job from state to state
- submission: writes jobs in the caller's transaction, and wakes the relay after its commit
- publishing: writes messages to other services in the caller's transaction
- relay: publishes outbox events to RabbitMQ
- worker: claims jobs, runs actors, records how each attempt ended
- maintenance: rescues the jobs of dead workers, collects dead letters, prunes finished jobs
- schedules: when the ticks of a schedule are due
- operations: what people do with jobs and dead letters, and the record of it
- testing: helps an app's own tests
- events: what happens to jobs, for an app that subscribes to it
- app: the object in which an app says what it has
- http, cli: how programs and people reach all of this

These packages use postgres, amqp, resolver and backoff (connections), values (which JSON may be
stored) and redaction (hides sensitive values).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outbox.actors import Actor, Actors, actor
    from outbox.app import Duly
    from outbox.consumers import Consumer, Consumers, Message, consumer
    from outbox.errors import JobCancelled, Snooze, Superseded, Uncertain
    from outbox.flow.keys import Key
    from outbox.flow.unique import Unique, Until
    from outbox.job import Job
    from outbox.kinds import Kind, Kinds, Priority, Work
    from outbox.publishing.publish import PublishedMessage, publish
    from outbox.retry import Retry
    from outbox.schedules.schedule import Missed, Overlap, Schedule
    from outbox.submission.batch import Batch, add_to_batch, batch, seal_batch
    from outbox.submission.pending import flush_jobs
    from outbox.submission.sessions import job_sessions
    from outbox.submission.submit import SubmittedJob, submit, submit_all

__all__ = [
    "Actor",
    "Actors",
    "Batch",
    "Consumer",
    "Consumers",
    "Duly",
    "Job",
    "JobCancelled",
    "Key",
    "Kind",
    "Kinds",
    "Message",
    "Missed",
    "Overlap",
    "Priority",
    "PublishedMessage",
    "Retry",
    "Schedule",
    "Snooze",
    "SubmittedJob",
    "Superseded",
    "Uncertain",
    "Unique",
    "Until",
    "Work",
    "actor",
    "add_to_batch",
    "batch",
    "consumer",
    "flush_jobs",
    "job_sessions",
    "publish",
    "seal_batch",
    "submit",
    "submit_all",
]

_MODULES = {
    "outbox.actors": ("Actor", "Actors", "actor"),
    "outbox.app": ("Duly",),
    "outbox.consumers": ("Consumer", "Consumers", "Message", "consumer"),
    "outbox.errors": ("JobCancelled", "Snooze", "Superseded", "Uncertain"),
    "outbox.job": ("Job",),
    "outbox.flow.keys": ("Key",),
    "outbox.kinds": ("Kind", "Kinds", "Priority", "Work"),
    "outbox.publishing.publish": ("PublishedMessage", "publish"),
    "outbox.retry": ("Retry",),
    "outbox.schedules.schedule": ("Missed", "Overlap", "Schedule"),
    "outbox.submission.batch": ("Batch", "add_to_batch", "batch", "seal_batch"),
    "outbox.submission.pending": ("flush_jobs",),
    "outbox.submission.sessions": ("job_sessions",),
    "outbox.submission.submit": ("SubmittedJob", "submit", "submit_all"),
    "outbox.flow.unique": ("Unique", "Until"),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import what is asked for (PEP 562): `duly --help` needs none of it, and is quick."""
    if name not in _WHERE:
        raise AttributeError(f"module 'outbox' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
