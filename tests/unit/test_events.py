"""Events and their subscribers, and that docs/events.md names all of both."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

from structlog.testing import capture_logs

from outbox import event_log, events
from outbox.events import Cancelled, Event, JobEvent, Published, emit, is_wanted, on

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", re.MULTILINE)
CANCELLED = Cancelled(job_id=uuid4(), kind="charge", by="ann")


@contextmanager
def heard(event_type: type[Event]) -> Iterator[list[Any]]:
    """The events of this type meanwhile."""
    found: list[Event] = []
    end = on(event_type, found.append)
    try:
        yield found
    finally:
        end()


def test_a_subscriber_hears_of_its_type_and_of_those_below_it_until_it_ends() -> None:
    with heard(Event) as all_events, heard(JobEvent) as of_jobs, heard(Published) as published:
        assert is_wanted(Published)
        emit(CANCELLED)
    assert not is_wanted(Published)
    emit(CANCELLED)
    assert (all_events, of_jobs, published) == ([CANCELLED], [CANCELLED], [])


def test_who_subscribes_twice_is_called_once() -> None:
    with heard(Cancelled) as found:
        end = on(Cancelled, found.append)
        emit(CANCELLED)
        end()
    assert found == [CANCELLED]


def test_a_subscriber_that_raises_is_logged_and_keeps_no_other_from_hearing() -> None:
    def fail(_: Event) -> None:
        raise LookupError("no such channel")

    end = on(Event, fail)
    try:
        with heard(Cancelled) as found, capture_logs() as logs:
            emit(CANCELLED)
    finally:
        end()
    assert found == [CANCELLED]
    assert [(log["event"], log["event_type"]) for log in logs] == [
        ("a subscriber failed", "Cancelled")
    ]


def test_logs_are_a_subscriber() -> None:
    event_log.subscribe()
    with capture_logs() as logs:
        emit(CANCELLED)
    assert [(log["event"], log["job"]) for log in logs] == [("cancelled", str(CANCELLED.job_id))]


def test_the_page_has_each_event_with_its_fields() -> None:
    there_are = {
        name: [field.name for field in fields(each)]
        for name, each in vars(events).items()
        if isinstance(each, type) and issubclass(each, Event) and each not in (Event, JobEvent)
    }
    named = {name: re.findall(r"`(\w+)`", fields_) for name, _, fields_ in ROW.findall(PAGE)}
    assert named == there_are
