"""Events and their subscribers, and that docs/events.md names all of both."""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from outbox import event_log, events
from outbox.errors import Interrupted, JobCancelled, TimeLimitExceeded
from outbox.events import (
    AttemptEvent,
    Cancelled,
    Claimed,
    Died,
    Event,
    JobEvent,
    Postponed,
    Published,
    Retried,
    Snoozed,
    Started,
    Submitted,
    Succeeded,
    Superseded,
    emit,
    is_wanted,
    on,
)

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", re.MULTILINE)
ABSTRACT = (Event, JobEvent, AttemptEvent)
LIBRARY = Path(events.__file__).parent
EMITTERS = {
    "submission": "whoever submits",
    "relay": "relay",
    "maintenance": "relay",
    "worker": "worker",
    "operations": "API, command line",
}
"""Who runs the code of each folder that makes events."""
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


@pytest.mark.parametrize("error", [LookupError("no such channel"), SystemExit(1), GeneratorExit()])
def test_a_subscriber_that_raises_is_logged_and_keeps_no_other_from_hearing(
    error: BaseException,
) -> None:
    def fail(_: Event) -> None:
        raise error

    end = on(Event, fail)
    try:
        with heard(Cancelled) as found, capture_logs() as logs:
            emit(CANCELLED)
    finally:
        end()
    assert found == [CANCELLED]
    (logged,) = [log for log in logs if log["event"] == "a subscriber failed"]
    assert (logged["event"], logged["event_type"]) == ("a subscriber failed", "Cancelled")
    assert logged["subscriber"].endswith("fail")


def test_the_error_of_a_subscriber_is_told_without_the_one_that_it_was_told_of() -> None:
    raised: list[BaseException] = []

    def fail(_: Event) -> None:
        try:
            int("its own cause")
        except ValueError:
            raised.append(LookupError("no such channel"))
            raise raised[0]  # noqa: B904 - its context is the test

    end = on(Cancelled, fail)
    try:
        int("the actor's")
    except ValueError:
        emit(CANCELLED)
    finally:
        end()
    own = raised[0].__context__
    assert isinstance(own, ValueError)
    assert own.__context__ is None


async def tell_later(_: Event) -> None:
    """Never awaited."""


class TellLater:
    async def __call__(self, _: Event) -> None:
        """Never awaited."""


@pytest.mark.parametrize("subscriber", [tell_later, TellLater(), partial(tell_later)])
def test_a_subscriber_that_would_have_to_be_awaited_is_refused(subscriber: Any) -> None:
    was_wanted = is_wanted(Cancelled)
    with pytest.raises(TypeError, match=r"(tell_later|TellLater).* is `async def`"):
        on(Cancelled, subscriber)
    assert is_wanted(Cancelled) == was_wanted


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeLimitExceeded, Interrupted, JobCancelled])
def test_what_is_to_end_the_work_arrives_although_a_subscriber_is_called(
    error: type[BaseException],
) -> None:
    """A thread is sent it at any moment."""

    def be_interrupted(_: Event) -> None:
        raise error

    end = on(Cancelled, be_interrupted)
    try:
        with pytest.raises(error):
            emit(CANCELLED)
    finally:
        end()


OF_JOB: dict[str, Any] = {"job_id": uuid4(), "kind": "charge"}
OF_ATTEMPT: dict[str, Any] = OF_JOB | {"queue": "q", "worker": "w", "attempt": 2}
NO: Any = {"error_type": "TimeoutError", "error": ""}
JOB = {"job": str(OF_JOB["job_id"]), "kind": "charge"}


@pytest.mark.parametrize(
    ("event", "level", "line", "fields"),
    [
        (
            Succeeded(**OF_ATTEMPT, seconds=0.12345),
            "info",
            "succeeded",
            {"attempt": 2, "seconds": 0.123},
        ),
        (
            Retried(**OF_ATTEMPT, **NO, delay_seconds=1.25),
            "warning",
            "failed, will retry",
            {"attempt": 2, **NO, "delay_seconds": 1.2},
        ),
        (
            Snoozed(**OF_ATTEMPT, why="busy", delay_seconds=1, is_asked=True),
            "info",
            "snoozed",
            {"attempt": 2, "delay_seconds": 1, "why": "busy"},
        ),
        (
            Snoozed(**OF_ATTEMPT, why="it stops", delay_seconds=0, is_asked=False),
            "info",
            "queued again",
            {"attempt": 2, "delay_seconds": 0, "why": "it stops"},
        ),
        (
            Postponed(**OF_JOB, queue="q", worker="w", why="unknown"),
            "warning",
            "postponed",
            {"why": "unknown"},
        ),
        (
            Superseded(**OF_ATTEMPT, why="not ours"),
            "warning",
            "superseded",
            {"attempt": 2, "why": "not ours"},
        ),
        (
            Died(**OF_ATTEMPT, reason="exhausted", **NO),
            "error",
            "dead",
            {"attempt": 2, "reason": "exhausted", **NO},
        ),
        (
            Died(**OF_JOB, queue="q", reason="unpublishable", error_type=None, error="no"),
            "error",
            "dead",
            {"reason": "unpublishable", "error": "no"},
        ),
        (Cancelled(**OF_JOB), "info", "cancelled", {}),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Event) else "",
)
def test_logs_are_a_subscriber(event: Event, level: str, line: str, fields: dict[str, Any]) -> None:
    event_log.subscribe()
    with capture_logs() as logs:
        emit(event)
    assert logs == [{"event": line, "log_level": level, **JOB, **fields}]


def test_the_log_makes_nobody_make_what_happens_thousands_of_times_a_second() -> None:
    """Each success is logged; all else that each job passes is made for subscribers only."""
    event_log.subscribe()
    assert not any(is_wanted(each) for each in (Submitted, Published, Claimed, Started))


def test_the_page_has_each_event_with_its_fields() -> None:
    there_are = {each.__name__: [field.name for field in fields(each)] for each in concrete()}
    named = {name: re.findall(r"`(\w+)`", fields_) for name, _, fields_ in ROW.findall(PAGE)}
    assert named == there_are


def test_the_page_says_who_emits_each() -> None:
    made = {each.__name__: set(makers(each)) for each in concrete()}
    said = {name: set(who.split("; ")) for name, who, _ in ROW.findall(PAGE)}
    assert said == made


def concrete() -> list[type[Any]]:
    """The events that are emitted."""
    found = [each for each in vars(events).values() if isinstance(each, type)]
    return [each for each in found if issubclass(each, Event) and each not in ABSTRACT]


def makers(event_type: type[Event]) -> Iterator[str]:
    """Who runs the modules that make events of this type."""
    for folder, who in EMITTERS.items():
        for file in (LIBRARY / folder).rglob("*.py"):
            if event_type.__name__ in made_in(file):
                yield who


@cache
def made_in(file: Path) -> set[str]:
    """The names of the events that the module imports and calls."""
    nodes = [*ast.walk(ast.parse(file.read_text()))]
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    called = {each.id for each in calls if isinstance(each, ast.Name)}
    return called.intersection(name for node in nodes for name in imported_events(node))


def imported_events(node: ast.AST) -> list[str]:
    """What the statement imports of events."""
    if isinstance(node, ast.ImportFrom) and node.module == "outbox.events":
        return [each.name for each in node.names]
    return []
