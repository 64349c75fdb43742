"""A pytest plugin that writes down which tests execute each step, the quickest first, as JSON."""

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outbox.store import transitions

_TEXTS = {
    step: sql for step, sql in vars(transitions).items() if step.isupper() and isinstance(sql, str)
}
_seconds: dict[str, float] = defaultdict(float)
_uses: dict[str, set[str]] = defaultdict(set)
_test = ""


def pytest_configure() -> None:
    """Have both kinds of cursors tell what they execute."""
    for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
        cursor.execute = _telling(cursor.execute)  # type: ignore[method-assign]


def pytest_runtest_logstart(nodeid: str) -> None:
    """What is executed from now on is this test's, whatever its parameters."""
    global _test
    _test = nodeid.partition("[")[0]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up how long the test takes."""
    _seconds[_test] += report.duration


def pytest_sessionfinish() -> None:
    """Write it down."""
    found = {step: sorted(tests, key=_seconds.__getitem__) for step, tests in _uses.items()}
    Path(os.environ["USES_OF_STEPS"]).write_text(json.dumps(found), encoding="utf-8")


def _telling(execute: Callable[..., Any]) -> Callable[..., Any]:
    def tell(self: object, query: object, *rest: Any, **options: Any) -> Any:
        if isinstance(query, str):
            for step, sql in _TEXTS.items():
                if sql in query:
                    _uses[step].add(_test)
        return execute(self, query, *rest, **options)

    return tell
