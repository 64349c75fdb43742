"""Mails as the service sends them, and what the outside world knows of them.

The mail server runs in the test's process; the worker, whom something kills, does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.line import Line
from tests.support.outside.arrivals import message_ids
from tests.support.outside.mail_server import mail_server
from tests.support.wait import wait_for

MAIL = {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."}


@contextmanager
def mailing(line: Line) -> Iterator[None]:
    """The service's own kinds, actors and API on the line, and a mail server."""
    with mail_server(line.inbox) as address:
        line.environment |= {
            "DULY_ACTORS": "actors:ACTORS",
            "DULY_SMTP_URL": f"smtp://{address}",
            "DULY_MAIL_FROM": "Duly <invoices@duly.example>",
        }
        line.start("api")
        yield


def submit(line: Line, when_uncertain: str) -> Any:
    """A new mail."""
    return line.post("/v1/emails", MAIL | {"when_uncertain": when_uncertain})


def wait_for_end(line: Line, mail: Any) -> Any:
    """Wait until the mail's job has ended; what is on record of the mail."""
    wait_for(
        "the mail's job has ended",
        lambda: line.job(mail["id"])["state"] in ("succeeded", "dead"),
        seconds=60,
    )
    return line.get(mail["links"]["self"])


def arrived(line: Line, mail: Any) -> int:
    """How often the mail has arrived at the mail server."""
    return message_ids(line.inbox).count(mail["id"])
