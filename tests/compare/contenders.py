"""The systems: their processes, and where a person may look for what failed for good."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from outbox.amqp.topology import dead_letter_queue

Command = Sequence[str]
APPS = "tests.compare.systems"
THREADS = "2"


@dataclass(frozen=True, eq=False)
class Contender:
    """A system: its app in `systems/`, and what runs besides the API."""

    name: str
    app: str
    packages: Sequence[str]
    """Those whose versions matter."""
    crew: Mapping[str, Command] = field(default_factory=dict)
    """The commands of its other processes, by role."""
    queues: Sequence[str] = ()
    """Its queues in RabbitMQ, with those for what failed."""
    is_duly: bool = False

    @property
    def works_in(self) -> str:
        """The role of the process that does the tasks."""
        return "worker" if self.crew else "api"

    def api(self, port: int) -> Command:
        """The command for the API."""
        return _python("uvicorn", f"{APPS}.{self.app}:app", "--port", str(port))


def _python(module: str, *arguments: str) -> Command:
    return (sys.executable, "-m", module, *arguments)


def _celery(app: str) -> Command:
    of_app = ("-A", f"{APPS}.{app}:celery", "worker", "--loglevel", "info")
    return _python("celery", *of_app, "--concurrency", THREADS, "-n", f"{app}@%h")


DULY_WORKER = _python("outbox.cli", "worker", "--threads", THREADS, "--tasks", THREADS)
ALL = (
    Contender("BackgroundTask", "background_tasks", ["fastapi", "uvicorn"]),
    Contender(
        "Celery, defaults",
        "celery_defaults",
        ["celery", "kombu", "amqp"],
        {"worker": _celery("celery_defaults")},
        ["celery"],
    ),
    Contender(
        "Celery, acks_late",
        "celery_acks_late",
        ["celery", "kombu", "amqp"],
        {"worker": _celery("celery_acks_late")},
        ["receipts.celery"],
    ),
    Contender(
        "Dramatiq",
        "dramatiq_actors",
        ["dramatiq", "pika"],
        {"worker": _python("dramatiq", f"{APPS}.dramatiq_actors", "-p", "1", "-t", THREADS)},
        ["default", "default.DQ", "default.XQ"],
    ),
    Contender(
        "Duly",
        "duly_jobs",
        ["dramatiq", "pika"],
        # The pauses of a deploy are short here, so the worker's own patience is, too.
        {
            "worker": (*DULY_WORKER, "--grace", "1"),
            "relay": _python("outbox.cli", "relay"),
        },
        ["receipts", dead_letter_queue("receipts")],
        is_duly=True,
    ),
)
