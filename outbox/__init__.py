"""Duly's engine: jobs that commit with the caller's rows, and are not lost afterwards.

Reading order: kinds, submit, sessions, relay, mover, publisher, worker, claims, runner, attempt,
ledger, collector, dead_letters.
"""

from outbox.actor import Actor, Actors, actor
from outbox.job import Job, Superseded
from outbox.kinds import Kind, Kinds, Priority, Work
from outbox.retry import Retry, Snooze, Uncertain
from outbox.sessions import job_sessions
from outbox.submit import SubmittedJob, submit, submit_all

__all__ = [
    "Actor",
    "Actors",
    "Job",
    "Kind",
    "Kinds",
    "Priority",
    "Retry",
    "Snooze",
    "SubmittedJob",
    "Superseded",
    "Uncertain",
    "Work",
    "actor",
    "job_sessions",
    "submit",
    "submit_all",
]
