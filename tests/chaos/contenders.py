"""The systems under test: the processes of each, and how it is looked at in the end."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from outbox.amqp.topology import dead_letter_queue
from tests.chaos import remains
from tests.chaos.remains import Look
from tests.chaos.terms import THREADS

Command = Sequence[str]
APPS = "tests.chaos.systems"
QUEUE = "orders"
KEYED_QUEUE = "accounts"
"""Of a system that knows limits, for jobs that have any."""


@dataclass(frozen=True)
class Contender:
    """A system: its app in `systems/`, and what runs besides two processes of the API."""

    app: str
    packages: Sequence[str]
    """Those whose versions matter."""
    look: Look
    crew: Mapping[str, Sequence[Command]] = field(default_factory=dict)
    has_more: bool = False
    """Whether it has what the other systems have not, and a person to act."""

    def api(self, port: int) -> Command:
        """The command for an API process."""
        quietly = ("--log-level", "warning")
        return _python("uvicorn", f"{APPS}.{self.app}:app", "--port", str(port), *quietly)

    @property
    def queues(self) -> list[str]:
        """The queues that a person may pause."""
        return [QUEUE, KEYED_QUEUE]

    @property
    def parts(self) -> set[str]:
        """What of it there is to be broken."""
        return {"api", "postgres", *self.crew} | ({"broker"} if self.crew else set())


def _python(module: str, *arguments: str) -> Command:
    return (sys.executable, "-m", module, *arguments)


def _celery(number: int) -> Command:
    app = ("-A", f"{APPS}.celery_shop:celery", "worker", "--loglevel", "warning")
    return _python("celery", *app, "--concurrency", str(THREADS), "-n", f"worker{number}@%h")


def _dramatiq() -> Command:
    return _python("dramatiq", f"{APPS}.dramatiq_shop", "-p", "1", "-t", str(THREADS))


CONTENDERS = {
    "duly": Contender(
        "duly",
        ["dramatiq", "pika"],
        remains.in_duly,
        {
            "relay": [_python(f"{APPS}.duly", "relay")] * 2,
            "worker": [_python(f"{APPS}.duly", "worker")] * 3,
        },
        has_more=True,
    ),
    "background-tasks": Contender("background_tasks", ["fastapi"], remains.nothing),
    "celery": Contender(
        "celery_shop",
        ["celery", "kombu", "amqp"],
        remains.in_queues(f"{QUEUE}.dead", QUEUE),
        {"worker": [_celery(number) for number in range(3)]},
    ),
    "dramatiq": Contender(
        "dramatiq_shop",
        ["dramatiq", "pika"],
        remains.in_queues(dead_letter_queue(QUEUE), QUEUE, f"{QUEUE}.DQ"),
        {"worker": [_dramatiq()] * 3},
    ),
}
