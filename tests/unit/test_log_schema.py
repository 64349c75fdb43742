"""docs/logs.md names every event that the code logs, and every field, and no others."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.log_calls import LogCall, bound_fields, log_calls

PAGE = (Path(__file__).parents[2] / "docs" / "logs.md").read_text()
FIELDS, EVENTS = PAGE.split("\n## Events\n")
ROW = re.compile(r"^\| `+ ?(.+?) ?`+ \| (\w+) \| ([\w, ]+) \| (.*?) \| .+ \|$", re.MULTILINE)
GIVEN_BY_LOGS = {"timestamp", "level", "event", "logger", "exception"}
"""What outbox/logs.py adds to each line."""
GIVEN_BY_TRACES = {"trace_id", "span_id"}
OTHER_NAMES = {
    "job_id": "job",
    "id": "job",
    "batch_id": "batch",
    "kind_name": "kind",
    "queue_name": "queue",
    "worker_name": "worker",
    "error_message": "error",
    "duration": "seconds",
    "duration_ms": "seconds",
    "number": "count",
    "delay": "delay_seconds",
}
"""What a field must not be called, and what it is called instead."""


def by_event() -> dict[str, list[LogCall]]:
    found = defaultdict(list)
    for call in log_calls():
        found[call.event].append(call)
    return found


def documented() -> dict[str, tuple[str, str, str]]:
    return {event: (level, who, fields) for event, level, who, fields in ROW.findall(EVENTS)}


def test_the_page_has_each_event_that_the_code_logs() -> None:
    assert sorted(documented()) == sorted(by_event())


@pytest.mark.parametrize("event", sorted(documented()))
def test_the_page_says_level_processes_and_fields_of_each_event(event: str) -> None:
    calls = by_event()[event]
    level, who, fields = documented()[event]
    assert {level} == {each.level for each in calls}
    assert set(who.split(", ")) == set().union(*(each.processes for each in calls))
    assert set(re.findall(r"`(\w+)`", fields)) == set().union(*(each.fields for each in calls))


def test_the_page_explains_each_field() -> None:
    there_are = bound_fields().union(*(each.fields for each in log_calls()))
    explained = re.findall(r"^\| `(\w+)` \|", FIELDS, re.MULTILINE)
    assert sorted(explained) == sorted(there_are | GIVEN_BY_LOGS | GIVEN_BY_TRACES)


def test_a_field_has_one_name() -> None:
    wrong = [
        f"{call.place}: {name} is called {OTHER_NAMES[name]}"
        for call in log_calls()
        for name in call.fields & OTHER_NAMES.keys()
    ]
    assert wrong == []
