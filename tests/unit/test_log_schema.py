"""docs/logs.md names every event that the code logs, and every field, and no others."""

from collections import defaultdict

import pytest

from tests.support.log_calls import LogCall, bound_fields, log_calls
from tests.support.log_page import EVENTS, FIELDS, OF_LOGS, OF_TRACES

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


def test_the_page_has_each_event_that_the_code_logs() -> None:
    assert sorted(EVENTS) == sorted(by_event())


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_the_page_says_level_processes_and_fields_of_each_event(event: str) -> None:
    calls = by_event()[event]
    level, processes, fields = EVENTS[event]
    assert {level} == {each.level for each in calls}
    assert processes == set().union(*(each.processes for each in calls))
    assert fields == set().union(*(each.fields for each in calls))


def test_the_page_explains_each_field() -> None:
    there_are = bound_fields().union(*(each.fields for each in log_calls()))
    assert sorted(FIELDS) == sorted(there_are | OF_LOGS | OF_TRACES)


def test_a_field_has_one_name() -> None:
    wrong = [
        f"{call.place}: {name} is called {OTHER_NAMES[name]}"
        for call in log_calls()
        for name in call.fields & OTHER_NAMES.keys()
    ]
    assert wrong == []
